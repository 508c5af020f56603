"""Outcomes: what messages achieved, of all types, and of each with its course over time, its channels and languages."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from notifier.console.charts import Mark, Series, ceiling, chart
from notifier.console.editor import kind_of
from notifier.console.pages import page
from notifier.console.screens import ConsoleContext, Screen
from notifier.domain.catalog import NotificationType
from notifier.domain.clock import DAY, HOUR, to_datetime
from notifier.domain.effects import ANY, HOURS_OF_A_DAY, first_by_hour, hour_of
from notifier.domain.figures import By, Figures, Span, day_of, figures, hour_text, span_of
from notifier.store.console import versions
from notifier.why import outcomes

HOURLY: Final = "hours"
PERIODS: Final = {HOURLY: "3 days, by hour", "7": "7 days", "30": "30 days", "90": "90 days", "365": "365 days"}
"""The periods that can be looked at, by the number of their days, and in words."""
USUAL: Final = "30"


class Period(NamedTuple):
    """The time that a page is about, told apart by its hours or its days."""

    name: str
    span: Span
    by: By

    @property
    def said(self) -> str:
        """Return it in words."""
        return "the last three days" if self.by == "hour" else f"the last {PERIODS[self.name]}"


class TypeFigures(NamedTuple):
    """A type in the list, and its figures."""

    notification_type: NotificationType
    figures: Figures


class Point(NamedTuple):
    """A day or an hour, as the width of a chart and a line of its table name it."""

    name: str
    label: str
    figures: Figures


async def get_outcomes(request: Request, context: ConsoleContext) -> Response:
    """Show what messages of each type achieved."""
    engine, now = context.engine, context.engine.clock.now()
    period = _period(request, now)
    types = {id_: outcome for id_, outcome in outcomes.of_catalog(engine.catalog).items() if id_ != ANY}
    found = {each.type: each for each in await outcomes.look(engine.database, types, period.span, now)}
    lines = [TypeFigures(kind, found.get(kind.id, Figures(type=kind.id))) for kind in engine.catalog.types.values()]
    lines.sort(key=lambda line: (-line.figures.sent, line.notification_type.name))
    choices = await outcomes.look(engine.database, {ANY: None}, period.span, now, "variant")
    return page(
        request, context, "outcomes.html", period=period, periods=PERIODS, lines=lines, choices=choices
    )  # fmt: skip


async def get_type(request: Request, context: ConsoleContext) -> Response:
    """Show what messages of a type achieved over time, by channel and by language."""
    engine, now, kind = context.engine, context.engine.clock.now(), kind_of(request, context)
    period, own = _period(request, now), {kind.id: kind.outcome}
    over_time = await outcomes.read(engine.database, own, period.span, now, period.by)
    apart = await outcomes.read(engine.database, own, period.span, now, None, ("channel", "locale"))
    begins, ends = period.span.since * HOUR, min(period.span.until * HOUR, now)
    published = await versions.published(engine.database, kind.id, begins, ends)
    points = _points(period, now, {each.group: each for each in figures(over_time, own, now, period.by)})
    marks = [Mark(f"v{each.number}", (each.published_at - begins) / _width(points, period)) for each in published]
    (whole,) = figures(apart, own, now) or [Figures(type=kind.id)]
    return page(
        request, context, "outcome.html", kind=kind, period=period, periods=PERIODS, whole=whole, points=points,
        channels=figures(apart, own, now, "channel"), published=published,
        locales=[each for each in figures(apart, own, now, "locale") if each.group],
        messages=_messages(kind, period, points, marks), reached=_reached(kind, period, points, marks),
    )  # fmt: skip


async def get_csv(request: Request, context: ConsoleContext) -> Response:
    """Return the figures of a page as a table: of all types, or of one by day or hour."""
    engine, now, type_ = context.engine, context.engine.clock.now(), request.query_params.get("type")
    period, known = _period(request, now), outcomes.of_catalog(engine.catalog)
    if type_ is not None and type_ not in known:
        raise HTTPException(404)
    own, by = (known, None) if type_ is None else ({type_: known[type_]}, period.by)
    found = await outcomes.look(engine.database, own, period.span, now, by)
    headers = {"Content-Disposition": f'attachment; filename="outcomes-{period.name}.csv"'}
    return Response(outcomes.as_csv(found), media_type="text/csv", headers=headers)


def _period(request: Request, now: int) -> Period:
    """Return the period that is asked for; raises HTTPException where there is no such one."""
    name = request.query_params.get("period", USUAL)
    if name not in PERIODS:
        raise HTTPException(400)
    if name == HOURLY:
        return Period(name, span_of(first_by_hour(now) * HOUR, now, "hour"), "hour")
    return Period(name, span_of(now - (int(name) - 1) * DAY, now, "day"), "day")


def _points(period: Period, now: int, found: dict[str | None, Figures]) -> list[Point]:
    """Return a point for each day or hour of the period up to now, of what is counted nothing as well."""
    if period.by == "hour":
        hours = range(period.span.since, hour_of(now) + 1)
        groups = [(hour_text(hour), f"{to_datetime(hour * HOUR):%-d %b, %H:%M}") for hour in hours]
    else:
        hours = range(period.span.since, hour_of(now) + 1, HOURS_OF_A_DAY)
        groups = [(day_of(hour), f"{to_datetime(hour * HOUR):%-d %b}") for hour in hours]
    return [Point(group, label, found.get(group, Figures(type=""))) for group, label in groups]


def _width(points: Sequence[Point], period: Period) -> int:
    """Return the milliseconds of all points together."""
    return len(points) * (HOUR if period.by == "hour" else DAY)


def _named(points: Sequence[Point], period: Period) -> list[str]:
    """Return the points' names below a chart: of hours, days where they begin; of days, as many as fit."""
    if period.by == "day":
        return []
    return [point.label.partition(",")[0] if point.label.endswith("00:00") else "" for point in points]


