"""Subscriptions: who is told what became of deliveries, how far each has got, and what can be done about it."""

from typing import Final, NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from notifier.changes import handling
from notifier.console.forms import text
from notifier.console.pages import page
from notifier.console.screens import BASE, ConsoleContext, Screen
from notifier.domain.changes import behind
from notifier.domain.clock import HOUR
from notifier.domain.subscriptions import Subscription
from notifier.store.console import subscriptions
from notifier.store.reading import changes as log
from notifier.store.reading.changes import PastRetention

WHY: Final = {
    "by_hand": "Somebody paused it.", "gone": "Its endpoint answered 410, gone.",
    "failing": "Its endpoint took nothing for 72 hours.",
    "key_lost": "The API key that wrote it is revoked, has expired or lacks the scope.",
    "past_retention": "Its next changes are not kept any more. Replay it from some hours ago.",
}  # fmt: skip
"""Why a subscription is paused, in words."""

HOURS: Final = (1, 6, 24, 72, 168)
"""From how long ago a subscription may be told again."""


class Line(NamedTuple):
    """A subscription in the list, with how many changes it is behind."""

    held: Subscription
    behind: int
    status: str
    tone: str
    why: str = ""


async def get_subscriptions(request: Request, context: ConsoleContext) -> Response:
    """Show all subscriptions."""
    return await _list(request, context)


async def post_pause(request: Request, context: ConsoleContext) -> Response:
    """Pause a subscription."""
    return _done(await handling.pause(context.engine, *_named(request)))


async def post_resume(request: Request, context: ConsoleContext) -> Response:
    """Resume a subscription."""
    try:
        return _done(await handling.resume(context.engine, *_named(request)))
    except PastRetention:
        fault = "Its next changes are not kept any more. Tell it again from some hours ago."
        return await _list(request, context, fault=fault, status=409)


async def post_replay(request: Request, context: ConsoleContext) -> Response:
    """Tell a subscription again what came in the last hours."""
    hours = text(request.state.form, "hours")
    if hours not in map(str, HOURS):
        raise HTTPException(400)
    since = context.engine.clock.now() - int(hours) * HOUR
    id_, actor = _named(request)
    place = await log.since(context.engine.whole.database, since)
    return _done(await handling.replay(context.engine, id_, place, actor))


async def _list(request: Request, context: ConsoleContext, *, fault: str = "", status: int = 200) -> Response:
    database = context.engine.whole.database
    end = await log.newest(database)
    lines = [_line(each, behind(each.place, end)) for each in await subscriptions.every(database)]
    return page(request, context, "subscriptions.html", status=status, lines=lines, fault=fault, hours=HOURS)


def _line(held: Subscription, count: int) -> Line:
    if held.paused is not None:
        return Line(held, count, "paused", "bad", WHY[held.paused])
    if held.failures:
        return Line(held, count, f"failing, {held.failures} tries", "warn")
    return Line(held, count, "up to date" if not count else "being told", "good")


def _named(request: Request) -> tuple[str, str]:
    return text(request.state.form, "id"), request.state.visit.actor


def _done(held: Subscription | None) -> Response:
    if held is None:
        raise HTTPException(404)
    return RedirectResponse(f"{BASE}/subscriptions", 303)


SCREENS = [
    Screen(
        path="/subscriptions", handler=get_subscriptions, permission="read", title="Subscriptions", group="Resolve",
        key="b",
    ),
    Screen(path="/subscriptions/pause", handler=post_pause, permission="operate", method="POST"),
    Screen(path="/subscriptions/resume", handler=post_resume, permission="operate", method="POST"),
    Screen(path="/subscriptions/replay", handler=post_replay, permission="operate", method="POST"),
]  # fmt: skip
