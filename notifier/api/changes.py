"""`GET /v1/changes`: what became of deliveries, for services that ask rather than be told."""

from typing import Annotated, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from notifier.api.endpoints import ApiContext, Endpoint
from notifier.api.http import answer, on_leaving, read_query
from notifier.api.latency import WAITED
from notifier.changes.views import ChangeFilter, ChangeView
from notifier.changes.waiting import TooManyWait, Waiter
from notifier.domain.changes import TOLD, Place, make_cursor, read_cursor
from notifier.domain.keys import ApiKey, Bounds
from notifier.domain.problems import problem
from notifier.domain.text import WORD
from notifier.store.core.database import Database
from notifier.store.reading import changes as log
from notifier.store.reading.changes import PastRetention

MOST: Final = 1000
"""Changes on a page: some 400 kB of JSON."""
LONGEST: Final = 30
"""Seconds that a request waits at most: proxies commonly give up after a minute."""
WAIT_AGAIN: Final = 5
"""Seconds after which a request asks again that found too many waiting."""
NOW: Final = "now"
"""What stands for the place behind all changes so far."""

Names = Annotated[str, msgspec.Meta(max_length=2000, pattern=WORD)]


class ChangesQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a page begins, and which changes are on it: `after` is the `next` of the page before, or `now`; without it
    the page begins with the oldest change that is kept. `types` are event types and `states` states of deliveries, with
    commas between them; all without. Where there is nothing yet the answer comes with the first change, and after
    `wait` seconds at the latest."""

    after: Annotated[str, msgspec.Meta(max_length=2000, pattern=WORD)] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST)] = 250
    wait: Annotated[int, msgspec.Meta(ge=0, le=LONGEST)] = 0
    types: Names = ""
    states: Names = ""


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """A page of changes, oldest first. `next` is where the next page begins, now or later; `more` says that there may
    be more already, even where this page is empty."""

    changes: list[ChangeView]
    next: str
    more: bool


async def get_changes(request: Request, context: ApiContext) -> Response:
    """Return what became of deliveries since a place in the log: each state that a delivery has come to, in order.

    Keep `next`, and pass it as `after` of the next request: nothing is missed in between. Of one delivery the changes
    have the order in which they happened. A key that is bound to sources or event types sees the changes of those.

    With `wait` a request for what isn't there yet is answered as soon as it is, within a second or so. Where too many
    wait already it is refused (42903).
    """
    asked = read_query(request, ChangesQuery)
    key: ApiKey = request.state.key
    wanted = ChangeFilter(
        states=frozenset(_states(asked.states)), bounds=(key.bounds, Bounds(types=tuple(_split(asked.types))))
    )
    waiter = Waiter(key.id, wanted)
    try:
        place = await _place(context.engine.database, asked.after)
        async with on_leaving(request, waiter.leave):
            page = await context.waiting.find(waiter, place, asked.limit, asked.wait)
    except PastRetention:
        raise problem(
            41001,
            "the changes behind this cursor are not kept any more; go on without `after`, from the oldest kept",
            "/after",
        ) from None
    except TooManyWait:
        raise problem(42903, "too many requests of this key or process wait", retry_after=WAIT_AGAIN) from None
    request.scope[WAITED] = waiter.waited
    return answer(Changes(changes=page.changes, next=make_cursor(page.end), more=page.more))


async def _place(database: Database, after: str | None) -> Place:
    if after is None:
        return await log.oldest(database)
    if after == NOW:
        return await log.newest(database)
    place = read_cursor(after, len(database.buckets))
    if place is None:
        raise problem(42205, "after is the `next` of an earlier answer, or `now`", "/after")
    return place


def _states(text: str) -> list[str]:
    states = _split(text)
    if not TOLD.issuperset(states):
        raise problem(42205, f"a state is one of {', '.join(sorted(TOLD))}", "/states")
    return states


def _split(text: str) -> list[str]:
    return [each for each in text.split(",") if each]


ENDPOINTS = [
    Endpoint(
        method="GET",
        path="/v1/changes",
        scope="changes:read",
        handler=get_changes,
        summary="Read what became of deliveries, from a place on",
        query=ChangesQuery,
        gives={200: Changes},
        problems=(41001, 42205, 42903),
    ),
]
