"""What somebody would get: a text as it is written, made by the renderer that sends, with what is wrong beside it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from notifier.console.screens import Context
from notifier.domain.catalog import Money, NotificationType
from notifier.domain.deliveries import Channel
from notifier.domain.recipients import check_locale, check_time_zone
from notifier.domain.sms_segments import SIZES, Size, measure
from notifier.rendering.confined import Trial, Tried
from notifier.rendering.formats import price
from notifier.rendering.language import DEFAULT_LOCALE
from notifier.rendering.lint import Finding, Seen, lint
from notifier.rendering.texts import Texts, Wording, closest
from notifier.texts import gate
from notifier.why.explain import HIDDEN


class Reader(NamedTuple):
    """For whom a preview is made: with which sample, in which locale and zone; `faults` are of what was asked for."""

    sample: str
    locale: str
    zone: str
    faults: dict[str, str]


class Look(NamedTuple):
    """A preview: the message, None where it can't be made; findings by the part that they belong to, and those of none;
    `refused` is whether such texts are not even kept as a draft."""

    tried: Tried | None
    findings: dict[str, list[Finding]]
    refused: bool

    @property
    def size(self) -> Size | None:
        """What an SMS takes."""
        return measure(self.tried.sms.text) if self.tried and self.tried.sms else None


def read_reader(asked: Mapping[str, Any], locale: str, wording: Wording, samples: Sequence[str], usual: str) -> Reader:
    """For whom, as asked by a form or an address; somebody usual, reading the `usual` sample,
    where that makes no sense."""
    faults = {}
    reader, zone = locale, gate.ZONE
    try:
        reader = check_locale(asked.get("reader") or locale)
    except ValueError:
        faults["reader"] = "No language that is known; write it as de or de-AT."
    if (spoken := closest(reader, wording)) != locale:
        faults["reader"] = f"Whoever speaks {reader} gets the texts in {spoken}."
        reader = locale
    try:
        zone = check_time_zone(asked.get("zone") or zone)
    except ValueError:
        faults["zone"] = "No time zone that is known; write it as Europe/Berlin."
    sample = str(asked.get("sample", ""))
    return Reader(sample if sample in samples else usual, reader, zone, faults)


async def look(
    context: Context, kind: NotificationType, wording: Wording, locale: str, channel: Channel, reader: Reader,
    samples: Mapping[str, Mapping[str, Any]],
) -> Look:  # fmt: skip
    """Make the message that the reader would get, and those of all other samples for what may be wrong with them."""
    own: dict[str, Texts] = {name: wording[name] for name in dict.fromkeys((DEFAULT_LOCALE, locale))}
    switched = channel == Channel.EMAIL and not kind.is_mandatory_on(channel)
    names = [reader.sample, *(name for name in samples if name != reader.sample)]
    trials = [
        Trial(channel, reader.locale, reader.zone, dict(samples[name]), HIDDEN if switched else None) for name in names
    ]
    answer = await gate.preview(context.confined, kind, own, trials)
    seen = [Seen(channel, locale, name, tried) for name, tried in zip(names, answer.tried, strict=False)]
    findings: dict[str, list[Finding]] = {}
    refused = answer.end != "done"
    for each in lint(kind, own, answer, seen, ()):
        here = (each.locale, each.channel) == (locale, channel)
        if here or each.unusable:
            refused |= each.unusable
            findings.setdefault(_part(each, channel) if here else "", []).append(each)
    return Look(answer.tried[0] if answer.tried else None, findings, refused)


def cost(segments: int | None, each: Money | None) -> str | None:
    """What so many segments cost: "$0.15"; None where nobody has said what one does."""
    if segments is None or each is None:
        return None
    return price(Money(segments * each.amount, each.currency), DEFAULT_LOCALE)


def room(size: Size) -> int:
    """Units that fit into as many segments as a text takes."""
    alone, among = SIZES[size.encoding]
    return alone if size.segments == 1 else among * size.segments


def _part(finding: Finding, channel: Channel) -> str:
    if channel == Channel.SMS:
        return "text"
    return finding.part.partition(".")[0]
