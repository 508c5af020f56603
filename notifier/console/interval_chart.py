"""A chart of the interval of a gain over time, as the places of its lines in an SVG: no script is needed to see it."""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from notifier.domain.clock import DAY, HOUR
from notifier.experiments.results import Look

WIDTH: Final = 400
HEIGHT: Final = 190
LEFT: Final = 44
"""Units that the labels of the gains take."""
BELOW: Final = 22
"""Units that the labels of the days take."""
HOURS_OF_A_DAY: Final = DAY // HOUR
_TICKS: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)  # gains between two lines; at most six lines stand in a chart


class Tick(NamedTuple):
    """A labeled line, by its place."""

    at: float
    label: str


class IntervalChart(NamedTuple):
    """The band of an interval, the line of no gain and that of the planned one, and the labeled lines."""

    band: str
    none: float
    wanted: float | None
    gains: list[Tick]
    days: list[Tick]


def draw_intervals(looks: Sequence[Look], first: int, gain: float) -> IntervalChart:
    """The chart of one arm's looks, whose bounds are all known, from the `first` hour on."""
    points = [(look.hour + 1.0 - first, look.low or 0.0, look.high or 0.0) for look in looks]
    _, low, high = points[-1]
    pad = max(high - low, 0.01)  # what was wider long ago is cut off: it would leave nothing to see of what came later
    least, most = max(min(low, 0.0) - pad, -1.0), min(max(high, gain) + pad, 1.0)
    start, end = min(points[0][0], 0), max(points[-1][0], 1)

    def x(hour: float) -> float:
        return round(LEFT + (WIDTH - LEFT - 8) * (hour - start) / (end - start), 1)

    def y(value: float) -> float:
        inside = min(max(value, least), most)
        return round(6 + (HEIGHT - BELOW - 6) * (most - inside) / (most - least), 1)

    if len(points) == 1:  # a band has a width
        points = [(points[0][0] - 0.5, *points[0][1:]), *points]
    upper = [f"{x(hour)},{y(top)}" for hour, _, top in points]
    lower = [f"{x(hour)},{y(bottom)}" for hour, bottom, _ in reversed(points)]
    step = next((each for each in _TICKS if (most - least) / each <= 6), _TICKS[-1])
    marks = [at * step for at in range(round(least / step) - 1, round(most / step) + 2) if least <= at * step <= most]
    return IntervalChart(
        band=" ".join(upper + lower), none=y(0.0), wanted=y(gain) if least < gain < most else None,
        gains=[Tick(y(each), signed(each)) for each in marks], days=_days(start, end, x),
    )  # fmt: skip


def latest_by_day(looks: Sequence[Look], first: int) -> list[tuple[int, Look]]:
    """The last look of each day since the `first` hour, newest first, by the number of the day from 1."""
    last = {(look.hour - first) // HOURS_OF_A_DAY + 1: look for look in looks}
    return sorted(last.items(), reverse=True)


def signed(gain: float) -> str:
    """A gain in percentage points with its sign: "+4", "−0.5"."""
    points = round(gain * 100, 1) or 0.0
    return f"{points:+g}".replace("-", "−") if points else "0"


def _days(start: float, end: float, x: Callable[[float], float]) -> list[Tick]:
    """Labels of whole days, or of hours within the first two days; some five of them."""
    unit, name = (HOURS_OF_A_DAY, "day") if end - start > 2 * HOURS_OF_A_DAY else (1, "hour")
    whole = int(end // unit)
    step = max(-(-whole // 5), 1)
    return [Tick(x(at * unit), f"{name} {at}") for at in range(step, whole + 1, step)]
