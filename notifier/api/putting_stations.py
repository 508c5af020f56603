"""Stations of a network that speaks no OCPI: where they are, and which ports they have."""

from functools import partial

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from notifier.api.endpoints import ApiContext, Endpoint
from notifier.api.http import answer, read_json
from notifier.domain.problems import from_decoding, problem
from notifier.domain.stations import LocationId
from notifier.pipeline.station_details import PlaceIsOthers, StationDetails, put, remove
from notifier.store.stations import locations

MAX_BODY = 1024 * 1024  # bytes: a thousand ports take a quarter of it


class PutStation(msgspec.Struct, frozen=True):
    """The id under which a station was put, and the ids of its ports."""

    id: str
    ports: list[str]


async def put_station(request: Request, context: ApiContext) -> Response:
    """Put a station whole: its name, where it is, and its ports; those that it had and that aren't named are removed.

    A port that is `ocpp` is told of by the frames of that station and connector. One that isn't may have a `status`
    here. The same again changes nothing.
    """
    id_ = _id(request)
    details = await read_json(request, StationDetails, MAX_BODY)
    try:
        step = partial(put, id_=id_, details=details, now=context.engine.clock.now())
        stored = await locations.update(context.engine.whole.database, id_, step)
    except PlaceIsOthers as error:
        raise problem(40902, str(error)) from None
    assert stored is not None  # noqa: S101 (it was put)
    return answer(PutStation(id_, sorted(stored.evses)), 200)


async def delete_station(request: Request, context: ApiContext) -> Response:
    """Remove a station: it is shown no more, and its ports are removed."""
    id_ = _id(request)
    try:
        step = partial(remove, now=context.engine.clock.now())
        stored = await locations.update(context.engine.whole.database, id_, step)
    except PlaceIsOthers as error:
        raise problem(40902, str(error)) from None
    if stored is None:
        raise problem(40401, "there is no station with this id")
    return Response(status_code=204)


def _id(request: Request) -> str:
    try:
        return msgspec.convert(request.path_params["id"], LocationId)
    except msgspec.ValidationError as error:
        raise from_decoding(42205, error, "/id") from None


STATION = "/v1/stations/{id}"
ENDPOINTS = [
    Endpoint(
        method="PUT",
        path=STATION,
        scope="stations:write",
        handler=put_station,
        summary="Stations: put one with its ports",
        takes={"application/json": StationDetails},
        gives={200: PutStation},
        problems=(40902, 42205),
    ),
    Endpoint(
        method="DELETE",
        path=STATION,
        scope="stations:write",
        handler=delete_station,
        summary="Stations: remove one",
        gives={204: None},
        problems=(40401, 40902, 42205),
    ),
]
