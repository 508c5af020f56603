"""Charts as SVG, made of plain series: they need no script, fit any width, and have the page's colours.

Places along the width are percentages and heights are pixels, so that text has the same size on every screen. A chart
is one image for those who don't see it, with a title and a description; its numbers stand in a table beside it.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final, Literal, NamedTuple

from markupsafe import Markup

HEIGHT: Final = 200
HEAD: Final = 18  # pixels above the highest value, for the names of marks
FOOT: Final = 20  # pixels below zero, for the names of points
NAMES: Final = 6  # names of points at most: what fits on a phone
GAP: Final = 0.28  # the part of a point's width that is left free beside its bar
APART: Final = 0.08  # of the width between two names of marks at least, on a phone
DOTTED: Final = 45  # points of a line at most that have a dot each


class Series(NamedTuple):
    """Values of one kind, a point after the other, None where there is none; `tone` names its colour in charts.css."""

    name: str
    tone: str
    values: Sequence[float | None]
    shape: Literal["bar", "line"] = "bar"


class Mark(NamedTuple):
    """Something that happened at a place of the width, from 0 to 1."""

    name: str
    place: float


def chart(
    id_: str, title: str, told: str, points: Sequence[str], series: Sequence[Series], *,
    top: float, written: Callable[[float], str], named: Sequence[str] = (), marks: Sequence[Mark] = (),
) -> Markup:  # fmt: skip
    """Draw series over points. Bars of later series stand before those of earlier ones.

    `top` is the value at the upper edge, and `written` says a value in words. `named` are the names below the width, of
    which an empty one leaves its point unnamed; without it some of the points are named.
    """
    parts = [Markup('<title id="{0}-title">{1}</title><desc id="{0}-told">{2}</desc>').format(id_, title, told)]
    parts += [_across(_y(value, top)) for value in (0, top / 2, top)]
    for each in series:
        draw = _bars if each.shape == "bar" else _line
        parts.append(draw(each, points, top, written))
    parts += [_scale(_y(value, top), written(value)) for value in (top / 2, top)]
    parts += [_name(place, len(points), name) for place, name in _names(points, named)]
    parts += [_mark(each) for each in _apart(marks)]
    return _image(id_, parts)


class Interval(NamedTuple):
    """From where to where a value lies at a point."""

    low: float
    high: float


def intervals(
    id_: str, title: str, told: str, points: Sequence[str], found: Sequence[Interval | None], *,
    bottom: float, top: float, lines: Sequence[float], wanted: float, written: Callable[[float], str],
) -> Markup:  # fmt: skip
    """Draw an interval for each point, None where there is none, as a band that is cut off at `bottom` and `top`.

    `lines` are the values that have a line and a name, and `wanted` is the one that is hoped for.
    """

    def y(value: float) -> float:
        return round(HEAD + (top - min(max(value, bottom), top)) / (top - bottom) * (HEIGHT - HEAD - FOOT), 1)

    wide = 100 / max(len(points), 1)
    band = Markup('<rect class="band" x="{:.3f}%" y="{}" width="{:.3f}%" height="{:.1f}"><title>{}</title></rect>')
    across = Markup('<line class="{0}" x1="0" y1="{1}" x2="100%" y2="{1}"></line>')
    parts = [Markup('<title id="{0}-title">{1}</title><desc id="{0}-told">{2}</desc>').format(id_, title, told)]
    parts += [_across(y(value)) for value in lines]
    for place, (point, span) in enumerate(zip(points, found, strict=True)):
        if span is not None:
            said = f"{point}: {written(span.low)} to {written(span.high)}"
            parts.append(band.format(wide * place, y(span.high), wide, y(span.low) - y(span.high), said))
    parts += [across.format("zero", y(0)), across.format("mark", y(wanted))]
    parts += [_scale(y(value), written(value)) for value in lines]
    parts += [_name(place, len(points), name) for place, name in _names(points, ())]
    return _image(id_, parts)


def ceiling(values: Sequence[float | None]) -> float:
    """The round number that no value exceeds, whose half is a whole number: 2, 4, 10, 20, 40, 100 …"""
    most = max((value for value in values if value is not None), default=0)
    scale = 10.0 ** max(math.floor(math.log10(most)), 0) if most > 0 else 1.0
    return next(scale * each for each in (2, 4, 6, 10) if scale * each >= most)


def _image(id_: str, parts: Sequence[Markup]) -> Markup:
    whole = Markup(
        '<svg class="chart" role="img" aria-labelledby="{0}-title" aria-describedby="{0}-told" '
        'width="100%" height="{1}">{2}</svg>'
    )
    return whole.format(id_, HEIGHT, Markup("").join(parts))


def _y(value: float, top: float) -> float:
    return round(HEAD + (1 - min(value / top, 1)) * (HEIGHT - HEAD - FOOT), 1)


def _bars(series: Series, points: Sequence[str], top: float, written: Callable[[float], str]) -> Markup:
    wide, zero = 100 / max(len(points), 1), _y(0, top)
    bar = Markup('<rect class="{}" x="{:.3f}%" y="{}" width="{:.3f}%" height="{:.1f}"><title>{}</title></rect>')
    drawn = []
    for place, (point, value) in enumerate(zip(points, series.values, strict=True)):
        if value:
            left, y, said = wide * (place + GAP / 2), _y(value, top), f"{point}: {written(value)} {series.name}"
            drawn.append(bar.format(series.tone, left, y, wide * (1 - GAP), zero - y, said))
    return Markup("").join(drawn)


def _line(series: Series, points: Sequence[str], top: float, written: Callable[[float], str]) -> Markup:
    wide = 100 / max(len(points), 1)
    at = [
        None if value is None else (wide * (place + 0.5), _y(value, top)) for place, value in enumerate(series.values)
    ]
    drawn = [
        Markup('<line class="{}" x1="{:.3f}%" y1="{}" x2="{:.3f}%" y2="{}"></line>').format(series.tone, *one, *other)
        for one, other in pairwise(at)
        if one is not None and other is not None
    ]
    for place, (dot, value) in enumerate(zip(at, series.values, strict=True)):
        alone = dot is not None and not any(at[max(place - 1, 0) : place] + at[place + 1 : place + 2])
        if dot is not None and value is not None and (alone or len(points) <= DOTTED):
            said = f"{points[place]}: {written(value)} {series.name}"
            circle = Markup('<circle class="{}" cx="{:.3f}%" cy="{}" r="3"><title>{}</title></circle>')
            drawn.append(circle.format(series.tone, *dot, said))
    return Markup("").join(drawn)


def _across(y: float) -> Markup:
    return Markup('<line class="grid" x1="0" y1="{0}" x2="100%" y2="{0}"></line>').format(y)


def _scale(y: float, name: str) -> Markup:
    return Markup('<text class="scale" x="0" y="{}">{}</text>').format(y - 4, name)


def _names(points: Sequence[str], named: Sequence[str]) -> list[tuple[int, str]]:
    """The points that are named: none so late that its name would leave the chart."""
    step = -(-len(points) // NAMES)
    chosen = enumerate(named) if named else ((place, points[place]) for place in range(0, len(points), max(step, 1)))
    return [(place, name) for place, name in chosen if name and place <= len(points) * (1 - 1 / (NAMES + 2))]


def _name(place: int, count: int, name: str) -> Markup:
    return Markup('<text class="name" x="{:.3f}%" y="{}">{}</text>').format(100 * place / count, HEIGHT - 4, name)


def _apart(marks: Sequence[Mark]) -> list[Mark]:
    """The marks in their order; one so near behind another that their names would meet has no name."""
    ordered = sorted(marks, key=lambda mark: mark.place)
    near = [False, *(after.place - before.place < APART for before, after in pairwise(ordered))]
    return [mark._replace(name="") if too_near else mark for mark, too_near in zip(ordered, near, strict=False)]


def _mark(mark: Mark) -> Markup:
    x, late = 100 * mark.place, mark.place > 1 - 1 / NAMES
    return Markup(
        '<line class="mark" x1="{0:.3f}%" y1="4" x2="{0:.3f}%" y2="{1}"></line>'
        '<text class="mark" x="{0:.3f}%" y="12" dx="{2}" text-anchor="{3}">{4}</text>'
    ).format(x, HEIGHT - FOOT, -4 if late else 4, "end" if late else "start", mark.name)
