"""Previews: an unsaved text rendered by the renderer that sends, with its findings."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from notifier.console.screens import ConsoleContext
from notifier.domain.catalog import Money, NotificationType
from notifier.domain.channels import spec
from notifier.domain.deliveries import Channel
from notifier.domain.messages import Content
from notifier.domain.recipients import check_locale, check_time_zone
from notifier.rendering.confined import RenderTrial, TrialResult
from notifier.rendering.findings import LintFinding
from notifier.rendering.formats import price
from notifier.rendering.language import DEFAULT_LOCALE
from notifier.rendering.lint import RenderedSample, lint
from notifier.rendering.locales import closest
from notifier.rendering.texts import Texts, Wording
from notifier.rendering.writing import writing
from notifier.texts import gate
from notifier.why.explain import HIDDEN


class PreviewReader(NamedTuple):
    """The reader of a preview: sample, locale and time zone; `faults` are the invalid choices."""

    sample: str
    locale: str
    zone: str
    faults: dict[str, str]


class PreviewLook(NamedTuple):
    """A preview: the message, None where it can't be rendered; findings by part, with "" for the whole; `refused` is
    whether the texts can't even be kept as a draft."""

    tried: TrialResult | None
    findings: dict[str, list[LintFinding]]
    refused: bool

    @property
    def content(self) -> Content | None:
        """Return the message's content; None where it can't be rendered."""
        return self.tried.content if self.tried else None


def read_reader(
    asked: Mapping[str, Any], locale: str, wording: Wording, samples: Sequence[str], usual: str
) -> PreviewReader:
    """Read the preview's reader from a form or query; invalid choices become the defaults and the `usual` sample."""
    faults = {}
    reader, zone = locale, gate.ZONE
    try:
        reader = check_locale(asked.get("reader") or locale)
    except ValueError:
        faults["reader"] = "This language is unknown; write it like de or de-AT."
    if (spoken := closest(reader, wording)) != locale:
        faults["reader"] = f"Readers of {reader} get the texts in {spoken}."
        reader = locale
    try:
        zone = check_time_zone(asked.get("zone") or zone)
    except ValueError:
        faults["zone"] = "This time zone is unknown; write it like Europe/Berlin."
    sample = str(asked.get("sample", ""))
    return PreviewReader(sample if sample in samples else usual, reader, zone, faults)


async def look(
    context: ConsoleContext, kind: NotificationType, wording: Wording, locale: str, channel: Channel,
    reader: PreviewReader, samples: Mapping[str, Mapping[str, Any]],
) -> PreviewLook:  # fmt: skip
    """Render the message that the reader would get, and all other samples to find their errors."""
    own: dict[str, Texts] = {name: wording[name] for name in dict.fromkeys((DEFAULT_LOCALE, locale))}
    switched = spec(channel).unsubscribes and not kind.is_mandatory_on(channel)
    names = [reader.sample, *(name for name in samples if name != reader.sample)]
    trials = [
        RenderTrial(channel, reader.locale, reader.zone, dict(samples[name]), HIDDEN if switched else None)
        for name in names
    ]
    answer = await gate.preview(context.confined, kind, own, trials)
    seen = [RenderedSample(channel, locale, name, tried) for name, tried in zip(names, answer.tried, strict=False)]
    findings: dict[str, list[LintFinding]] = {}
    refused = answer.end != "done"
    for each in lint(kind, own, answer, seen, ()):
        here = (each.locale, each.channel) == (locale, channel)
        if here or each.unusable:
            refused |= each.unusable
            findings.setdefault(_part(each, channel) if here else "", []).append(each)
    return PreviewLook(answer.tried[0] if answer.tried else None, findings, refused)


def cost(channel: Channel, count: int | None, prices: Mapping[Channel, Money]) -> str | None:
    """Return the cost of a number of a channel's units: "$0.15"; None where units are free or have no configured
    price."""
    measure, each = writing(channel).measure, prices.get(channel)
    if count is None or each is None or measure is None or not measure.paid:
        return None
    return price(Money(count * each.amount, each.currency), DEFAULT_LOCALE)


def _part(finding: LintFinding, channel: Channel) -> str:
    """Return the form field that a finding belongs to; the only field where there is just one."""
    own = writing(channel)
    only = own.boxes[0].part if len(own.boxes) == 1 and own.rows is None and own.folded is None else ""
    return only or finding.part.partition(".")[0]
