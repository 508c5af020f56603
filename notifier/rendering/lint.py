"""The linter of texts: errors and warnings for their authors, from a wording and its rendered messages. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final

import msgspec

from notifier.domain import channels
from notifier.domain.catalog import AUDIENCE_FIELDS, NotificationType
from notifier.domain.deliveries import Channel
from notifier.domain.ids import NOTHING
from notifier.domain.links import MIN_KEY, Links
from notifier.rendering.confined import TrialAnswer, TrialResult
from notifier.rendering.findings import LEVELS, LintFinding
from notifier.rendering.texts import TAGS, Wording, WordingPart, named, places
from notifier.rendering.writing import writing

PROMOTIONAL: Final[Mapping[str, Sequence[str]]] = {
    "en": ("discount", "sale", "offer", "% off", "coupon", "voucher", "promo", "deal", "free trial", "upgrade now"),
    "de": ("rabatt", "angebot", "gutschein", "aktion", "sonderpreis", "sparen", "prozent auf", "gratis testen"),
    "fr": ("remise", "promotion", "promo", "offre", "bon de réduction", "soldes", "code promo", "essai gratuit"),
    "es": ("descuento", "oferta", "promoción", "cupón", "rebaja", "vale de", "prueba gratis"),
}
"""Sales phrases by language: one of them turns a service message into marketing, which the law restricts."""

_CLICK: Final = partial(Links("https://notify.example.com", [b"0" * MIN_KEY]).click_url, NOTHING)
"""Makes links that count clicks as long as a real message has them."""


class RenderedSample(msgspec.Struct, frozen=True):
    """A rendered message: its channel, locale and the name of its payload."""

    channel: Channel
    locale: str
    sample: str
    tried: TrialResult


def lint(
    kind: NotificationType,
    wording: Wording,
    answer: TrialAnswer,
    seen: Sequence[RenderedSample],
    locales: Iterable[str],
) -> list[LintFinding]:
    """Return all findings, errors first. `locales` are the network's languages."""
    if answer.end != "done":
        return [_stopped(answer)]
    found = [
        *(
            LintFinding(level="error", code="language", words=each.error, locale=each.locale, channel=each.channel,
                    part=each.part)
            for each in answer.faults
        ),
        *_missing(wording, locales),
        *_left_out(list(places(kind, wording))),
        *_of_sources(kind, list(places(kind, wording))),
        *_unused(kind, list(places(kind, wording))),
    ]  # fmt: skip
    for each in seen:
        found += _of_message(kind, each)
    first: dict[tuple[str, ...], LintFinding] = {}
    for finding in found:
        first.setdefault(_sameness(finding), finding)
    return sorted(first.values(), key=lambda each: LEVELS.index(each.level))


def _sameness(finding: LintFinding) -> tuple[str, ...]:
    """Return the key by which findings are deduplicated; each line of a part's markup has its own."""
    by_line = any(finding.channel == each and finding.part in writing(each).markup for each in channels.channels())
    words = finding.words if by_line else ""
    return finding.code, finding.locale, finding.channel, finding.part, finding.level, words


def _stopped(answer: TrialAnswer) -> LintFinding:
    told = {
        "too slow": "making the messages takes too long; make the texts simpler or shorter",
        "ended": "making the messages takes too much memory; make the texts simpler or shorter",
    }
    return LintFinding(level="error", code="too_costly", words=told[answer.end])


def _missing(wording: Wording, locales: Iterable[str]) -> Iterator[LintFinding]:
    for locale in locales:
        if locale not in wording:
            yield LintFinding(
                level="warning", code="missing_locale", locale=locale,
                words=f"there are no texts in {locale}: its speakers get another language",
            )  # fmt: skip


def _left_out(found: Sequence[WordingPart]) -> Iterator[LintFinding]:
    """Find content that some languages have and others lack."""
    said = {place[:3] for place in found}
    for channel, part in dict.fromkeys((place.channel, place.part) for place in found):
        if part in writing(channel).everywhere:
            for locale in dict.fromkeys(place.locale for place in found):
                if (locale, channel, part) not in said:
                    yield LintFinding(
                        level="warning", code="left_out", locale=locale, channel=channel.value, part=part,
                        words=f"other languages have an {part} here, {locale} has none",
                    )  # fmt: skip


def _of_sources(kind: NotificationType, found: Sequence[WordingPart]) -> Iterator[LintFinding]:
    for place in found:
        at = {"locale": place.locale, "channel": place.channel.value, "part": place.part}
        plain = TAGS.sub(" ", place.source)
        if kind.class_ != "marketing" and not place.is_address:
            for word in PROMOTIONAL.get(place.locale.partition("-")[0], ()):
                if re.search(rf"(?<!\w){re.escape(word)}", plain, re.IGNORECASE):
                    yield LintFinding(
                        level="warning", code="promotional", **at,
                        words=(
f"“{word}” is a sales phrase: it makes marketing of a {kind.class_} message, "
"which needs consent"
),
                    )  # fmt: skip
        check = writing(place.channel).markup.get(place.part)
        for finding in check(place.source) if check else ():
            yield msgspec.structs.replace(finding, **at)


def _unused(kind: NotificationType, found: Sequence[WordingPart]) -> Iterator[LintFinding]:
    told: dict[Channel, dict[str, set[str]]] = {}
    for place in found:
        if place.is_address:
            continue  # addresses aren't read by people
        told.setdefault(place.channel, {}).setdefault(place.locale, set()).update(
            named(place.source) & kind.data.keys()
        )
    needed = {kind.about, *kind.same, *(name for _, name in AUDIENCE_FIELDS[kind.audience])}
    needed |= named(kind.link)
    anywhere = {name for locales in told.values() for names in locales.values() for name in names}
    for name in sorted(kind.data.keys() - needed - anywhere):
        yield LintFinding(
            level="hint", code="dead_variable", part=name,
            words=f"the data has {name} ({kind.data[name].about.lower()}), and no text mentions it",
        )  # fmt: skip
    for channel, locales in told.items():
        everywhere = set[str]().union(*locales.values())
        for locale, names in locales.items():
            if names < everywhere:
                yield LintFinding(
                    level="warning", code="uneven", locale=locale, channel=channel.value,
                    words=f"other languages tell {', '.join(sorted(everywhere - names))} here, {locale} doesn't",
                )  # fmt: skip


def _of_message(kind: NotificationType, seen: RenderedSample) -> Iterator[LintFinding]:
    at = {"locale": seen.locale, "channel": seen.channel.value}
    if seen.tried.error is not None:
        yield LintFinding(level="error", code="not_made", words=f"{seen.sample}: {seen.tried.error}", **at)
    content, lead = seen.tried.content, channels.spec(seen.channel).lead
    if content is not None and kind.clicks and lead is not None:
        content = lead(content, _CLICK)
    for finding in writing(seen.channel).check(content) if content is not None else ():
        yield msgspec.structs.replace(finding, **at)
