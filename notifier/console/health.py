"""Health: queues, lanes, providers, the clock and the ledger, live."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from notifier.broker import ASK, CAREFUL, DECIDE, DECIDE_LATER, DECIDE_URGENT, EXPAND, LANES
from notifier.console.pages import draw, page
from notifier.console.screens import ConsoleContext, Screen
from notifier.domain.channels import channels
from notifier.domain.clock import MINUTE, SECOND
from notifier.domain.deliveries import Lane

CLOCK_LATE = 5 * SECOND  # since the clock's last round: ten times a healthy interval
ROW_LATE = 10 * SECOND  # past its due time: the clock signals again every three seconds
COUNTED = 2 * MINUTE  # a count older than this shows its age


async def get_health(request: Request, context: ConsoleContext) -> Response:
    """Show the health screen."""
    return page(request, context, "health.html", **await _seen(context))


async def get_live(request: Request, context: ConsoleContext) -> Response:
    """Stream the health screen as it changes."""

    async def drawn() -> str:
        return draw("_health.html", context, request.state.visit, **await _seen(context))

    return context.streams.stream(drawn)


async def _seen(context: ConsoleContext) -> dict[str, Any]:
    return {
        "health": await context.watch.health(),
        "failures": await context.watch.failures(),
        "books": await context.watch.books(),
        "lanes": {channel: {lane: LANES[channel, lane] for lane in Lane} for channel in channels()},
        "others": (DECIDE_URGENT, DECIDE, DECIDE_LATER, EXPAND, ASK, CAREFUL),
        "clock_late": CLOCK_LATE,
        "row_late": ROW_LATE,
        "counted": COUNTED,
    }


SCREENS = [
    Screen(path="/health", handler=get_health, permission="read", title="Health", key="h"),
    Screen(path="/health/live", handler=get_live, permission="read"),
]
