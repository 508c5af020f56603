"""What a new wording changes for people, told before it is published: pure, over both and what they render to."""

from collections.abc import Iterable, Sequence

import msgspec

from notifier.channels.email.messages import EmailContent
from notifier.channels.push.messages import PushContent
from notifier.channels.sms.messages import SmsContent
from notifier.domain.catalog import NotificationType
from notifier.domain.deliveries import Channel
from notifier.domain.sms_segments import measure
from notifier.rendering.confined import Tried
from notifier.rendering.lint import Seen
from notifier.rendering.texts import Wording, alike, named, places

EXAMPLES = 3  # of each channel and locale: the first shows what it is about, more would hide other locales


class Example(msgspec.Struct, frozen=True):
    """One message as it was and as it will be."""

    sample: str
    before: str
    after: str


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What changes on a channel in a locale.

    `segments` (SMS) and `bytes` (mail's HTML) are the most that any message takes, before and after, None where there
    is none; `gained` and `lost` are the fields that the texts name.
    """

    locale: str
    channel: Channel
    gained: list[str]
    lost: list[str]
    segments: tuple[int | None, int | None] | None = None
    bytes: tuple[int | None, int | None] | None = None
    examples: list[Example] = []


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """All of it; empty lists where nothing changes."""

    locales_gained: list[str]
    locales_lost: list[str]
    changed: list[Change]


def compare(
    kind: NotificationType, before: Wording, after: Wording, was: Sequence[Seen], will: Sequence[Seen]
) -> Changes:
    """Hold two wordings against each other; `was` and `will` are what they make of the same payloads, at least where
    they are not alike."""
    told = []
    for channel in kind.channels:
        for locale in dict.fromkeys([*before, *after]):
            if alike(before, after, locale, channel):
                continue
            change = _change(kind, channel, locale, before, after, was, will)
            if change is not None:
                told.append(change)
    return Changes(
        locales_gained=[locale for locale in after if locale not in before],
        locales_lost=[locale for locale in before if locale not in after],
        changed=told,
    )


def _change(
    kind: NotificationType, channel: Channel, locale: str, before: Wording, after: Wording, was: Sequence[Seen],
    will: Sequence[Seen],
) -> Change | None:  # fmt: skip
    old = {each.sample: each.tried for each in was if (each.channel, each.locale) == (channel, locale)}
    new = {each.sample: each.tried for each in will if (each.channel, each.locale) == (channel, locale)}
    fields_before, fields_after = (_fields(kind, wording, channel, locale) for wording in (before, after))
    shown = [
        Example(name, shown_as(old.get(name)), shown_as(new.get(name)))
        for name in dict.fromkeys([*old, *new])
        if shown_as(old.get(name)) != shown_as(new.get(name))
    ]
    if not shown and fields_before == fields_after:
        return None
    return Change(
        locale=locale,
        channel=channel,
        gained=sorted(fields_after - fields_before),
        lost=sorted(fields_before - fields_after),
        segments=(_segments(old.values()), _segments(new.values())) if channel == Channel.SMS else None,
        bytes=(_bytes(old.values()), _bytes(new.values())) if channel == Channel.EMAIL else None,
        examples=shown[:EXAMPLES],
    )


def shown_as(tried: Tried | None) -> str:
    """A message as plain words, to be read beside another."""
    match tried and tried.content:
        case PushContent() as push:
            return "\n".join(filter(None, (push.title, push.body, push.action and f"[{push.action}]", push.image)))
        case SmsContent() as sms:
            return sms.text
        case EmailContent() as mail:
            return f"{mail.subject}\n\n{mail.text}"
        case _:
            return "" if tried is None else tried.error or ""


def _fields(kind: NotificationType, wording: Wording, channel: Channel, locale: str) -> set[str]:
    if locale not in wording:
        return set()
    own = {locale: wording[locale]}
    said = " ".join(place.source for place in places(kind, own) if place.channel == channel)
    return named(said) & kind.data.keys()


def _segments(tried: Iterable[Tried]) -> int | None:
    return max((measure(each.sms.text).segments for each in tried if each.sms), default=None)


def _bytes(tried: Iterable[Tried]) -> int | None:
    return max((len(each.email.html.encode()) for each in tried if each.email), default=None)
