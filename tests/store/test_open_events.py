"""Events that aren't over: who has one in hand keeps others from that one alone, and a repeat opens none again."""

import asyncio
from collections.abc import Sequence

import msgspec
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.ids import dated, make_id
from notifier.store.core.database import Database
from notifier.store.core.schema import event, open_event, plan
from notifier.store.delivery import events, open_events
from notifier.store.delivery.events import NewEvent, Stored
from notifier.store.reading import dead_handling, ledger
from tests.samples import NOW
from tests.store.test_lock_order import wait_for_a_wait

LATER = NOW + 3_000


def new(name: str) -> NewEvent:
    return NewEvent(
        id=make_id("event", name), source="test", source_id=name, type="charging.complete", subject=None,
        occurred_at=NOW, accepted_at=NOW, digest=make_id(name), data=msgspec.Raw(b"{}"), next_check_at=NOW,
    )  # fmt: skip


def id_of(name: str) -> str:
    return dated(make_id("event", name), NOW)


async def decide(database: Database, ids: Sequence[str], made: int = 0) -> int:
    async def work(connection: AsyncConnection) -> int:
        taken = await events.take_undecided(connection, database.dialect, ids)
        await events.mark_decided(connection, database.dialect, taken, {each.id: made for each in taken}, NOW)
        return len(taken)

    return await database.write(work)


async def number(database: Database, table: sa.Table) -> int:
    async with database.engine.connect() as connection:
        return int(await connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0)


async def test_an_event_is_open_until_it_is_decided_and_then_planned(database: Database) -> None:
    # Given an event
    one = new("1")
    assert await events.add(database, [one]) == {one.id: Stored(id_of("1"), one.digest)}
    assert [await number(database, table) for table in (event, open_event, plan)] == [1, 1, 0]

    # When it is decided, then nothing of it is left among what is open
    assert await decide(database, [id_of("1")], made=0) == 1
    assert [await number(database, table) for table in (event, open_event, plan)] == [1, 0, 1]

    # And it is decided once
    assert await decide(database, [id_of("1")]) == 0
    assert (await ledger.read(database)).balanced


async def test_what_was_accepted_before_is_not_opened_again(database: Database) -> None:
    # Given an event that was decided, one that is open and one that was put aside
    decided, opened, aside = (new(name) for name in ("decided", "open", "aside"))
    await events.add(database, [decided, opened, aside])
    await decide(database, [id_of("decided")])
    await open_events.quarantine(database, [id_of("aside")], NOW)

    # When all come again, beside a new one
    told = await events.add(database, [decided, opened, aside, new("new")])

    # Then the new one alone is counted
    assert told == {new(name).id: Stored(id_of(name), make_id(name)) for name in ("decided", "open", "aside", "new")}
    books = await ledger.read(database)
    assert (books.events, books.decided, books.undecided, books.quarantined) == (4, 1, 2, 1)
    assert books.balanced


async def test_the_same_events_from_many_at_once_and_workers_beside_them_are_each_accepted_and_decided_once(
    database: Database,
) -> None:
    # Given events of which several callers tell at the same moment, in batches that overlap, while workers decide them
    ids = [id_of(str(each)) for each in range(30)]

    async def tell(first: int) -> None:
        for _ in range(3):
            await events.add(database, [new(str(each % 30)) for each in range(first, first + 20)])

    async def work() -> None:
        while await number(database, plan) < len(ids):
            await decide(database, ids[:17])
            await decide(database, ids[13:])

    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        for first in (0, 5, 10, 15):
            tasks.create_task(tell(first))
        for _ in range(2):
            tasks.create_task(work())

    books = await ledger.read(database)
    assert (books.events, books.decided, books.undecided) == (30, 30, 0)


@pytest.mark.parametrize("database_url", ["postgresql", "mariadb"], indirect=True)
@pytest.mark.parametrize("count", [2, 60])
async def test_who_has_an_event_in_hand_keeps_others_from_no_other_however_few_there_are(
    database: Database, count: int
) -> None:
    # Given a few open events, which no engine would need an index to find
    ids = [id_of(str(each)) for each in range(count)]
    await events.add(database, [new(str(each)) for each in range(count)])
    async with database.engine.begin() as connection:
        await connection.execute(sa.text(f"ANALYZE {'TABLE ' * (database.dialect == 'mysql')}open_event, event"))

    # When one worker decides the first one
    async with database.engine.connect() as other, asyncio.timeout(10):
        await other.begin()
        (taken,) = await events.take_undecided(other, database.dialect, ids[:1])
        await open_events.look_again(other, database.dialect, ids[:1], LATER)
        await events.mark_decided(other, database.dialect, [taken], {}, NOW)

        # Then another can do anything with the second one, and waits for nobody
        assert await open_events.begin_try(database, ids[1:2], 0, LATER) == ids[1:2]
        await open_events.quarantine(database, ids[1:2], NOW)

        async def redrive(connection: AsyncConnection) -> None:
            assert set(await dead_handling.take(connection, database.dialect, ids[1:2])) == set(ids[1:2])
            await dead_handling.release(connection, database.dialect, ids[1:2], NOW)

        await database.write(redrive)
        assert await decide(database, ids[1:2]) == 1
        await other.commit()
    assert (await ledger.read(database)).decided == 2


@pytest.mark.parametrize("database_url", ["postgresql", "mariadb"], indirect=True)
async def test_what_is_redriven_of_an_event_whose_last_chunk_is_under_way_counts_into_its_plan(
    database: Database,
) -> None:
    # Given a campaign whose first chunk was decided, and one of its deliveries redriven
    one = new("1")
    await events.add(database, [one])

    async def decide_chunk(connection: AsyncConnection, again_at: int | None) -> None:
        (taken,) = await events.take_undecided(connection, database.dialect, [id_of("1")])
        await events.advance(connection, database.dialect, taken, 2, "p2", NOW, again_at)

    async def redrive() -> None:
        await database.write(lambda connection: events.plan_more(connection, database.dialect, {id_of("1"): 1}))

    await database.write(lambda connection: decide_chunk(connection, LATER))
    await redrive()

    # When another one is redriven while the last chunk is decided
    async with database.engine.connect() as deciding, asyncio.timeout(10):
        await deciding.begin()
        await decide_chunk(deciding, None)
        waiting = asyncio.create_task(redrive())
        await wait_for_a_wait(database, waiting)
        await deciding.commit()
        await waiting

    # Then all are planned, in the event's row and in the books
    async with database.engine.connect() as connection:
        assert await connection.scalar(sa.select(plan.c.deliveries)) == 2 + 1 + 2 + 1
    books = await ledger.read(database)
    assert (books.decided, books.undecided, books.planned) == (1, 0, 6)
