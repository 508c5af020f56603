"""Activity: the newest deliveries, by type, channel, state or recipient, live."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from notifier.console import live
from notifier.console.pages import draw, page
from notifier.console.screens import Context, Screen
from notifier.deliveries import Channel, State
from notifier.store import activity
from notifier.store.activity import Filter
from notifier.store.paging import Place

PAGE = 50  # deliveries
_PLACE = re.compile(r"([0-9]{1,16})-([0-9a-f]{32})")


async def get_activity(request: Request, context: Context) -> Response:
    """A page of deliveries, newest first."""
    wanted, place = _wanted(request.query_params), read_place(request)
    found = await activity.find(context.engine.database, wanted, place, PAGE)
    choices = {
        "type": sorted(context.engine.catalog.types),
        "channel": [channel.value for channel in Channel],
        "state": [state.value for state in State],
    }
    return page(request, context, "activity.html", wanted=wanted, place=place, found=found, choices=choices)


async def get_live(request: Request, context: Context) -> Response:
    """The first page as it changes."""
    wanted = _wanted(request.query_params)

    async def drawn() -> str:
        found = await activity.find(context.engine.database, wanted, None, PAGE)
        return draw("_activity.html", context, request.state.visit, wanted=wanted, found=found)

    return live.stream(drawn)


def read_place(request: Request) -> Place | None:
    """Where a page begins, by `after`; raises HTTPException for one that we did not make."""
    after = request.query_params.get("after")
    if after is None:
        return None
    match = _PLACE.fullmatch(after)
    if match is None:
        raise HTTPException(400)
    return Place(int(match[1]), match[2])


def _wanted(parameters: Mapping[str, str]) -> Filter:
    given: dict[str, Any] = {name: parameters.get(name) or None for name in Filter.__struct_fields__}
    try:
        return msgspec.convert(given, Filter)
    except msgspec.ValidationError:
        raise HTTPException(400) from None


SCREENS = [
    Screen(path="/activity", handler=get_activity, permission="read", title="Activity", key="a"),
    Screen(path="/activity/live", handler=get_live, permission="read"),
]
