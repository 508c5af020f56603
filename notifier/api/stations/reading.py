"""Endpoints that tell everybody where one can charge now."""

from starlette.requests import Request
from starlette.responses import Response

from notifier.api.endpoints import ApiContext, Endpoint
from notifier.api.http import answer, prefers, read_query
from notifier.api.stations.searching import LiveSearch, Search, Stations, as_geojson, cells_of, needs_of, search
from notifier.domain.problems import problem
from notifier.domain.published import StationDetails, details

GEOJSON = "application/geo+json"
FRESH = {"Cache-Control": "no-cache"}
"""A cache asks again: what is free changes by the second."""


async def get_stations(request: Request, context: ApiContext) -> Response:
    """Return the stations in a box or near a point, with how many of their ports are free.

    A box with more than `limit` stations answers clusters, each the stations of a cell of H3, of which those at the
    edge may reach beyond the box. `near` sorts by distance. `application/geo+json`, or `format=geojson`, is answered a
    FeatureCollection.
    """
    asked = read_query(request, Search)
    found = search(await context.stations.view(), asked)
    if asked.format == "geojson" or prefers(request, GEOJSON):
        response = answer(as_geojson(found), headers=FRESH | {"Vary": "Accept"})
        response.headers["Content-Type"] = GEOJSON
        return response
    return answer(found, headers=FRESH | {"Vary": "Accept"})


async def get_station(request: Request, context: ApiContext) -> Response:
    """Return a station with each of its ports."""
    place = (await context.stations.view()).places.get(request.path_params["id"])
    if place is None or not place.shown:
        raise problem(40401, "no station has this id")
    return answer(details(place), headers=FRESH)


async def get_live(request: Request, context: ApiContext) -> Response:
    """Stream stations as they change (server-sent events): first `snapshot`, the stations or clusters of the cells that
    cover the box, then `change` with the stations of a cell that have changed, and `gone` with the ids of those that
    are no longer shown there; or `clusters` with those that have changed, of which one with 0 stations is no more.

    A cell is told once a second at most. `Last-Event-ID` leaves out what the client has been told already. At a 204 a
    client asks `GET /v1/stations` instead.
    """
    asked = read_query(request, LiveSearch)
    return await context.live.follow(request, cells_of(asked), needs_of(asked.connector, asked.min_kw))


ENDPOINTS = [
    Endpoint(
        method="GET",
        path="/v1/stations",
        scope=None,
        handler=get_stations,
        summary="Find stations: where can one charge now?",
        query=Search,
        gives={200: Stations},
        tables=(GEOJSON,),
        problems=(42205,),
        cross_origin=True,
        of_map=True,
    ),
    Endpoint(
        method="GET",
        path="/v1/stations/live",
        scope=None,
        handler=get_live,
        summary="Follow stations: a stream of what changes",
        query=LiveSearch,
        gives={200: None, 204: None},
        problems=(42205,),
        cross_origin=True,
        of_map=True,
    ),
    Endpoint(
        method="GET",
        path="/v1/stations/{id}",
        scope=None,
        handler=get_station,
        summary="Read a station with its ports",
        gives={200: StationDetails},
        problems=(40401,),
        cross_origin=True,
        of_map=True,
    ),
]