def _messages(kind: NotificationType, period: Period, points: Sequence[Point], marks: Sequence[Mark]) -> Markup:
    values = [each.figures for each in points]
    sent: list[float | None] = [each.sent for each in values]
    series = [
        Series("sent", "first", sent),
        Series("delivered", "second", [each.delivered for each in values]),
        Series("opened", "third", [each.opened for each in values]),
    ]
    return chart(
        "messages", f"{kind.name}: messages in {period.said}",
        f"Bars of messages sent, delivered and opened. {_peak(points, sent)}", [each.label for each in points], series,
        top=ceiling([value for each in series for value in each.values]), written=lambda value: f"{value:,.0f}",
        named=_named(points, period), marks=marks,
    )  # fmt: skip


def _reached(kind: NotificationType, period: Period, points: Sequence[Point], marks: Sequence[Mark]) -> Markup:
    shares = [each.figures.share for each in points]
    known = [share for share in shares if share is not None]
    told = f"From {min(known):.0%} to {max(known):.0%}." if known else "None is final yet."
    return chart(
        "reached", f"{kind.outcome.name if kind.outcome else ''}: share in {period.said}",
        f"A line of the share of people of whom it came in time. {told}", [each.label for each in points],
        [Series("of people", "third", shares, "line")], top=1.0, written=lambda value: f"{value:.0%}",
        named=_named(points, period), marks=marks,
    )  # fmt: skip


def _peak(points: Sequence[Point], sent: Sequence[float | None]) -> str:
    most = max(range(len(points)), key=lambda place: sent[place] or 0)
    return f"Most were sent on {points[most].label}: {sent[most]:,}." if sent[most] else "None were sent."


SCREENS = [
    Screen(path="/outcomes", handler=get_outcomes, permission="read", title="Outcomes", key="o"),
    Screen(path="/outcomes/csv", handler=get_csv, permission="read"),
    Screen(path="/outcomes/{type}", handler=get_type, permission="read"),
]
