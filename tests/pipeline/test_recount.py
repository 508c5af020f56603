"""A recount proves what the books say of a day against its rows, and tells which lines differ."""

import asyncio
from threading import Thread
from typing import Any

import pytest
import sqlalchemy as sa

from notifier.domain.clock import DAY, ManualClock
from notifier.domain.ids import dated, make_id
from notifier.pipeline.engine import WorkerEngine
from notifier.pipeline.sealing import SETTLED, seal
from notifier.sandbox import Sandbox
from notifier.store.core.database import Database
from notifier.store.core.schema import delivery, event, open_delivery, open_event, outcome, plan
from notifier.store.delivery import tallies
from notifier.store.delivery.tallies import Tally
from notifier.store.reading.recount import TRIES, Recount, recount
from tests.pipeline.removing import ONE_YEAR, YEAR, keeping, removed, told_complete
from tests.pipeline.samples import COMPLETE, NOW, Report
from tests.pipeline.steps import rows
from tests.pipeline.test_dead import REFUSED

TODAY = tallies.day(NOW)


async def change(engine: WorkerEngine, *statements: Any) -> None:
    async with engine.database.engine.begin() as connection:
        for statement in statements:
            await connection.execute(statement)


def differing(found: Recount) -> list[tuple[str, str, str, int]]:
    """Part, state and channel of each line that differs, and how many rows there are too many."""
    return [(line.part, line.state, line.channel, line.rows - line.books) for line in found.lines]


@pytest.mark.parametrize("is_sealed", [False, True])
async def test_a_row_that_was_deleted_changed_or_added_by_hand_is_told_line_by_line(
    engine: WorkerEngine, driver: str, clock: ManualClock, report: Report, is_sealed: bool
) -> None:
    # Given a day that agrees
    ids = await told_complete(engine, report, 1, 2, 3)
    if is_sealed:
        clock.advance(DAY - NOW % DAY + SETTLED)
        assert await seal(engine, asyncio.Event()) == [TODAY]
    assert (await recount(engine.database, TODAY)).verdict == "agrees"
    push, text = [row.id for row in await rows(engine, event_id=ids[0]) if row.state == "sent"][:2]
    (one,) = [row for row in await rows(engine) if row.id == text]

    # When a delivery is deleted, then its line has a row less
    await change(engine, sa.delete(outcome).where(outcome.c.delivery_id == push))
    await change(engine, sa.delete(delivery).where(delivery.c.id == push))
    found = await recount(engine.database, TODAY)
    assert (found.verdict, found.sealed_at is not None) == ("differs", is_sealed)
    assert [each[-1] for each in differing(found)] == [-1]

    # When what became of another one is changed, then two lines differ
    await change(engine, sa.update(outcome).where(outcome.c.delivery_id == text).values(state="failed"))
    assert ("delivery", "failed", one.channel, 1) in differing(await recount(engine.database, TODAY))

    # When an event's plan is deleted and one is written that nobody accepted, then those lines differ
    await change(
        engine,
        sa.delete(plan).where(plan.c.event_id == ids[1]),
        sa.insert(event).from_select(
            [column.name for column in event.c],
            sa.select(
                sa.literal(dated(make_id("made up"), NOW), event.c.id.type),
                *(column for column in event.c if column.name != "id"),
            ).where(event.c.id == ids[0]),
        ),
    )
    found = await recount(engine.database, TODAY)
    assert {line.state: line.rows - line.books for line in found.lines if line.part == "event"} == {
        "accepted": 1, "decided": -1, "planned": -len(await rows(engine, event_id=ids[1])),
    }  # fmt: skip

    # But none of another day
    assert (await recount(engine.database, TODAY + 1)).verdict == "agrees"


async def test_what_is_open_is_counted_too(engine: WorkerEngine, sandbox: Sandbox, driver: str, report: Report) -> None:
    # Given a day with what waits, what is dead and what is over
    sandbox.faults.add(REFUSED)
    await told_complete(engine, report, 1)
    id_ = await report("charging.complete", **{**COMPLETE, "session_id": "2"})
    assert (await recount(engine.database, TODAY, at_once=1)).verdict == "agrees"

    # When an open event and a dead letter's open row are lost, then both show
    dead = open_delivery.c.state == "failed"
    await change(engine, sa.delete(open_event).where(open_event.c.id == id_), sa.delete(open_delivery).where(dead))
    found = await recount(engine.database, TODAY)
    assert found.verdict == "differs"
    assert ("event", "open", "", -1) in differing(found)
    assert next(each for each in differing(found) if each[:2] == ("delivery", "failed"))[-1] > 0


async def test_a_day_of_which_retention_removed_rows_cannot_be_recounted(
    engine: WorkerEngine, driver: str, clock: ManualClock, report: Report
) -> None:
    # Given two days, of which the first is too old
    engine = keeping(engine, ONE_YEAR)
    await told_complete(engine, report, 1)
    clock.advance(DAY)
    await told_complete(engine, report, 2)
    clock.advance(YEAR - DAY // 2)
    await seal(engine, asyncio.Event())
    await removed(engine)

    # Then a recount says so of the one, and proves the other
    gone = await recount(engine.database, TODAY)
    assert (gone.verdict, gone.events, gone.deliveries, gone.sealed_at) == ("removed", 0, 0, clock.now())
    assert (await recount(engine.database, TODAY + 1)).verdict == "agrees"

    # And a row too many is told as such, whatever was removed
    (one, *_) = await rows(engine)
    columns = [column.name for column in delivery.c]
    made_up = sa.select(
        sa.literal(dated(make_id("made up"), NOW), delivery.c.id.type), *(delivery.c[name] for name in columns[1:])
    ).where(delivery.c.id == one.id)
    await change(engine, sa.insert(delivery).from_select(columns, made_up))
    assert (await recount(engine.database, TODAY)).verdict == "differs"


async def test_a_day_that_moves_during_each_count_has_no_verdict_yet(
    engine: WorkerEngine, database_url: str, driver: str, report: Report
) -> None:
    # Given books that differ from the rows, and somebody else who changes them halfway through each count
    await told_complete(engine, report, 1)
    more, shares = Tally(day=TODAY, part="event", state="planned", number=1), list[float]()

    async def move() -> None:
        database = Database(database_url, connections=1)
        await database.write(lambda connection: tallies.add(connection, database.dialect, [more]))
        await database.close()

    def halfway(share: float) -> None:
        shares.append(share)
        if share == 0.5:
            other = Thread(target=lambda: asyncio.run(move()))
            other.start()
            other.join()

    # When the day is recounted, a row at a time
    found = await recount(engine.database, TODAY, halfway, at_once=1)

    # Then it was counted a few times, without a verdict
    assert (found.verdict, shares.count(0.5)) == ("moved", TRIES)
    assert all(0 <= share <= 1 for share in shares)

    # But once nobody changes them there is one
    assert (await recount(engine.database, TODAY)).verdict == "differs"
