"""`/map`, and what it loads from `/map/static/{version}/{name}`.

The version in an address is that of all files together, so that scripts import each other by plain names and browsers
keep everything for ever.
"""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final, NamedTuple
from urllib.parse import urlencode

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from notifier.api.endpoints import ApiContext, Endpoint
from notifier.api.map.assets import AGAIN, ASSETS, FOR_EVER, VERSION
from notifier.api.stations.searching import MOST_RADIUS, Search, search
from notifier.api.stations.view import View
from notifier.domain.errors import Problem
from notifier.domain.published import Place, Station

LISTED: Final = 20
"""Places, or towns, that are listed where no script runs."""
LOOKED_AT: Final = 2_000
"""Places that are looked at for the towns: so the page costs the same whatever the network's size."""
EMBED: Final = ASSETS["embed.js"]


class Town(NamedTuple):
    """A town with stations: its name, how many, and the query of the page that lists what is near."""

    name: str
    stations: int
    query: str


async def get_map(request: Request, context: ApiContext) -> Response:
    """Show where one can charge now: a map, and a list of the same places."""
    view = await context.stations.view()
    near = request.query_params.get("near")
    nearby = None if near is None else _nearby(view, near)
    around = towns(view.places.values()) if nearby is None else ()
    return context.map.answer(request, personal=False, nearby=nearby, around=around)


async def get_own_map(request: Request, context: ApiContext) -> Response:
    """Show the map to the link's person, who can ask there to be told when a port is free."""
    return context.map.answer(request, personal=True, nearby=None, around=())


def _nearby(view: View, near: str) -> Sequence[Station] | None:
    """The stations nearest to a point; None where it is none."""
    try:
        found = search(view, Search(near=near, radius=MOST_RADIUS, limit=LISTED)).stations
    except Problem:
        return None
    return [msgspec.json.decode(msgspec.json.encode(each), type=Station) for each in found]


def towns(places: Iterable[Place]) -> list[Town]:
    """The towns with most stations, of the first places that are shown."""
    known: dict[str, list[Place]] = {}
    for place in islice((each for each in places if each.shown and each.city), LOOKED_AT):
        known.setdefault(place.city, []).append(place)
    most = sorted(known.items(), key=lambda each: (-len(each[1]), each[0]))[:LISTED]
    return [Town(name, len(own), urlencode({"near": _middle(own)})) for name, own in most]


def _middle(places: Sequence[Place]) -> str:
    latitude = sum(each.latitude for each in places) / len(places)
    return f"{latitude:.4f},{sum(each.longitude for each in places) / len(places):.4f}"


async def get_asset(request: Request, _context: ApiContext) -> Response:
    """Return a file that the map page loads.

    An address of another version, as a page of another release has it, gets the file of now, which isn't kept.
    """
    asset = ASSETS.get(request.path_params["name"])
    if asset is None:
        raise HTTPException(404)
    return asset.answer(request, FOR_EVER if request.path_params["version"] == VERSION else AGAIN)


async def get_embed(request: Request, _context: ApiContext) -> Response:
    """Return the script by which a page of others shows the map where its tag stands."""
    return EMBED.answer(request, AGAIN)


ENDPOINTS = [
    Endpoint(
        method="GET",
        path="/map",
        scope=None,
        handler=get_map,
        summary="Where one can charge now",
        gives={200: None},
        of_map=True,
    ),
    Endpoint(
        method="GET",
        path="/map/{token}",
        scope=None,
        signed_by="map_link",
        handler=get_own_map,
        summary="Where one can charge now, and to be told when a port is free",
        gives={200: None},
        of_map=True,
    ),
    Endpoint(
        method="GET",
        path="/map/static/{version}/{name}",
        scope=None,
        handler=get_asset,
        summary="What the map page loads",
        gives={200: None},
        of_map=True,
    ),
    Endpoint(
        method="GET",
        path="/map/embed.js",
        scope=None,
        handler=get_embed,
        summary="A script that shows the map in a page of others",
        gives={200: None},
        of_map=True,
    ),
]
