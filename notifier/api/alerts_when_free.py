"""People ask to be told when a port of a station is free: by a service that they use, or by their own link."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from notifier.api.endpoints import ApiContext, Endpoint
from notifier.api.http import answer, read_body
from notifier.api.recipients import NOBODY, recipient_id
from notifier.domain.availability_alerts import MOST, Alert, Ended, Standard, ahead, passed
from notifier.domain.clock import to_datetime
from notifier.domain.links import VISIT, MapAccess
from notifier.domain.problems import UNDECODABLE, from_decoding, problem
from notifier.pipeline import availability
from notifier.store.people import recipients
from notifier.store.stations import alerts
from notifier.store.stations.alerts import Standing

MAX_ASKED = 1024
"""Bytes of what an alert is for."""
PRIVATE = {"Cache-Control": "no-store"}
"""What one person has asked for is nobody else's."""


class AlertDetails(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which connector must be free, such as `IEC_62196_T2_COMBO`; any where it is left out or null."""

    connector: Standard | None = None


class AlertView(msgspec.Struct, frozen=True, kw_only=True):
    """An alert, which is answered once.

    While it is `waiting`, `ahead` is how many are told before its person, and `until` when it ends by itself. Once it
    is `offered` a port, nobody else who waits is told of that `until` then. `over` says that it was answered, that
    nothing got free in time, or that its person began to charge; `until` is when.
    """

    station: str
    name: str
    connector: str | None
    state: Literal["waiting", "offered", "over"]
    ahead: int
    asked_at: datetime
    until: datetime


class Alerts(msgspec.Struct, frozen=True, kw_only=True):
    """A person's alerts, those asked for last first, one of each station; those that are over for a day. `most` is how
    many may wait at once."""

    alerts: list[AlertView]
    most: int = MOST


class MapLink(msgspec.Struct, frozen=True, kw_only=True):
    """The URL of the map for one person, and when it expires."""

    url: str
    expires_at: datetime


async def post_map_link(request: Request, context: ApiContext) -> Response:
    """Create a link by which a person sees the map for a day, and asks to be told when a port is free, without a login:
    for an app to open.

    Anybody who has the link can use it, so give it to nobody else and don't store it.
    """
    id_ = recipient_id(request)
    engine, now = context.engine, context.engine.clock.now()
    await _exists(context, id_)
    link = MapLink(url=engine.links.map_url(id_, now), expires_at=to_datetime(now + VISIT))
    return answer(link, headers=PRIVATE)


async def get_alerts(request: Request, context: ApiContext) -> Response:
    """List the stations at which a recipient waits for a free port, and how many are told before them."""
    id_ = recipient_id(request)
    await _exists(context, id_)
    return await _list(context, id_)


async def put_alert(request: Request, context: ApiContext) -> Response:
    """Have a recipient told once when a port of a station is free (201), after all who asked before; repeated, nothing
    changes (200). For another connector it is a new question, behind all others.

    A port counts as free once it has been available for 45 seconds. An alert ends when it is answered, after two hours,
    or when its person begins to charge.
    """
    return await _put(request, context, recipient_id(request))


async def delete_alert(request: Request, context: ApiContext) -> Response:
    """End a recipient's alert: nothing more is told. Repeating the request changes nothing."""
    await availability.leave(context.engine, recipient_id(request), _station(request))
    return Response(status_code=204)


async def get_own_alerts(request: Request, context: ApiContext) -> Response:
    """List the stations at which the link's person waits, as `GET /v1/recipients/{id}/alerts` does."""
    return await _list(context, _own(request))


async def put_own_alert(request: Request, context: ApiContext) -> Response:
    """Have the link's person told when a port is free, as `PUT /v1/recipients/{id}/alerts/{station}` does."""
    return await _put(request, context, _own(request))


async def delete_own_alert(request: Request, context: ApiContext) -> Response:
    """End an alert of the link's person. Repeating the request changes nothing."""
    await availability.leave(context.engine, _own(request), _station(request))
    return Response(status_code=204, headers=PRIVATE)


async def _put(request: Request, context: ApiContext, id_: str) -> Response:
    body = await read_body(request, MAX_ASKED)
    try:
        wanted = msgspec.json.decode(body or b"{}", type=AlertDetails)
    except UNDECODABLE as error:
        raise from_decoding(42205, error) from None
    made, is_new = await availability.ask(context.engine, id_, _station(request), wanted.connector)
    found = [each for each in await alerts.of_person(context.engine.database, id_) if each.alert.id == made.id]
    told = found[0] if found else Standing(made, "", [])  # erased at the same moment
    return answer(_view(told, context.engine.clock.now()), 201 if is_new else 200, headers=PRIVATE)


async def _list(context: ApiContext, id_: str) -> Response:
    now = context.engine.clock.now()
    found = await alerts.of_person(context.engine.database, id_)
    newest: dict[str, Standing] = {}
    for each in found:
        newest.setdefault(each.alert.location_id, each)
    shown = [each for each in newest.values() if each.alert.ended != Ended.LEFT]
    return answer(Alerts(alerts=[_view(each, now) for each in shown]), headers=PRIVATE)


def _view(standing: Standing, now: int) -> AlertView:
    alert = passed(standing.alert, now)
    others: Sequence[Alert] = [passed(each, now) for each in standing.others]
    return AlertView(
        station=alert.location_id, name=standing.name, connector=alert.connector, state=alert.state.value,
        ahead=ahead(alert, others), asked_at=to_datetime(alert.asked_at), until=to_datetime(alert.until),
    )  # fmt: skip


async def _exists(context: ApiContext, id_: str) -> None:
    if await recipients.find(context.engine.database, id_) is None:
        raise problem(40401, NOBODY)


def _own(request: Request) -> str:
    link: MapAccess = request.state.link
    return link.recipient_id


def _station(request: Request) -> str:
    station: str = request.path_params["station"]
    return station


_OWN, _PATH = "/map/{token}/alerts", "/v1/recipients/{id}/alerts"
_JSON: dict[str, Any] = {"application/json": AlertDetails}

ENDPOINTS = [
    Endpoint(
        method="POST",
        path="/v1/recipients/{id}/map-link",
        scope="recipients:write",
        handler=post_map_link,
        summary="A link to the map for a recipient, good for a day",
        gives={200: MapLink},
        problems=(40401, 42203),
    ),
    Endpoint(
        method="GET",
        path=_PATH,
        scope="recipients:read",
        handler=get_alerts,
        summary="List where a recipient waits for a free port",
        gives={200: Alerts},
        problems=(40401, 42203),
    ),
    Endpoint(
        method="PUT",
        path=f"{_PATH}/{{station}}",
        scope="recipients:write",
        handler=put_alert,
        summary="Tell a recipient when a port is free",
        takes=_JSON,
        gives={200: AlertView, 201: AlertView},
        problems=(40401, 42203, 42205),
    ),
    Endpoint(
        method="DELETE",
        path=f"{_PATH}/{{station}}",
        scope="recipients:write",
        handler=delete_alert,
        summary="End an alert",
        gives={204: None},
        problems=(42203,),
    ),
    Endpoint(
        method="GET",
        path=_OWN,
        scope=None,
        signed_by="map_link",
        handler=get_own_alerts,
        summary="List where I wait for a free port",
        gives={200: Alerts},
        of_map=True,
    ),
    Endpoint(
        method="PUT",
        path=f"{_OWN}/{{station}}",
        scope=None,
        signed_by="map_link",
        handler=put_own_alert,
        summary="Tell me when a port is free",
        takes=_JSON,
        gives={200: AlertView, 201: AlertView},
        problems=(40401, 42205),
        of_map=True,
    ),
    Endpoint(
        method="DELETE",
        path=f"{_OWN}/{{station}}",
        scope=None,
        signed_by="map_link",
        handler=delete_own_alert,
        summary="End my alert",
        gives={204: None},
        of_map=True,
    ),
]
