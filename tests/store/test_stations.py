"""Places and ports are kept, and whoever reads by revision misses none."""

import asyncio

import pytest

from notifier.domain.clock import HOUR, MINUTE
from notifier.domain.stations import STABLE, EvseStatus
from notifier.store.core.database import Database
from notifier.store.stations import evses, locations, revisions
from notifier.store.stations.evses import StatusReport
from notifier.store.stations.locations import StoredLocation
from tests.places import NOON, PLACE, place


def told(id_: str, status: EvseStatus | None, at: int = NOON + MINUTE) -> StatusReport:
    """A report of a port by our id."""
    return StatusReport(id=id_, status=status, at=at, source="ocpp")


@pytest.fixture
async def stored(database: Database) -> Database:
    """A database with a place of two ports."""
    await locations.update(database, PLACE, lambda _: place())
    return database


async def test_a_place_comes_back_as_it_was_put(stored: Database) -> None:
    assert await locations.get(stored, PLACE) == place()
    assert await locations.get(stored, "NL-TNM-LOC2") is None


async def test_a_report_changes_a_port_and_is_noted(stored: Database) -> None:
    # When
    ((changed,),) = await evses.report_statuses(stored, [told(f"{PLACE}-1", EvseStatus.AVAILABLE)], NOON + MINUTE)
    # Then
    assert changed.before is not None
    assert (changed.before.status, changed.after.status) == (EvseStatus.CHARGING, EvseStatus.AVAILABLE)
    said = await evses.history(stored, f"{PLACE}-1", 10)
    assert said == [(NOON + MINUTE, EvseStatus.AVAILABLE), (NOON, EvseStatus.CHARGING)]
    found = await locations.get(stored, PLACE)
    assert found is not None
    assert found.evses[f"{PLACE}-1"].document == place().evses[f"{PLACE}-1"].document


async def test_a_station_of_ocpp_names_its_ports_one_by_one_or_all(stored: Database) -> None:
    # Given
    one = StatusReport(station=f"CS-{PLACE}", port=2, status=EvseStatus.AVAILABLE, at=NOON + 1, source="ocpp")
    all_ = StatusReport(station=f"CS-{PLACE}", status=EvseStatus.OUTOFORDER, at=NOON + 2, source="ocpp")
    other = StatusReport(station="CS-unknown", port=1, status=EvseStatus.AVAILABLE, at=NOON, source="ocpp")
    # When
    answers = await evses.report_statuses(stored, [one, all_, other], NOON + 3)
    # Then
    assert [[each.after.uid for each in changed] for changed in answers] == [["2"], ["1", "2"], []]
    assert answers[1][1].before == answers[0][0].after


async def test_a_repeat_raises_no_revision(stored: Database) -> None:
    # Given
    await evses.report_statuses(stored, [told(f"{PLACE}-1", EvseStatus.AVAILABLE)], NOON + MINUTE)
    before = await revisions.newest(stored)
    # When
    await evses.report_statuses(stored, [told(f"{PLACE}-1", EvseStatus.AVAILABLE)], NOON + 2 * MINUTE)
    await evses.report_statuses(stored, [told(f"{PLACE}-1", None)], NOON + HOUR)
    # Then
    assert await revisions.newest(stored) == before
    _, ports = await locations.changed_since(stored, 0)
    assert {each.uid: each.heard_at for each in ports} == {"1": NOON + HOUR, "2": NOON}


async def test_time_alone_settles_what_is_free_and_makes_unknown_what_is_silent(stored: Database) -> None:
    # Given
    await evses.report_statuses(stored, [told(f"{PLACE}-1", EvseStatus.AVAILABLE)], NOON + MINUTE)
    # When
    nothing = await evses.look_at_due(stored, NOON + MINUTE + STABLE - 1, 10)
    settled = await evses.look_at_due(stored, NOON + MINUTE + STABLE, 10)
    silent = await evses.look_at_due(stored, NOON + 2 * HOUR, 10)
    # Then
    assert nothing == []
    assert [(each.uid, each.epoch, each.settled) for each in settled] == [("1", 1, True)]
    assert sorted((each.uid, each.status) for each in silent) == [("1", EvseStatus.UNKNOWN), ("2", EvseStatus.UNKNOWN)]
    assert await evses.look_at_due(stored, NOON + 9 * HOUR, 10) == []


async def test_who_reads_by_revision_misses_nothing_that_others_write_at_once(database: Database) -> None:
    # Given
    ids = [f"NL-TNM-{number}" for number in range(6)]
    for id_ in ids:
        await locations.update(database, id_, lambda _, id_=id_: place(id_, ["1"]))  # type: ignore[misc]
    seen: dict[str, EvseStatus] = {}
    number, writing = 0, True

    async def read() -> None:
        nonlocal number
        newest = await revisions.newest(database)
        _, ports = await locations.changed_since(database, number)
        seen.update({each.id: each.status for each in ports})
        number = newest

    async def watch() -> None:
        while writing:
            await read()

    # When
    watching = asyncio.create_task(watch())
    statuses = [EvseStatus.AVAILABLE, EvseStatus.CHARGING, EvseStatus.OUTOFORDER]
    for status in statuses:
        at = NOON + 1 + statuses.index(status)
        await asyncio.gather(*(evses.report_statuses(database, [told(f"{id_}-1", status, at)], at) for id_ in ids))
    writing = False
    await watching
    await read()
    # Then
    assert seen == {f"{id_}-1": EvseStatus.OUTOFORDER for id_ in ids}
    assert await revisions.newest(database) == len(ids) * (1 + len(statuses))


async def test_what_a_step_raises_leaves_everything_as_it_was(stored: Database) -> None:
    # Given
    def refuse(_: StoredLocation | None) -> StoredLocation:
        raise ValueError("no")

    # When
    with pytest.raises(ValueError, match="no"):
        await locations.update(stored, PLACE, refuse)
    # Then
    assert await locations.get(stored, PLACE) == place()
    assert await revisions.newest(stored) == 1
