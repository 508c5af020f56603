"""Boxes, distances, and the cells that cover an area: nothing that lies in it is outside of them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.geography import (
    FINEST,
    MOST_CELLS,
    RESOLUTIONS,
    WORLD,
    Box,
    ancestor,
    around,
    cell_of,
    cover,
    distance,
    name,
    read_cell,
    resolution_of,
)

LATITUDES = st.floats(-90, 90)
LONGITUDES = st.floats(-180, 180)
SHARES = st.floats(0, 1)
SIZES = st.sampled_from((0.0, 0.001, 0.02, 0.3, 4.0, 60.0, 180.0))
"""Degrees: a street, a town, a region, a country, a continent, half the world."""


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    """Boxes of all sizes, the antimeridian's and the poles' among them."""
    south, west = draw(LATITUDES), draw(LONGITUDES)
    north = min(90.0, south + draw(SIZES) * draw(SHARES))
    east = (west + 2 * draw(SIZES) * draw(SHARES) + 180) % 360 - 180
    return Box(west, south, east, north)


def within(box: Box, right: float, up: float) -> tuple[float, float]:
    """A point of the box, by its shares of width and height."""
    longitude = (box.west + box.width * right + 180) % 360 - 180
    return min(box.north, box.south + (box.north - box.south) * up), longitude


@given(boxes(), SHARES, SHARES)
def test_what_lies_in_a_box_belongs_to_the_cells_that_cover_it(box: Box, right: float, up: float) -> None:
    cells = cover(box)
    finest = cell_of(*within(box, right, up))

    (resolution,) = {resolution_of(cell) for cell in cells}
    assert ancestor(finest, resolution) in cells
    assert resolution in RESOLUTIONS
    assert len(cells) <= MOST_CELLS or resolution == RESOLUTIONS[-1]


@given(boxes(), SHARES, SHARES, LATITUDES, LONGITUDES)
def test_nothing_of_a_box_is_nearer_than_its_distance(
    box: Box, right: float, up: float, latitude: float, longitude: float
) -> None:
    assert box.distance(latitude, longitude) <= distance(latitude, longitude, *within(box, right, up)) + 1e-3


@given(LATITUDES, LONGITUDES, st.floats(1, 500_000), SHARES, st.floats(0, 2 * math.pi))
def test_what_is_near_a_point_lies_in_the_box_around_it(
    latitude: float, longitude: float, radius: float, share: float, bearing: float
) -> None:
    # Given a point so far from it, in some direction
    angle, lat = share * radius * 0.999 / 6_371_008.8, math.radians(latitude)
    other = math.asin(
        max(-1, min(1, math.sin(lat) * math.cos(angle) + math.cos(lat) * math.sin(angle) * math.cos(bearing)))
    )
    apart = math.atan2(
        math.sin(bearing) * math.sin(angle) * math.cos(lat), math.cos(angle) - math.sin(lat) * math.sin(other)
    )
    there = math.degrees(other), (longitude + math.degrees(apart) + 180) % 360 - 180

    # Then
    assert around(latitude, longitude, radius).distance(*there) < 0.5


def test_a_box_over_the_antimeridian_has_both_sides() -> None:
    fiji = Box(177.0, -19.0, -178.0, -16.0)

    assert fiji.contains(-17.8, 178.4)
    assert fiji.contains(-17.0, -179.9)
    assert not fiji.contains(-17.8, 0.0)
    assert fiji.width == pytest.approx(5.0)


def test_resolutions_follow_the_size() -> None:
    assert {resolution_of(cell) for cell in cover(Box(4.30, 52.05, 4.36, 52.10))} == {7}
    assert {resolution_of(cell) for cell in cover(Box(4.0, 51.8, 5.0, 52.4))} == {5}
    assert {resolution_of(cell) for cell in cover(Box(3.3, 50.7, 7.2, 53.6))} == {3}
    assert len(cover(WORLD)) == 122


def test_distances_are_those_of_the_sphere() -> None:
    assert distance(52.379189, 4.899431, 48.856614, 2.352222) == pytest.approx(430_000, rel=0.01)
    assert distance(0, 179.9, 0, -179.9) == pytest.approx(22_239, rel=0.001)


def test_a_cell_is_read_as_it_is_written_and_nothing_else_is() -> None:
    cell = ancestor(cell_of(52.1, 4.3), 5)
    assert read_cell(name(cell)) == cell

    for wrong in ("", "85194ad7fffffff0", "zz", f"{ancestor(cell, 4):x}", "0x194ad7fffffff", "ffffffffffffffff"):
        with pytest.raises(ValueError, match=r"cell|literal"):
            read_cell(wrong)
    assert resolution_of(cell_of(0, 0)) == FINEST
