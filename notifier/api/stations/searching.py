"""Searches of stations: what may be asked, and the answers."""

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Annotated, Any, Final, Literal

import msgspec

from notifier.api.stations.view import Node, View, nodes
from notifier.domain.geography import MOST_CELLS, WORLD, Box, around, cover, distance, read_cell, resolution_of
from notifier.domain.problems import problem
from notifier.domain.published import KW, Cluster, Needs, Place, Station, encode, tell

LIMIT: Final = 100
"""Stations of an answer, unless asked otherwise."""
MOST: Final = 500
"""The most stations of an answer, some 200 KB: a screen of more is unreadable, so it is told clusters."""
RADIUS: Final = 5_000
"""Metres within which `near` looks, unless asked otherwise."""
MOST_RADIUS: Final = 100_000
"""The most metres: a car's range."""
CONNECTORS: Final = 10
"""The most connectors of a search: OCPI knows some forty, and no car takes more than three."""

Connectors = Annotated[
    list[Annotated[str, msgspec.Meta(min_length=1, max_length=50)]], msgspec.Meta(max_length=CONNECTORS)
]
Kw = Annotated[float, msgspec.Meta(ge=0, le=10_000)]


class Search(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked of `GET /v1/stations`: a box, `west,south,east,north`, or a point, `lat,lon`, with a radius in
    metres; all of the world where neither is given. `connector` may be repeated: one of them will do."""

    bbox: str | None = None
    near: str | None = None
    radius: Annotated[float, msgspec.Meta(gt=0, le=MOST_RADIUS)] = RADIUS
    connector: Connectors = []
    min_kw: Kw = 0
    free: bool = False
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST)] = LIMIT
    format: Literal["json", "geojson"] = "json"


class Stations(msgspec.Struct, frozen=True, kw_only=True):
    """Stations, or clusters where they would be too many, as of a revision; `truncated` says that there are more."""

    revision: int
    stations: list[Station | msgspec.Raw]
    clusters: list[Cluster]
    truncated: bool = False


class LiveSearch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked of `GET /v1/stations/live`: a box, or up to 64 cells of H3 in one of the resolutions 0, 1, 3, 5 and
    7, with commas between them; the world where neither is given."""

    bbox: str | None = None
    cells: str | None = None
    connector: Connectors = []
    min_kw: Kw = 0


def needs_of(connectors: Iterable[str], min_kw: float) -> Needs:
    """What a driver needs, of what was asked."""
    return Needs(frozenset(connectors), math.ceil(min_kw * KW))


def read_box(text: str) -> Box:
    """A box of `west,south,east,north`; raises Problem 42205."""
    west, south, east, north = _numbers(text, 4, "/bbox", "west,south,east,north")
    if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south <= north <= 90):
        raise problem(42205, "west and east are from -180 to 180, and -90 ≤ south ≤ north ≤ 90", "/bbox")
    return Box(west, south, east, north)


def cells_of(asked: LiveSearch) -> Sequence[int]:
    """The cells that were asked for; raises Problem 42205."""
    if asked.cells is None:
        return cover(WORLD if asked.bbox is None else read_box(asked.bbox))
    if asked.bbox is not None:
        raise problem(42205, "give either bbox or cells, not both", "/cells")
    try:
        found = sorted(set(map(read_cell, asked.cells.split(","))))
    except ValueError:
        raise problem(42205, "write cells of H3 in resolution 0, 1, 3, 5 or 7, with commas between", "/cells") from None
    if len(found) > MOST_CELLS or len(set(map(resolution_of, found))) > 1:
        raise problem(42205, f"at most {MOST_CELLS} cells, and all of one resolution", "/cells")
    return found


