"""`/map`: where one can charge now, on a map and in a list, live; as a page, within pages of others, and by the signed
link of a person."""

from typing import Final, NamedTuple

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from notifier.api.endpoints import ApiContext, Endpoint
from notifier.api.map.assets import AGAIN, ASSETS, FOR_EVER, VERSION
from notifier.api.map.document import chosen_of
from notifier.api.stations.searching import MOST_RADIUS, Search, search
from notifier.api.stations.view import View
from notifier.domain.errors import Problem
from notifier.domain.links import MapAccess
from notifier.domain.published import Station
from notifier.store.people import recipients

LISTED: Final = 50
"""Places, or parts of the world, in the list for browsers that run no script."""


class Around(NamedTuple):
    """Somewhere with places."""

    latitude: float
    longitude: float
    stations: int

    @property
    def name(self) -> str:
        """How the place is called, of which nothing but its coordinates is known: "30.27° N, 97.74° W"."""
        north, east = ("N" if self.latitude >= 0 else "S"), ("E" if self.longitude >= 0 else "W")
        return f"{abs(self.latitude):.2f}° {north}, {abs(self.longitude):.2f}° {east}"


async def get_map(request: Request, context: ApiContext) -> Response:
    """Show where one can charge now: a map, and a list of the same places.

    Without a script there is a list alone, of the places that are nearest to `near`.
    """
    near = request.query_params.get("near")
    view, chosen = await context.stations.view(), chosen_of(request)
    narrowed = Search(connector=chosen.connector, min_kw=chosen.min_kw, free=chosen.free)
    if near is None:
        return context.map.answer(request, personal=False, nearby=None, around=_around(view))
    asked = msgspec.structs.replace(narrowed, near=near, radius=MOST_RADIUS, limit=LISTED)
    try:
        nearby = [_station(each) for each in search(view, asked).stations]
    except Problem:  # what was typed into the address is no place
        nearby = []
    return context.map.answer(request, personal=False, nearby=nearby, around=())


async def get_personal_map(request: Request, context: ApiContext) -> Response:
    """Show the map to the person of the link, who can ask there to be told when a port is free."""
    link: MapAccess = request.state.link
    found = await recipients.find(context.engine.database, link.recipient_id)
    if found is None:
        return context.pages.no_such_link(request)
    return context.map.answer(request, personal=True, locale=found[0].facts.language, nearby=None, around=())


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
    return ASSETS["embed.js"].answer(request, AGAIN)


def _around(view: View) -> list[Around]:
    """Return where there are places, the most first."""
    found = search(view, Search(limit=1))
    first = [Around(each.latitude, each.longitude, each.stations) for each in found.clusters]
    alone = [Around(each.latitude, each.longitude, 1) for each in map(_station, found.stations)]
    return sorted([*first, *alone], key=lambda each: -each.stations)[:LISTED]


def _station(found: Station | msgspec.Raw) -> Station:
    return found if isinstance(found, Station) else msgspec.json.decode(found, type=Station)


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
        handler=get_personal_map,
        summary="Where one can charge now, for one person",
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
        problems=(40401,),
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
