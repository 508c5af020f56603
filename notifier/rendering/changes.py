"""The changes that a new wording makes for people, computed before it is published from both wordings and their
messages. Pure."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from notifier.domain.catalog import NotificationType
from notifier.domain.deliveries import Channel
from notifier.rendering.confined import TrialResult
from notifier.rendering.lint import RenderedSample
from notifier.rendering.texts import Wording, alike, named, places
from notifier.rendering.writing import measures, writing

EXAMPLES = 3  # for each channel and locale: the first shows the change, more would hide other locales


class TextExample(msgspec.Struct, frozen=True):
    """One message as it was and as it will be."""

    sample: str
    before: str
    after: str


class TextChange(msgspec.Struct, frozen=True, kw_only=True):
    """What changes on a channel in a locale.

    `most` is what any message takes at most, before and after, of what the channel counts (`Writing.measure`); None
    where it counts nothing, or there is no message. `gained` and `lost` are the fields that the texts name.
    """

    locale: str
    channel: Channel
    gained: list[str]
    lost: list[str]
    most: tuple[int | None, int | None] | None = None
    examples: list[TextExample] = []


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """All changes between two wordings; empty lists where nothing changes."""

    locales_gained: list[str]
    locales_lost: list[str]
    changed: list[TextChange]


def compare(
    kind: NotificationType,
    before: Wording,
    after: Wording,
    was: Sequence[RenderedSample],
    will: Sequence[RenderedSample],
) -> Changes:
    """Compare two wordings; `was` and `will` are their messages for the same payloads, at least where the wordings
    differ."""
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
    kind: NotificationType, channel: Channel, locale: str, before: Wording, after: Wording,
    was: Sequence[RenderedSample], will: Sequence[RenderedSample],
) -> TextChange | None:  # fmt: skip
    old = {each.sample: each.tried for each in was if (each.channel, each.locale) == (channel, locale)}
    new = {each.sample: each.tried for each in will if (each.channel, each.locale) == (channel, locale)}
    fields_before, fields_after = (_fields(kind, wording, channel, locale) for wording in (before, after))
    shown = [
        TextExample(name, shown_as(old.get(name)), shown_as(new.get(name)))
        for name in dict.fromkeys([*old, *new])
        if shown_as(old.get(name)) != shown_as(new.get(name))
    ]
    if not shown and fields_before == fields_after:
        return None
    return TextChange(
        locale=locale,
        channel=channel,
        gained=sorted(fields_after - fields_before),
        lost=sorted(fields_before - fields_after),
        most=(_most(channel, old.values()), _most(channel, new.values())) if writing(channel).measure else None,
        examples=shown[:EXAMPLES],
    )


def shown_as(tried: TrialResult | None) -> str:
    """Return a message as plain words for a comparison."""
    if tried is None:
        return ""
    content = tried.content
    return (tried.error or "") if content is None else writing(tried.channel).read(content)


def to_builtins(changes: Changes) -> dict[str, Any]:
    """Convert changes for JSON: each change has the measures of all channels by name, null for another channel's."""
    told: dict[str, Any] = msgspec.to_builtins(changes)
    for change, each in zip(changes.changed, told["changed"], strict=True):
        most, examples, own = each.pop("most"), each.pop("examples"), writing(change.channel).measure
        each |= {measure.name: most if measure is own else None for measure in measures()} | {"examples": examples}
    return told


def _fields(kind: NotificationType, wording: Wording, channel: Channel, locale: str) -> set[str]:
    if locale not in wording:
        return set()
    own = {locale: wording[locale]}
    said = " ".join(place.source for place in places(kind, own) if place.channel == channel)
    return named(said) & kind.data.keys()


def _most(channel: Channel, tried: Iterable[TrialResult]) -> int | None:
    measure = writing(channel).measure
    contents = [content for each in tried if (content := each.content) is not None]
    return max(map(measure.of, contents), default=None) if measure else None
