"""Stations over HTTP: by a box, near a point, by what a driver needs, and nothing that its owner keeps to itself."""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from notifier.domain.clock import MINUTE
from notifier.domain.stations import Connector, EvseStatus
from notifier.runtime.settings import Settings
from notifier.store.core.database import Database
from notifier.store.stations import evses, locations
from notifier.store.stations.evses import StatusReport
from notifier.store.stations.locations import StoredEvse, StoredLocation
from tests.api.conftest import on_sqlite
from tests.api.server import Caller, application
from tests.places import NOON, PLACE, place

GENT = "3.6,51.0,3.8,51.1"
FAST = Connector("2", "IEC_62196_T2_COMBO", 150_000)


async def put(database: Database, stored: StoredLocation) -> None:
    await locations.update(database, stored.location.id, lambda _: stored)


def with_ports(stored: StoredLocation, **changes: object) -> StoredLocation:
    """The place with its ports changed."""
    ports = {
        id_: StoredEvse(msgspec.structs.replace(each.evse, **changes), each.document)
        for id_, each in stored.evses.items()
    }
    return msgspec.structs.replace(stored, evses=ports)


async def report(database: Database, id_: str, status: EvseStatus, at: int = NOON + MINUTE) -> None:
    await evses.report_statuses(database, [StatusReport(id=id_, status=status, at=at, source="ocpp")], at)


async def found(api: Caller, query: str) -> Mapping[str, Any]:
    answer = await api.call("GET", f"/v1/stations?{query}", Authorization="")
    assert answer.status == 200, answer.body
    body: Mapping[str, Any] = answer.body
    return body


def ids(body: Mapping[str, Any]) -> list[str]:
    return [each["id"] for each in body["stations"]]


async def test_a_box_answers_the_stations_in_it_with_what_is_free(api: Caller) -> None:
    # Given two places, one of them elsewhere
    await put(api.engine.database, place())
    await put(api.engine.database, place("NL-TNM-LOC2", latitude=52.1, longitude=4.3))
    await report(api.engine.database, f"{PLACE}-1", EvseStatus.AVAILABLE)

    # When
    body = await found(api, f"bbox={GENT}")

    # Then
    assert body == {
        "revision": 3,
        "stations": [
            {
                "id": PLACE, "name": "Gent Zuid", "address": "", "city": "Gent", "operator": "", "latitude": 51.047599,
                "longitude": 3.729944, "time_zone": "Europe/Brussels",
                "counts": {"free": 1, "busy": 1, "reserved": 0, "out_of_order": 0, "unknown": 0},
                "connectors": [{"standard": "IEC_62196_T2", "kw": 22.0, "free": 1, "all": 2}], "max_kw": 22.0,
                "changed_at": "2026-03-01T12:01:00Z", "heard_at": "2026-03-01T12:01:00Z",
            }
        ],
        "clusters": [], "truncated": False,
    }  # fmt: skip


async def test_a_view_is_a_second_old_at_most(api: Caller) -> None:
    # Given somebody has asked already
    await put(api.engine.database, place())
    assert ids(await found(api, f"bbox={GENT}")) == [PLACE]

    # When another place is put, then it is soon told of
    await put(api.engine.database, place("NL-TNM-LOC2"))
    async with asyncio.timeout(5):
        while ids(await found(api, f"bbox={GENT}")) != [PLACE, "NL-TNM-LOC2"]:  # noqa: ASYNC110 (a second's passing)
            await asyncio.sleep(0.05)


@on_sqlite
async def test_what_its_owner_hides_and_ports_that_are_no_more_never_appear(api: Caller) -> None:
    # Given a hidden place, one whose ports are planned, and one of whose two ports is removed
    database = api.engine.database
    await put(database, place("NL-TNM-HIDDEN", hidden=True))
    await put(database, with_ports(place("NL-TNM-PLANNED"), status=EvseStatus.PLANNED))
    await put(database, place())
    await report(database, f"{PLACE}-1", EvseStatus.REMOVED)

    # Then
    for query in (f"bbox={GENT}", "near=51.05,3.73", "", "near=51.05,3.73&radius=100000"):
        body = await found(api, query)
        assert [(each["id"], each["counts"]["busy"]) for each in body["stations"]] == [(PLACE, 1)]
    details = await api.call("GET", f"/v1/stations/{PLACE}", Authorization="")
    assert [each["uid"] for each in details.body["evses"]] == ["2"]
    for id_ in ("NL-TNM-HIDDEN", "NL-TNM-PLANNED", "nothing"):
        assert (await api.call("GET", f"/v1/stations/{id_}", Authorization="")).problem == (40401, None)


@on_sqlite
async def test_a_station_is_told_with_each_of_its_ports(api: Caller) -> None:
    await put(api.engine.database, with_ports(place(ports=("1",)), connectors=(FAST,)))

    answer = await api.call("GET", f"/v1/stations/{PLACE}", Authorization="")

    assert answer.body["max_kw"] == 150
    assert answer.body["evses"] == [
        {
            "id": f"{PLACE}-1", "uid": "1", "condition": "busy", "status": "CHARGING", "since": "2026-03-01T12:00:00Z",
            "connectors": [{"standard": "IEC_62196_T2_COMBO", "kw": 150.0}],
        }
    ]  # fmt: skip


