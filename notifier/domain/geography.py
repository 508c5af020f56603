"""Geography: boxes and distances on the sphere, and the cells of H3 that divide it (h3geo.org).

A place belongs to the cell of the finest resolution that has it, and to that cell's ancestors. Ancestors don't cover
their descendants to the metre, so what covers an area here is a little more than what touches it.
"""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import h3.api.basic_int as h3

RADIUS: Final = 6_371_008.8
"""Metres: the earth's mean radius (IUGG); distances are wrong by half a percent at most."""
FINEST: Final = 7
"""The resolution of the smallest cells: 5 square kilometres, a quarter of a town."""
RESOLUTIONS: Final = (7, 5, 3, 1, 0)
"""Those in which areas are covered, finest first: a town, a region, a country, a continent, the world."""
MOST_CELLS: Final = 64
"""Cells that cover an area, except in the coarsest resolution, in which the world has 122: each costs whoever follows
it, and 64 follow the shape of a screen closely enough."""

_REACH: Final = {each: 1.25 * h3.average_hexagon_edge_length(each, unit="m") for each in range(FINEST + 1)}
"""Metres from a cell's centre within which all of its descendants lie: 1.14 edges at most were found, by sampling."""
_AREA: Final = {each: h3.average_hexagon_area(each, unit="m^2") for each in RESOLUTIONS}
_WHOLE: Final = 360.0


class Box(NamedTuple):
    """An area between two meridians and two parallels, in degrees; one whose west is greater than its east crosses the
    antimeridian."""

    west: float
    south: float
    east: float
    north: float

    @property
    def width(self) -> float:
        """Degrees of longitude."""
        return self.east - self.west if self.east >= self.west else self.east - self.west + _WHOLE

    @property
    def area(self) -> float:
        """Square metres."""
        height = math.sin(math.radians(self.north)) - math.sin(math.radians(self.south))
        return RADIUS**2 * math.radians(self.width) * height

    def contains(self, latitude: float, longitude: float) -> bool:
        """Whether a point is in it, its edges included."""
        if not self.south <= latitude <= self.north:
            return False
        if self.east >= self.west:
            return self.west <= longitude <= self.east
        return longitude >= self.west or longitude <= self.east

    def distance(self, latitude: float, longitude: float) -> float:
        """Metres from a point to the nearest of the box; 0 within."""
        if self.contains(min(max(latitude, self.south), self.north), longitude):
            return RADIUS * math.radians(max(self.south - latitude, latitude - self.north, 0.0))
        return min(self._from_edge(latitude, longitude, edge) for edge in (self.west, self.east))

    def _from_edge(self, latitude: float, longitude: float, edge: float) -> float:
        """Metres from a point to one of the two meridians, between the parallels."""
        lat, apart = math.radians(latitude), math.radians(longitude - edge)
        foot = math.degrees(math.atan2(math.sin(lat), math.cos(lat) * math.cos(apart)))
        nearest = [self.south, self.north, *([foot] if self.south <= foot <= self.north else [])]
        return min(distance(latitude, longitude, each, edge) for each in nearest)


WORLD: Final = Box(-180.0, -90.0, 180.0, 90.0)


def distance(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    """Metres between two points along the surface (haversine formula)."""
    lat, other = math.radians(latitude), math.radians(other_latitude)
    apart = math.radians(other_longitude - longitude)
    chord = math.sin((other - lat) / 2) ** 2 + math.cos(lat) * math.cos(other) * math.sin(apart / 2) ** 2
    return 2 * RADIUS * math.asin(math.sqrt(min(1.0, chord)))


def around(latitude: float, longitude: float, radius: float) -> Box:
    """The box that holds all points within so many metres of one."""
    angle = radius / RADIUS
    south, north = latitude - math.degrees(angle), latitude + math.degrees(angle)
    if south <= WORLD.south or north >= WORLD.north:
        return Box(WORLD.west, max(south, WORLD.south), WORLD.east, min(north, WORLD.north))
    half = math.degrees(math.asin(min(1.0, math.sin(angle) / math.cos(math.radians(latitude)))))
    return Box(_wrapped(longitude - half), south, _wrapped(longitude + half), north)


def cell_of(latitude: float, longitude: float) -> int:
    """The finest cell of a point."""
    found: int = h3.latlng_to_cell(latitude, longitude, FINEST)
    return found


def ancestor(cell: int, resolution: int) -> int:
    """The cell of a coarser resolution, or of its own, to which a cell belongs."""
    found: int = h3.cell_to_parent(cell, resolution)
    return found


def centre(cell: int) -> tuple[float, float]:
    """The latitude and longitude of a cell's centre."""
    found: tuple[float, float] = h3.cell_to_latlng(cell)
    return found


def name(cell: int) -> str:
    """A cell in the form that people and H3's other libraries write: hexadecimal digits."""
    return f"{cell:x}"


def read_cell(text: str) -> int:
    """A cell of one of `RESOLUTIONS` from its digits; raises ValueError."""
    cell = int(text, 16) if len(text) == len("85194ac7fffffff") else 0
    if not h3.is_valid_cell(cell) or h3.get_resolution(cell) not in RESOLUTIONS:
        raise ValueError("not a cell of H3 in one of the resolutions 0, 1, 3, 5 and 7")
    return cell


def resolution_of(cell: int) -> int:
    """A cell's resolution, from 0."""
    found: int = h3.get_resolution(cell)
    return found


def cover(box: Box) -> tuple[int, ...]:
    """The cells that cover a box: the finest that are `MOST_CELLS` at most, and all in one resolution. Whatever lies in
    the box belongs to one of them."""
    for resolution in RESOLUTIONS:
        coarsest = resolution == RESOLUTIONS[-1]
        most = None if coarsest else MOST_CELLS
        if coarsest or box.area / _AREA[resolution] <= MOST_CELLS:
            found = _flood(box, resolution, most)
            if found is not None:
                return tuple(sorted(found))
    raise AssertionError("the coarsest resolution covers everything")


def _flood(box: Box, resolution: int, most: int | None) -> Sequence[int] | None:
    """The cells whose reach touches a box, from its middle outwards; None where there are more than so many."""
    start = h3.latlng_to_cell((box.south + box.north) / 2, _wrapped(box.west + box.width / 2), resolution)
    found, seen = [start], {start}
    for cell in found:  # which grows meanwhile
        for near in h3.grid_disk(cell, 1):
            if near not in seen:
                seen.add(near)
                if box.distance(*h3.cell_to_latlng(near)) <= _REACH[resolution]:
                    found.append(near)
                    if most is not None and len(found) > most:
                        return None
    return found


def _wrapped(longitude: float) -> float:
    return (longitude + _WHOLE / 2) % _WHOLE - _WHOLE / 2
