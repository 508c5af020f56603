"""What became of deliveries and events: `GET /v1/deliveries` and `GET /v1/events`, for the services that reported them.

A key is told about events within its bounds only: another event is answered as one that doesn't exist. No answer holds
an address, a text or what a person chose; `recipient` is the id that the recipient's service chose.
"""

from datetime import datetime
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from notifier.api.endpoints import ApiContext, Endpoint
from notifier.api.explaining import MOST as MOST_DECISIONS
from notifier.api.explaining import DecisionCursor, last_of
from notifier.api.http import answer, read_query
from notifier.api.naming import EventNames
from notifier.domain.clock import to_instant
from notifier.domain.cloudevents import TypeName
from notifier.domain.deliveries import Channel, State
from notifier.domain.ids import FORM, is_id
from notifier.domain.preferences import Key
from notifier.domain.problems import problem
from notifier.domain.text import END
from notifier.domain.twins import twin
from notifier.store.core.paging import PageKey
from notifier.store.reading import explaining, listing
from notifier.store.reading.explaining import ExplanationQuery
from notifier.store.reading.listing import DeliveryFilter
from notifier.why.following import DeliveryHistory, DeliveryStatus, EventStatus, event_status, history, status

MOST = 500  # deliveries on a page


class EventQuery(EventNames, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An event, by our id (`event`) or by its `source` and the `id` given there, and a page of its decisions; `cursor`
    is the `next` of the page before."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST_DECISIONS)] = 50
    cursor: DecisionCursor | None = None


class DeliveryQuery(EventNames, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The filter and page of a list of deliveries: those of an `event`, by our id or by its `source` and the `id` given
    there; of a `recipient`, a notification `type`, a `channel`, a `state`; created from `since` to before `until` (RFC
    3339). `cursor` is the `next` of the page before."""

    recipient: Key | None = None
    type: TypeName | None = None
    channel: Channel | None = None
    state: State | None = None
    since: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    until: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST)] = 100
    cursor: Annotated[str, msgspec.Meta(max_length=49, pattern=f"^[0-9]{{1,16}}-{FORM}{END}")] | None = None

    @property
    def after(self) -> PageKey | None:
        at, _, id_ = (self.cursor or "").partition("-")
        return PageKey(int(at), id_) if id_ else None

    def filter(self, event: str | None, *, test: bool) -> DeliveryFilter:
        """What to look for, among tests or others; of an event by its id here."""
        return DeliveryFilter(
            type=twin(self.type) if test and self.type else self.type,
            channel=self.channel, state=self.state, recipient=self.recipient, event=event,
            since=None if self.since is None else to_instant(self.since),
            until=None if self.until is None else to_instant(self.until),
        )  # fmt: skip


class DeliveryPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of deliveries, newest first. `next` is the cursor of the next page, null on the last. A page that has
    looked through as many deliveries as it may is short, or empty, and has a `next`."""

    deliveries: list[DeliveryStatus]
    next: str | None


async def get_deliveries(request: Request, context: ApiContext) -> Response:
    """List deliveries, newest first, of the events that the key may report.

    A page may be short and have a `next`: go on until there is none.
    """
    wanted, key, database = read_query(request, DeliveryQuery), request.state.key, context.engine.database
    named = await wanted.find(database, key.bounds)
    if wanted.names and named is None:
        return answer(DeliveryPage(deliveries=[], next=None))
    found = await listing.find(database, wanted.filter(named, test=key.test), wanted.after, wanted.limit, key.bounds)
    digests = await listing.digests_of(database, found.rows)
    told = [status(line, digests.get(line.digest_id or "")) for line in found.rows]
    cursor = None if found.next is None else f"{found.next.at}-{found.next.id}"
    return answer(DeliveryPage(deliveries=told, next=cursor))


async def get_delivery(request: Request, context: ApiContext) -> Response:
    """Return a delivery as it is now, with its attempts at providers."""
    id_, key, database = request.path_params["id"], request.state.key, context.engine.database
    found = await listing.get(database, id_, key.bounds) if is_id(id_) else None
    if found is None:
        raise problem(40401, "there is no such delivery")
    digests = await listing.digests_of(database, [found.line])
    return answer(history(found, digests.get(found.line.digest_id or "")))


async def get_event(request: Request, context: ApiContext) -> Response:
    """Return what became of an event: who was told on which channels, who wasn't and why, and every delivery.

    The event is named by its `source` and `id`, or by our id. One that the key may not report is not found.
    """
    wanted, bounds, engine = read_query(request, EventQuery), request.state.key.bounds, context.engine
    if wanted.names != 1:
        raise problem(42205, "give event, or source and id, to name an event", "/event")
    named = await wanted.find(engine.database, bounds)
    page = ExplanationQuery(event=named, limit=wanted.limit, after=last_of(wanted.cursor), bounds=bounds)
    found = await explaining.read(engine.database, page)
    if found is None:
        raise problem(40401, "there is no such event")
    digests = await listing.digests_of(engine.database, found.sent.values())
    return answer(event_status(engine.catalog, found, digests))


ENDPOINTS = [
    Endpoint(
        method="GET",
        path="/v1/events",
        scope="deliveries:read",
        handler=get_event,
        summary="Say what became of an event",
        query=EventQuery,
        gives={200: EventStatus},
        problems=(40401, 42205),
    ),
    Endpoint(
        method="GET",
        path="/v1/deliveries",
        scope="deliveries:read",
        handler=get_deliveries,
        summary="List deliveries, newest first",
        query=DeliveryQuery,
        gives={200: DeliveryPage},
        problems=(42205,),
    ),
    Endpoint(
        method="GET",
        path="/v1/deliveries/{id}",
        scope="deliveries:read",
        handler=get_delivery,
        summary="Say what became of a delivery",
        gives={200: DeliveryHistory},
        problems=(40401,),
    ),
]