def search(view: View, asked: Search) -> Stations:
    """The stations, or clusters, that were asked for; raises Problem 42205."""
    if asked.bbox is not None and asked.near is not None:
        raise problem(42205, "give either bbox or near, not both", "/near")
    needs = needs_of(asked.connector, asked.min_kw)
    fits = view.fitting(needs)
    wanted = fits if not asked.free else lambda place: fits(place) and needs.has_free(place)
    if asked.near is not None:
        latitude, longitude = _numbers(asked.near, 2, "/near", "lat,lon")
        if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
            raise problem(42205, "the latitude is from -90 to 90, the longitude from -180 to 180", "/near")
        return _near(view, wanted, latitude, longitude, asked)
    box = WORLD if asked.bbox is None else read_box(asked.bbox)
    found = nodes(view, cover(box))
    inside = (each for node in found for each in node.every() if wanted(each) and _in(box, each))
    few = list(islice(inside, asked.limit + 1))
    if len(few) <= asked.limit:
        return Stations(revision=view.revision, stations=[encode(each) for each in few], clusters=[])
    return Stations(revision=view.revision, stations=[], clusters=clusters(found, needs))


def of_cells(view: View, cells: Iterable[int], needs: Needs, limit: int = MOST) -> Stations:
    """All stations of cells that have what a driver needs, or clusters where they are more than the limit."""
    fits, found = view.fitting(needs), nodes(view, cells)
    few = list(islice((each for node in found for each in node.every() if fits(each)), limit + 1))
    if len(few) <= limit:
        return Stations(revision=view.revision, stations=[encode(each) for each in few], clusters=[])
    return Stations(revision=view.revision, stations=[], clusters=clusters(found, needs))


def parts(node: Node) -> Sequence[Node]:
    """The cells whose clusters stand for a cell: the next finer ones, or itself where there are none."""
    return node.children or [node]


def clusters(found: Iterable[Node], needs: Needs) -> list[Cluster]:
    """The clusters of cells, without empty ones."""
    made = [each.cluster(needs) for node in found for each in parts(node) if each.stations]
    return [each for each in made if each.stations]


def as_geojson(found: Stations) -> dict[str, Any]:
    """A FeatureCollection (RFC 7946): stations and clusters are points, which the clusters' `cluster` tells apart."""
    stations = [
        msgspec.json.decode(each) if isinstance(each, msgspec.Raw) else msgspec.to_builtins(each)
        for each in found.stations
    ]
    made = [msgspec.to_builtins(each) | {"id": each.cell, "cluster": True} for each in found.clusters]
    features = [
        {
            "type": "Feature",
            "id": each["id"],
            "geometry": {"type": "Point", "coordinates": [each.pop("longitude"), each.pop("latitude")]},
            "properties": each,
        }
        for each in (*stations, *made)
    ]
    return {
        "type": "FeatureCollection", "features": features, "revision": found.revision, "truncated": found.truncated,
    }  # fmt: skip


def _near(view: View, wanted: Callable[[Place], bool], latitude: float, longitude: float, asked: Search) -> Stations:
    inside: list[tuple[float, str, Place]] = []
    for radius in (asked.radius / 16, asked.radius / 4, asked.radius):  # in a city the nearest are soon enough
        box = around(latitude, longitude, radius)
        inside = [
            (metres, place.id, place)
            for node in nodes(view, cover(box))
            for place in node.every()
            if _in(box, place)
            and wanted(place)
            and (metres := distance(latitude, longitude, place.latitude, place.longitude)) <= radius
        ]
        if len(inside) > asked.limit:
            break
    nearest = sorted(inside)[: asked.limit]
    return Stations(
        revision=view.revision, stations=[tell(place, metres) for metres, _, place in nearest], clusters=[],
        truncated=len(inside) > len(nearest),
    )  # fmt: skip


def _in(box: Box, place: Place) -> bool:
    return box.contains(place.latitude, place.longitude)


def _numbers(text: str, count: int, pointer: str, form: str) -> list[float]:
    try:
        found = [float(each) for each in text.split(",")]
    except ValueError:
        found = []
    if len(found) != count or not all(map(math.isfinite, found)):
        raise problem(42205, f"write it as {form}, in degrees", pointer)
    return found
