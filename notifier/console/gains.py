"""The gain of an arm over time, its intervals at the end of each day or hour, and how soon the outcome came: as charts
and as the rows of a table."""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from markupsafe import Markup

from notifier.console.charts import Interval, Series, chart, intervals
from notifier.console.pages import duration
from notifier.domain.catalog import AwaitedOutcome
from notifier.domain.clock import DAY, HOUR
from notifier.domain.effects import STEPS
from notifier.experiments.results import ArmResult, Look

HOURS_OF_A_DAY: Final = DAY // HOUR
BY_HOUR: Final = 2 * HOURS_OF_A_DAY
"""Hours up to which a gain is told by the hour."""
LINES: Final = 6
"""Lines that stand in a chart at most."""
APART: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
"""What may lie between two lines."""
LEAST_PAD: Final = 0.01
"""What is left free above and below an interval at least, where the chart would else be all line."""


class Gain(NamedTuple):
    """An arm's gain over time: a line of the table for each day or hour since the start, newest first, the chart, and
    the one of how soon the outcome came."""

    arm: str
    unit: str
    rows: list[tuple[int, Interval]]
    chart: Markup
    soon: Markup


def gains(
    control: ArmResult, arm: ArmResult, looks: Sequence[Look], first: int, wanted: float, outcome: AwaitedOutcome
) -> Gain | None:
    """An arm's gain since the `first` hour, of which `wanted` is looked for; None while nothing is known of it."""
    known = [
        (look.hour - first, Interval(look.low, look.high))
        for look in looks
        if look.arm == arm.arm and look.low is not None and look.high is not None
    ]
    if not known:
        return None
    unit, size = ("hour", 1) if known[-1][0] < BY_HOUR else ("day", HOURS_OF_A_DAY)
    last = {hour // size + 1: interval for hour, interval in known}
    rows = sorted(last.items(), reverse=True)
    return Gain(arm.arm, unit, rows, _draw(arm.arm, unit, rows, wanted), _soon(control, arm, outcome))


def signed(gain: float) -> str:
    """A gain in percentage points with its sign: "+4.0", "−0.5"."""
    points = round(gain * 100, 1)
    return f"{points:+.1f}".replace("-", "−") if points else "0"


def _draw(arm: str, unit: str, rows: Sequence[tuple[int, Interval]], wanted: float) -> Markup:
    (newest, latest), (oldest, earliest) = rows[0], rows[-1]
    pad = max(
        latest.high - latest.low, LEAST_PAD
    )  # what was wider long ago is cut off, or it would hide what came later
    bottom, top = max(min(latest.low, 0.0) - pad, -1.0), min(max(latest.high, wanted) + pad, 1.0)
    step = next((each for each in APART if (top - bottom) / each <= LINES), APART[-1])
    lines = [at * step for at in range(int(bottom / step), int(top / step) + 1)]
    of = dict(rows)
    return intervals(
        f"gain-{arm}", f"Gain of {arm} in percentage points",
        f"From {signed(earliest.low)} to {signed(earliest.high)} at the end of {unit} {oldest}, and from "
        f"{signed(latest.low)} to {signed(latest.high)} at the end of {unit} {newest}.",
        [f"{unit} {at}" for at in range(1, newest + 1)], [of.get(at) for at in range(1, newest + 1)], bottom=bottom,
        top=top, lines=lines, wanted=wanted, written=signed,
    )  # fmt: skip


def _soon(control: ArmResult, arm: ArmResult, outcome: AwaitedOutcome) -> Markup:
    """For which share of an arm's people, and of the control's, the outcome had come after which time."""
    after = [duration(outcome.milliseconds * step / STEPS) for step in range(1, STEPS + 1)]
    most = max([*control.came, *arm.came, 0.1])
    half = STEPS // 2 - 1
    lines = [Series(f"of {each.arm}", tone, each.came, "line") for each, tone in ((control, "second"), (arm, "third"))]
    return chart(
        f"soon-{arm.arm}", f"How soon: {outcome.name}, {arm.arm} and {control.arm}",
        f"After {after[half]} it had come for {arm.came[half]:.0%} of {arm.arm} and {control.came[half]:.0%} of "
        f"{control.arm}, after {after[-1]} for {arm.came[-1]:.0%} and {control.came[-1]:.0%}.",
        after, lines, top=math.ceil(most * 10) / 10, written=lambda share: f"{share:.0%}",
    )  # fmt: skip