@on_sqlite
async def test_a_driver_finds_what_fits(api: Caller) -> None:
    # Given a slow place with a free port, and a fast one without
    database = api.engine.database
    await put(database, place())
    await report(database, f"{PLACE}-1", EvseStatus.AVAILABLE)
    await put(database, with_ports(place("NL-TNM-FAST", latitude=51.06), connectors=(FAST,)))

    # Then
    for query, expected in (
        ("connector=IEC_62196_T2_COMBO", ["NL-TNM-FAST"]),
        ("connector=IEC_62196_T2_COMBO&connector=IEC_62196_T2", [PLACE, "NL-TNM-FAST"]),
        ("connector=CHADEMO", []),
        ("min_kw=22", [PLACE, "NL-TNM-FAST"]),
        ("min_kw=22.1", ["NL-TNM-FAST"]),
        ("free=true", [PLACE]),
        ("free=true&min_kw=50", []),
    ):
        assert sorted(ids(await found(api, f"bbox={GENT}&{query}"))) == sorted(expected), query


@on_sqlite
async def test_near_a_point_the_nearest_comes_first(api: Caller) -> None:
    # Given places 0, 11 and 22 km to the north
    for number in range(3):
        await put(api.engine.database, place(f"NL-TNM-{number}", latitude=51.0 + number / 10, longitude=3.7))

    # When
    near = await found(api, "near=51.11,3.7&radius=20000")

    # Then
    assert [(each["id"], each["distance_m"]) for each in near["stations"]] == [
        ("NL-TNM-1", 1112), ("NL-TNM-2", 10008), ("NL-TNM-0", 12231)
    ]  # fmt: skip
    assert ids(await found(api, "near=51.11,3.7")) == ["NL-TNM-1"]
    few = await found(api, "near=51.11,3.7&radius=20000&limit=1")
    assert (ids(few), few["truncated"]) == (["NL-TNM-1"], True)


@on_sqlite
async def test_too_many_stations_are_told_as_clusters(api: Caller) -> None:
    # Given three places in two towns
    for id_, latitude in (("A", 51.05), ("B", 51.0501), ("C", 50.85)):
        await put(api.engine.database, place(id_, latitude=latitude))

    # When
    body = await found(api, "bbox=3,50,5,52&limit=2")

    # Then all are in them
    assert body["stations"] == []
    assert sum(each["stations"] for each in body["clusters"]) == 3
    assert sum(each["counts"]["busy"] for each in body["clusters"]) == 6
    assert len(ids(await found(api, "bbox=3,50,5,52&limit=3"))) == 3
    for each in body["clusters"]:
        assert 50 < each["latitude"] < 52
        assert each["longitude"] == pytest.approx(3.729944)


@on_sqlite
async def test_geojson_is_a_feature_collection(api: Caller) -> None:
    # Given
    for id_ in ("A", "B"):
        await put(api.engine.database, place(id_))

    # When
    answers = [
        await api.call("GET", f"/v1/stations?bbox={GENT}&format=geojson"),
        await api.call("GET", f"/v1/stations?bbox={GENT}", Accept="application/geo+json"),
        await api.call("GET", f"/v1/stations?bbox={GENT}&limit=1&format=geojson"),
    ]

    # Then
    for answer in answers:
        assert answer.headers["Content-Type"] == "application/geo+json"
        assert answer.body["type"] == "FeatureCollection"
        for feature in answer.body["features"]:
            assert feature["geometry"] == {"type": "Point", "coordinates": [3.729944, 51.047599]}
            assert "latitude" not in feature["properties"]
    assert [each["id"] for each in answers[0].body["features"]] == ["A", "B"]
    assert answers[0].body == answers[1].body
    (cluster,) = answers[2].body["features"]
    assert (cluster["properties"]["cluster"], cluster["properties"]["stations"]) == (True, 2)


@on_sqlite
async def test_what_does_not_fit_is_told(api: Caller) -> None:
    for query, pointer in (
        ("bbox=1,2,3", "/bbox"),
        ("bbox=1,2,3,x", "/bbox"),
        ("bbox=1,3,2,1", "/bbox"),
        ("bbox=1,2,nan,3", "/bbox"),
        ("bbox=181,2,3,4", "/bbox"),
        ("near=91,0", "/near"),
        ("near=1", "/near"),
        ("near=1,2&bbox=1,2,3,4", "/near"),
        ("radius=0", "/radius"),
        ("limit=501", "/limit"),
        ("min_kw=x", "/min_kw"),
        ("colour=red", "/colour"),
        ("&".join(["connector=X"] * 11), "/connector"),
    ):
        answer = await api.call("GET", f"/v1/stations?{query}", Authorization="")
        assert answer.problem == (42205, pointer), query


async def test_no_map_means_nothing_is_there(database: Database, valkey: str) -> None:
    await put(database, place())
    async with application(database, valkey, settings=Settings(map="off")) as api:
        for path in ("/v1/stations", f"/v1/stations/{PLACE}"):
            assert (await api.call("GET", path)).problem == (40401, None)
