"""What is wrong or doubtful with texts, told to whoever wrote them: pure, over a wording and what it renders to.

An error keeps a version from being published, a warning asks for a reason, a hint asks for nothing.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal, get_args

import msgspec

from notifier.channels.email.messages import EmailContent
from notifier.channels.push.messages import PushContent
from notifier.channels.sms.messages import SmsContent
from notifier.domain.catalog import AUDIENCE_FIELDS, NotificationType
from notifier.domain.deliveries import Channel
from notifier.domain.sms_segments import GSM7, SIZES, measure
from notifier.rendering.confined import Answer, Tried
from notifier.rendering.markup_faults import faults_of
from notifier.rendering.texts import IMAGE, OPTIONAL, TAGS, Place, Wording, named, places

Level = Literal["error", "warning", "hint"]

LEVELS: Final[tuple[Level, ...]] = get_args(Level)
"""The gravest first."""

MANY_SEGMENTS: Final = 3
"""Of an SMS: what is longer is a letter, and costs like one."""
TITLE: Final = 50
"""Characters of a push title that a phone shows on one line."""
BODY: Final = 180
"""Characters of a push body that a phone shows before it is opened."""
ACTION: Final = 20
"""Characters of a button's label that a phone shows beside nothing else."""
PAYLOAD: Final = 4096
"""Bytes that FCM takes (firebase.google.com/docs/cloud-messaging/concept-options)."""
ENVELOPE: Final = 1024
"""Bytes of them that are not words: token, link, keys, Android's and Apple's parts."""
LARGE_MAIL: Final = 80 * 1024
"""Bytes of HTML at which it is time to cut; Gmail does it at 102 kB, and hides the rest with the unsubscribe link."""
TOO_LARGE_MAIL: Final = 100 * 1024

PROMOTIONAL: Final[Mapping[str, Sequence[str]]] = {
    "en": ("discount", "sale", "offer", "% off", "coupon", "voucher", "promo", "deal", "free trial", "upgrade now"),
    "de": ("rabatt", "angebot", "gutschein", "aktion", "sonderpreis", "sparen", "prozent auf", "gratis testen"),
    "fr": ("remise", "promotion", "promo", "offre", "bon de réduction", "soldes", "code promo", "essai gratuit"),
    "es": ("descuento", "oferta", "promoción", "cupón", "rebaja", "vale de", "prueba gratis"),
}
"""Words that sell, by language: one in a service message makes marketing of it, with all that the law asks then."""

_HTTPS = re.compile(r"https://[^/?#\s]+\S*")


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing, where it is, and what to do about it."""

    level: Level
    code: str
    words: str
    locale: str = ""
    channel: str = ""
    part: str = ""

    @property
    def unusable(self) -> bool:
        """Whether no message can be made at all because of it."""
        return self.code in ("language", "too_costly")

    @property
    def place(self) -> str:
        """Where it is within a type's texts: `de.toml: sms.text`."""
        inside = ".".join(filter(None, (self.channel, self.part)))
        return ": ".join(filter(None, (self.locale and f"{self.locale}.toml", inside)))


class Seen(msgspec.Struct, frozen=True):
    """A message as somebody would get it: on a channel, in a locale, made of a named payload."""

    channel: Channel
    locale: str
    sample: str
    tried: Tried


def lint(
    kind: NotificationType, wording: Wording, answer: Answer, seen: Sequence[Seen], locales: Iterable[str]
) -> list[Finding]:
    """Every finding, errors first. `locales` are those that the network speaks."""
    if answer.end != "done":
        return [_stopped(answer)]
    found = [
        *(
            Finding(level="error", code="language", words=each.error, locale=each.locale, channel=each.channel,
                    part=each.part)
            for each in answer.faults
        ),
        *_missing(wording, locales),
        *_left_out(list(places(kind, wording))),
        *_of_sources(kind, list(places(kind, wording))),
        *_unused(kind, list(places(kind, wording))),
    ]  # fmt: skip
    for each in seen:
        found += _of_message(each)
    first: dict[tuple[str, ...], Finding] = {}
    for finding in found:
        words = finding.words if finding.part == "mjml" else ""  # each of its lines for itself
        first.setdefault((finding.code, finding.locale, finding.channel, finding.part, finding.level, words), finding)
    return sorted(first.values(), key=lambda each: LEVELS.index(each.level))


def _stopped(answer: Answer) -> Finding:
    told = {
        "too slow": "making the messages takes too long; make the texts simpler or shorter",
        "ended": "making the messages takes too much memory; make the texts simpler or shorter",
    }
    return Finding(level="error", code="too_costly", words=told[answer.end])


def _missing(wording: Wording, locales: Iterable[str]) -> Iterator[Finding]:
    for locale in locales:
        if locale not in wording:
            yield Finding(
                level="warning", code="missing_locale", locale=locale,
                words=f"there are no texts in {locale}: whoever speaks it gets another language",
            )  # fmt: skip


def _left_out(found: Sequence[Place]) -> Iterator[Finding]:
    """What some languages have, and others have nothing in place of."""
    said = {place[:3] for place in found}
    for channel, part in dict.fromkeys((place.channel, place.part) for place in found):
        if channel == Channel.PUSH and part in OPTIONAL[channel]:
            for locale in dict.fromkeys(place.locale for place in found):
                if (locale, channel, part) not in said:
                    yield Finding(
                        level="warning", code="left_out", locale=locale, channel=channel.value, part=part,
                        words=f"other languages have an {part} here, {locale} has none",
                    )  # fmt: skip


