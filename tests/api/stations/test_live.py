"""The stream of stations: a snapshot, then what changes, and nothing missed by whoever comes back, to whichever
process."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest

from notifier.api.stations import live
from notifier.domain.clock import MINUTE
from notifier.domain.geography import ancestor, cell_of, name
from notifier.domain.stations import EvseStatus
from notifier.runtime.settings import Settings
from notifier.store.core.database import Database
from notifier.store.stations import evses, locations
from notifier.store.stations.evses import StatusReport
from notifier.store.stations.locations import StoredLocation
from tests.api.conftest import on_sqlite
from tests.api.server import Caller, application
from tests.places import NOON, PLACE, place

GENT = "bbox=3.6,51.0,3.8,51.1"
CELL = name(cell_of(51.047599, 3.729944))
WITHIN = 10.0
"""Seconds in which everything comes."""


class Stream:
    """A client of the stream, which keeps its last id as a browser does."""

    def __init__(self, content: Any) -> None:
        self._content = content
        self.last = ""

    async def next(self) -> tuple[str, Any]:
        """The next event's type and data."""
        while True:
            fields = await self.block()
            if "data" in fields:
                return fields["event"], json.loads(fields["data"])

    async def block(self) -> dict[str, str]:
        """The fields of the next lines up to an empty one; raises EOFError at the end."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(WITHIN):
            while (line := (await self._content.readline()).decode()) != "\n":
                if not line:
                    raise EOFError
                field, _, value = line.rstrip("\n").partition(": ")
                fields[field] = value
        self.last = fields.get("id", self.last)
        return fields


@asynccontextmanager
async def stream(api: Caller, query: str, last: str = "") -> AsyncIterator[Stream]:
    headers = {"Last-Event-ID": last} if last else {}
    async with api.session.get(f"{api.url}/v1/stations/live?{query}", headers=headers) as answer:
        assert answer.status == 200
        assert answer.content_type == "text/event-stream"
        yield Stream(answer.content)


async def status(api: Caller) -> int:
    async with api.session.get(f"{api.url}/v1/stations/live") as answer:
        return answer.status


async def put(api: Caller, stored: StoredLocation) -> None:
    await locations.update(api.engine.database, stored.location.id, lambda _: stored)


async def report(api: Caller, id_: str, status: EvseStatus, minutes: int = 1) -> None:
    at = NOON + minutes * MINUTE
    told = StatusReport(id=id_, status=status, at=at, source="ocpp")
    await evses.report_statuses(api.engine.database, [told], at)


async def test_a_stream_begins_with_a_snapshot_and_goes_on_with_what_changes(api: Caller) -> None:
    # Given
    await put(api, place())
    asked = (await api.call("GET", f"/v1/stations?{GENT}")).body

    async with stream(api, GENT) as seen:
        assert await seen.next() == ("snapshot", asked)
        assert seen.last == "1"

        # When a port is free
        await report(api, f"{PLACE}-1", EvseStatus.AVAILABLE)

        # Then
        event, data = await seen.next()
        assert (event, data["cell"]) == ("change", CELL)
        (station,) = data["stations"]
        assert station == asked["stations"][0] | {
            "counts": station["counts"], "connectors": station["connectors"],
            "changed_at": "2026-03-01T12:01:00Z", "heard_at": "2026-03-01T12:01:00Z",
        }  # fmt: skip
        assert station["counts"]["free"] == 1
        await report(api, f"{PLACE}-2", EvseStatus.AVAILABLE)
        assert (await seen.next())[1]["stations"][0]["counts"]["free"] == 2
        assert await seen.block() == {"id": "3"}


@on_sqlite
async def test_who_comes_back_is_sent_what_changed_meanwhile_by_any_process(api: Caller, valkey: str) -> None:
    # Given somebody who has seen two places and is cut off
    await put(api, place())
    await put(api, place("NL-TNM-LOC2"))
    async with stream(api, GENT) as seen:
        await seen.next()
    assert seen.last == "2"

    # When one changes meanwhile, and the stream goes on at another process
    await report(api, f"{PLACE}-1", EvseStatus.AVAILABLE)
    async with application(api.engine.database, valkey) as other, stream(other, GENT, seen.last) as again:
        event, data = await again.next()

        # Then it tells that one alone
        assert (event, [each["id"] for each in data["stations"]]) == ("change", [PLACE])
        await report(other, f"{PLACE}-1", EvseStatus.CHARGING, 2)
        assert (await again.next())[1]["stations"][0]["counts"]["free"] == 0
        assert await again.block() == {"id": "4"}


@on_sqlite
async def test_an_id_that_is_not_known_begins_anew(api: Caller) -> None:
    await put(api, place())

    for last in ("99", "x", "1c", "-1", "9" * 30):
        async with stream(api, GENT, last) as seen:
            assert (await seen.next())[0] == "snapshot"


@on_sqlite
async def test_what_is_hidden_removed_or_moved_away_is_gone(api: Caller) -> None:
    # Given three places
    for id_ in ("A", "B", "C"):
        await put(api, place(id_, ports=("1",)))

    async with stream(api, GENT) as seen:
        await seen.next()

        # When one moves, one is hidden, and the only port of one is removed
        for step, id_ in (
            (partial(put, api, place("A", ports=("1",), latitude=10.0)), "A"),
            (partial(put, api, place("B", ports=("1",), hidden=True)), "B"),
            (partial(report, api, "C-1", EvseStatus.REMOVED), "C"),
        ):
            await step()
            # Then
            assert await seen.next() == ("gone", {"cell": CELL, "stations": [id_]})

    # And who was away is told it too
    async with stream(api, GENT, "3") as again:
        event, data = await again.next()
        assert (event, sorted(data["stations"])) == ("gone", ["A", "B", "C"])


@on_sqlite
async def test_a_stream_tells_of_what_fits_alone(api: Caller) -> None:
    await put(api, place())

    async with stream(api, f"{GENT}&min_kw=50") as slow, stream(api, f"{GENT}&connector=IEC_62196_T2") as seen:
        assert (await slow.next())[1]["stations"] == []
        await seen.next()
        await report(api, f"{PLACE}-1", EvseStatus.AVAILABLE)
        assert (await seen.next())[0] == "change"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await slow.next()


@on_sqlite
async def test_too_many_stations_are_told_as_clusters_that_change(api: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given more stations than are told one by one
    monkeypatch.setattr("notifier.api.stations.searching.MOST", 1)
    monkeypatch.setattr("notifier.api.stations.searching.of_cells.__defaults__", (1,))
    for id_ in ("A", "B"):
        await put(api, place(id_))

    async with stream(api, GENT) as seen:
        event, data = await seen.next()
        assert (event, data["stations"], data["clusters"][0]["stations"]) == ("snapshot", [], 2)
        assert seen.last == "2c"

        # When
        await report(api, "A-1", EvseStatus.AVAILABLE)

        # Then
        event, data = await seen.next()
        assert (event, data["clusters"][0]["counts"]["free"]) == ("clusters", 1)

    # And who comes back is told the same
    async with stream(api, GENT, "2c") as again:
        event, data = await again.next()
        assert (event, data["clusters"][0]["counts"]["free"]) == ("clusters", 1)


@on_sqlite
async def test_cells_can_be_followed_by_their_names(api: Caller) -> None:
    await put(api, place())

    async with stream(api, f"cells={CELL}") as seen:
        assert (await seen.next())[1]["stations"][0]["id"] == PLACE
    for query, pointer in (
        ("cells=x", "/cells"),
        (f"cells={CELL},{name(ancestor(cell_of(51.0, 3.7), 3))}", "/cells"),
        (f"cells={CELL}&{GENT}", "/cells"),
        ("bbox=1", "/bbox"),
    ):
        assert (await api.call("GET", f"/v1/stations/live?{query}")).problem == (42205, pointer)


@on_sqlite
async def test_a_silent_stream_has_a_heartbeat(api: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "HEARTBEAT", 0.01)

    async with stream(api, GENT) as seen:
        await seen.next()
        assert await seen.block() == {":": "", "id": "0"}


@on_sqlite
async def test_streams_are_limited_by_process_and_address(
    database: Database, valkey: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "MOST", 2)
    monkeypatch.setattr(live, "MOST_OF_ONE", 1)
    async with application(database, valkey) as api, stream(api, GENT) as one:
        await one.next()

        # Given a proxy that we trust, which speaks for two clients
        headers = {"X-Forwarded-For": "192.0.2.2"}
        async with api.session.get(f"{api.url}/v1/stations/live", headers=headers) as second:
            await second.content.readline()
            # Then the process has its most
            assert await status(api) == 204

    # And an address that isn't a proxy's has its most too
    untrusting = Settings(trusted_proxies="192.0.2.9")
    async with application(database, valkey, settings=untrusting) as api, stream(api, GENT) as one:
        await one.next()
        assert await status(api) == 204


@on_sqlite
async def test_a_process_that_ends_ends_its_streams(api: Caller) -> None:
    async with stream(api, GENT) as seen:
        await seen.next()
        api.streams.end()
        with pytest.raises(EOFError):
            await seen.next()


async def test_no_map_means_no_stream(database: Database, valkey: str) -> None:
    async with application(database, valkey, settings=Settings(map="off")) as api:
        assert (await api.call("GET", "/v1/stations/live")).problem == (40401, None)