def _of_sources(kind: NotificationType, found: Sequence[Place]) -> Iterator[Finding]:
    for place in found:
        at = {"locale": place.locale, "channel": place.channel.value, "part": place.part}
        plain = TAGS.sub(" ", place.source)
        if kind.class_ != "marketing" and place.part != IMAGE:
            for word in PROMOTIONAL.get(place.locale.partition("-")[0], ()):
                if re.search(rf"(?<!\w){re.escape(word)}", plain, re.IGNORECASE):
                    yield Finding(
                        level="warning", code="promotional", **at,
                        words=f"“{word}” sells: it makes marketing of a {kind.class_} message, which needs consent",
                    )  # fmt: skip
        if place.part == "mjml":
            for fault in faults_of(place.source):
                yield Finding(level="error", code=fault.code, words=f"line {fault.line}: {fault.words}", **at)


def _unused(kind: NotificationType, found: Sequence[Place]) -> Iterator[Finding]:
    told: dict[Channel, dict[str, set[str]]] = {}
    for place in found:
        if place.part == IMAGE:
            continue  # an address names things and tells nobody
        told.setdefault(place.channel, {}).setdefault(place.locale, set()).update(
            named(place.source) & kind.data.keys()
        )
    needed = {kind.about, *kind.same, *(name for _, name in AUDIENCE_FIELDS[kind.audience])}
    needed |= named(kind.link)
    anywhere = {name for locales in told.values() for names in locales.values() for name in names}
    for name in sorted(kind.data.keys() - needed - anywhere):
        yield Finding(
            level="hint", code="dead_variable", part=name,
            words=f"the data has {name} ({kind.data[name].about.lower()}), and no text says it",
        )  # fmt: skip
    for channel, locales in told.items():
        everywhere = set[str]().union(*locales.values())
        for locale, names in locales.items():
            if names < everywhere:
                yield Finding(
                    level="warning", code="uneven", locale=locale, channel=channel.value,
                    words=f"other languages tell {', '.join(sorted(everywhere - names))} here, {locale} doesn't",
                )  # fmt: skip


def _of_message(seen: Seen) -> Iterator[Finding]:
    at = {"locale": seen.locale, "channel": seen.channel.value}
    if seen.tried.error is not None:
        yield Finding(level="error", code="not_made", words=f"{seen.sample}: {seen.tried.error}", **at)
    match seen.tried.content:
        case SmsContent(text=text):
            yield from _of_sms(text, at)
        case PushContent() as push:
            yield from _of_push(push, at)
        case EmailContent() as mail:
            yield from _of_mail(mail, at)


def _of_sms(text: str, at: Mapping[str, str]) -> Iterator[Finding]:
    size = measure(text)
    if size.segments > MANY_SEGMENTS:
        yield Finding(
            level="error", code="segments", **at,
            words=f"the text takes {size.segments} SMS; {MANY_SEGMENTS} are the most. Say less",
        )  # fmt: skip
    elif size.segments > 1:
        yield Finding(
            level="warning", code="segments", **at,
            words=f"the text takes {size.segments} SMS, each at full price; one holds {SIZES[size.encoding][0]}",
        )  # fmt: skip
    if size.encoding == "ucs2":
        strange = next(letter for letter in text if letter not in GSM7)
        yield Finding(
            level="warning", code="ucs2", **at,
            words=f"“{strange}” is none of an SMS's own characters: with it one SMS holds 70, not 160",
        )  # fmt: skip
    if not text.strip():
        yield _empty("text", at)


def _of_push(push: PushContent, at: Mapping[str, str]) -> Iterator[Finding]:
    for part, text, limit in (("title", push.title, TITLE), ("body", push.body, BODY), ("action", push.action, ACTION)):
        if text is not None and not text.strip():
            yield _empty(part, at)
        if text is not None and len(text) > limit:
            yield Finding(
                level="warning", code="cut_off", part=part, **at,
                words=f"the {part} has {len(text)} characters; phones cut it off at about {limit}",
            )  # fmt: skip
    if push.image is not None and not _HTTPS.fullmatch(push.image):
        yield Finding(
            level="error", code="link", part=IMAGE, **at,
            words=f"the image's address {push.image[:60]!r} is none that begins with https://; phones show nothing",
        )  # fmt: skip
    size = len(msgspec.json.encode(push)) + len((push.image or "").encode())  # Apple is told of it once more
    if size > PAYLOAD - ENVELOPE:
        yield Finding(
            level="error", code="payload", **at, words=f"the push has {size} bytes of words; {PAYLOAD - ENVELOPE} fit"
        )


def _of_mail(mail: EmailContent, at: Mapping[str, str]) -> Iterator[Finding]:
    size = len(mail.html.encode())
    if size > LARGE_MAIL:
        level: Level = "error" if size > TOO_LARGE_MAIL else "warning"
        yield Finding(level=level, code="size", words=f"the mail has {size // 1024} kB; Gmail cuts off after 100", **at)
    for part, text in (("subject", mail.subject), ("text", mail.text)):
        if not text.strip():
            yield _empty(part, at)


def _empty(part: str, at: Mapping[str, str]) -> Finding:
    return Finding(level="error", code="empty", part=part, words=f"the {part} is empty in at least one case", **at)
