"""Partitions on PostgreSQL: made ahead, and dropped as one when all that they hold is too old; what is open stays."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import sqlalchemy as sa

from notifier.domain.clock import DAY, ManualClock
from notifier.domain.ids import instant_of
from notifier.domain.retention import ClassRetention, Part, Retention
from notifier.pipeline import dead
from notifier.pipeline.deliver import deliver
from notifier.pipeline.engine import WorkerEngine
from notifier.pipeline.partitioning import partition
from notifier.pipeline.retention import sweep
from notifier.pipeline.sealing import seal
from notifier.sandbox import Sandbox
from notifier.store.core import partitions
from notifier.store.core.database import Database
from notifier.store.core.partitions import AHEAD, FOREVER, GROUPS, Stretch
from notifier.store.core.schema import decision, delivery, event, outcome, plan
from notifier.store.delivery import dropping, tallies
from notifier.store.reading import ledger
from notifier.store.reading.dead import DeadLetter, DeadLetterFilter
from notifier.store.reading.dead import find as find_dead
from notifier.store.reading.recount import recount
from tests.named import SMS
from tests.pipeline.receipts import MOVED, NOTHING, tell_one, told
from tests.pipeline.removing import counts, explained, keeping, rows, told_complete
from tests.pipeline.samples import NOW, Report
from tests.pipeline.test_dead import REFUSED
from tests.pipeline.test_seals import Ended, ending

TEN_DAYS = Retention(data="10 d", decisions="10 d", deliveries="10 d", events="10 d")
PERIOD = 10 * DAY

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture(autouse=True)
async def apart(database: Database) -> AsyncIterator[None]:
    """Drops the partitions that others made, and those that a test makes: they use one database."""
    await _drop_all(database)
    yield
    await _drop_all(database)


async def _drop_all(database: Database) -> None:
    async with database.engine.begin() as connection:
        for table in (table for group in GROUPS.values() for table in group):
            for name in (await partitions.stretches(connection, table)).values():
                await connection.execute(sa.text(f"DROP TABLE {name}"))


@pytest.fixture
async def divided(engine: WorkerEngine, clock: ManualClock) -> WorkerEngine:
    """An engine that keeps everything for ten days, and whose partitions have begun."""
    engine = keeping(engine, TEN_DAYS)
    await partition(engine, asyncio.Event())
    clock.advance(DAY)
    return engine


@asynccontextmanager
async def reading(database: Database) -> AsyncIterator[None]:
    """A transaction that reads deliveries, and takes its time."""
    patient = database.patient()
    async with patient.engine.connect() as connection:
        await connection.execute(sa.select(sa.func.count()).select_from(delivery))
        yield
    await patient.close()


async def partitioned(engine: WorkerEngine) -> Counter[Part]:
    """What a look of the clock drops; the books balance afterwards."""
    found = await partition(engine, asyncio.Event())
    assert (await ledger.read(engine.database)).balanced
    return +found


async def stretches(engine: WorkerEngine, table: sa.Table = delivery) -> list[Stretch]:
    async with engine.database.engine.connect() as connection:
        return list(await partitions.stretches(connection, table))


async def dead_letter(engine: WorkerEngine) -> DeadLetter:
    """The one text that waits for a person."""
    (letter,) = await find_dead(engine.database, DeadLetterFilter(channel=SMS), None, 10)
    return letter


async def by_default(engine: WorkerEngine, table: sa.Table) -> int:
    """How many rows of a table lie in its default partition."""
    async with engine.database.engine.connect() as connection:
        query = sa.text(f"SELECT count(*) FROM {table.name}_default")  # noqa: S608 (our names)
        return int((await connection.execute(query)).scalar_one())


async def test_partitions_are_made_a_week_ahead_a_day_each_where_ten_are_kept(
    engine: WorkerEngine, clock: ManualClock
) -> None:
    # Given a policy that keeps everything for ten days, when the clock looks
    engine = keeping(engine, TEN_DAYS)
    await partition(engine, asyncio.Event())

    # Then each table has the days to come, from tomorrow on, one after the other
    found = await stretches(engine)
    assert found[0].begins == (NOW // DAY + 1) * DAY
    assert all(each.ends - each.begins == DAY for each in found)
    assert [each.begins for each in found[1:]] == [each.ends for each in found[:-1]]
    assert found[-1].ends >= NOW + AHEAD
    assert all([await stretches(engine, table) == found for group in GROUPS.values() for table in group])

    # And a look a while later adds what has come nearer
    await partition(engine, asyncio.Event())
    assert await stretches(engine) == found
    clock.advance(3 * DAY)
    await partition(engine, asyncio.Event())
    assert (await stretches(engine))[: len(found)] == found
    assert (await stretches(engine))[-1].ends >= clock.now() + AHEAD


async def test_clocks_that_look_at_once_make_each_partition_once(engine: WorkerEngine) -> None:
    # Given a policy that keeps everything for ten days, when clocks look at the same moment
    engine = keeping(engine, TEN_DAYS)
    await asyncio.gather(*(partition(engine, asyncio.Event()) for _ in range(4)))

    # Then each day is there, once
    found = await stretches(engine)
    assert [each.begins for each in found[1:]] == [each.ends for each in found[:-1]]
    assert found[-1].ends >= NOW + AHEAD


async def test_what_is_kept_for_ever_has_long_partitions(engine: WorkerEngine) -> None:
    await partition(keeping(engine, Retention(decisions="forever")), asyncio.Event())

    assert all(each.ends % FOREVER == 0 for each in await stretches(engine))
    assert len(await stretches(engine)) <= 2


async def test_a_stretch_that_is_too_old_goes_as_one(
    divided: WorkerEngine, driver: str, clock: ManualClock, report: Report
) -> None:
    # Given messages of a day, and some of the next
    await told_complete(divided, report, 1, 2, 3)
    first, decided, messages = await counts(divided, event, decision, delivery)
    clock.advance(DAY)
    await told_complete(divided, report, 4)

    # When the last one of the day is as old as the policy says, to the hour
    clock.advance(PERIOD - clock.now() % DAY - 1)
    assert await partitioned(divided) == {}
    clock.advance(1)

    # Then its decisions and deliveries are gone at once, and its events an hour later, as everywhere
    assert await partitioned(divided) == {Part.DECISIONS: decided, Part.DELIVERIES: messages}
    clock.advance(DAY)
    found = await partitioned(divided)
    assert found[Part.EVENTS] == first
    assert (await stretches(divided))[0].begins > NOW + DAY
    assert {row.event_id for row in await rows(divided, delivery)} <= {row.id for row in await rows(divided, event)}


async def test_what_is_open_stays_with_all_that_belongs_to_it(
    divided: WorkerEngine, sandbox: Sandbox, driver: str, clock: ManualClock, report: Report
) -> None:
    # Given a day of which one text failed
    sandbox.faults.add(REFUSED)
    both = await told_complete(divided, report, 1, 2)
    letter = await dead_letter(divided)
    failed = letter.event_id
    (over,) = {*both} - {failed}

    # When it is dropped
    clock.advance(PERIOD + 2 * DAY)
    await partitioned(divided)

    # Then the text is there, with what became of it, its event and what was decided
    assert [row.id for row in await rows(divided, delivery)] == [letter.id]
    assert {row.delivery_id for row in await rows(divided, outcome)} <= {letter.id}
    assert {row.id for row in await rows(divided, event)} == {failed}
    assert {row.event_id for row in await rows(divided, plan)} == {failed}
    assert await by_default(divided, delivery) == 1
    found = await explained(divided, delivery=letter.id)
    assert found is not None
    assert await explained(divided, event=over) is None

    # And goes by itself once it was handled
    await dead.discard(divided, [letter.id], "test")
    await sweep(divided, asyncio.Event())
    assert await counts(divided, delivery, outcome) == [0, 0]
    assert (await ledger.read(divided.database)).balanced


async def test_what_was_made_later_under_an_older_id_stays_until_it_is_old_itself(
    divided: WorkerEngine, sandbox: Sandbox, driver: str, clock: ManualClock, report: Report
) -> None:
    # Given a text that failed, and was sent again a week later under an id of that day
    sandbox.faults.add(REFUSED)
    await told_complete(divided, report, 1)
    letter = await dead_letter(divided)
    clock.advance(7 * DAY)
    await dead.redrive(divided, [letter.id], "test")
    (again,) = [row for row in await rows(divided, delivery) if row.redrive_of == letter.id]
    assert instant_of(again.id) == instant_of(letter.id)

    # When the day is dropped, then that one stays
    clock.advance(PERIOD - 5 * DAY)
    await partitioned(divided)
    assert again.id in {row.id for row in await rows(divided, delivery)}


async def test_a_class_that_is_kept_for_ever_keeps_every_stretch(
    engine: WorkerEngine, driver: str, clock: ManualClock, report: Report
) -> None:
    # Given that what is transactional stays
    kept = ClassRetention(decisions="10 d", deliveries="forever", events="forever")
    engine = keeping(
        engine, Retention(decisions="10 d", deliveries="10 d", events="10 d", service=kept, transactional=kept)
    )
    await partition(engine, asyncio.Event())
    clock.advance(DAY)
    await told_complete(engine, report, 1)
    messages = await counts(engine, delivery)

    # When a year is over, then its deliveries are there
    clock.advance(365 * DAY)
    assert Part.DELIVERIES not in await partitioned(engine)
    assert await counts(engine, delivery) == messages


async def test_chunks_leave_alone_what_goes_with_its_stretch(
    divided: WorkerEngine, driver: str, clock: ManualClock, report: Report
) -> None:
    # Given messages that are ten days old, in a stretch of which the end isn't
    await told_complete(divided, report, 1)
    messages = await counts(divided, delivery)
    clock.advance(PERIOD + 1)

    # When the clock removes what is over in chunks, then they are left for the stretch
    await sweep(divided, asyncio.Event())
    assert await counts(divided, delivery) == messages

    # And of the first day, which has no partition, nothing is left for anybody
    clock.advance(2 * DAY)
    await partitioned(divided)
    await sweep(divided, asyncio.Event())
    assert await counts(divided, event, delivery, outcome, decision, plan) == [0] * 5


async def test_what_came_before_the_first_partition_goes_in_chunks(
    engine: WorkerEngine, driver: str, clock: ManualClock, report: Report
) -> None:
    # Given messages that were there before partitions were
    engine = keeping(engine, TEN_DAYS)
    await told_complete(engine, report, 1)
    await partition(engine, asyncio.Event())

    # When they are too old
    clock.advance(PERIOD + DAY)
    assert await partitioned(engine) == {}
    await sweep(engine, asyncio.Event())

    # Then they are gone
    assert await counts(engine, event, delivery) == [0, 0]


async def test_a_clock_that_ends_at_any_statement_leaves_all_of_a_stretch_or_nothing(
    divided: WorkerEngine, driver: str, clock: ManualClock, report: Report
) -> None:
    # Given a stretch that may go
    await told_complete(divided, report, 1)
    clock.advance(PERIOD + 2 * DAY)
    tables = (delivery, outcome)
    before = [await rows(divided, table) for table in tables]

    # When clocks end after no statement, after one, after two …
    for after in range(100):
        with ending(divided, after):
            try:
                await partition(divided, asyncio.Event())
            except Ended:
                pass
            else:
                break
        # Then it is there as it was, or gone
        found = [await rows(divided, table) for table in tables]
        assert found in (before, [[], []])
        assert (await ledger.read(divided.database)).balanced
        if found == before:
            assert set(await stretches(divided, outcome)) == set(await stretches(divided))

    # Until one comes to the end
    assert after > len(GROUPS)
    assert await counts(divided, event, delivery, outcome, decision, plan) == [0] * 5


async def test_two_clocks_at_once_drop_a_stretch_once(
    divided: WorkerEngine, driver: str, clock: ManualClock, report: Report
) -> None:
    await told_complete(divided, report, 1, 2)
    (messages,) = await counts(divided, delivery)
    clock.advance(PERIOD + 2 * DAY)

    found = await asyncio.gather(*(partition(divided, asyncio.Event()) for _ in range(2)))

    assert sum(each[Part.DELIVERIES] for each in found) == messages
    assert await counts(divided, event, delivery) == [0, 0]
    assert (await ledger.read(divided.database)).balanced


async def test_receipts_beside_it_end_well(
    divided: WorkerEngine, driver: str, clock: ManualClock, report: Report
) -> None:
    # Given texts of a stretch that may go, and receipts that come now
    await told_complete(divided, report, *range(8))
    texts = [row.id for row in await rows(divided, delivery) if row.channel == SMS]
    clock.advance(PERIOD + 2 * DAY)

    # When both happen at once
    _, *answers = await asyncio.gather(partitioned(divided), *(tell_one(divided, told(text)) for text in texts))

    # Then each moved its text or found none, and the books balance
    assert all(answer in (MOVED, NOTHING) for answer in answers)
    assert await counts(divided, delivery, outcome) == [0, 0]
    assert (await ledger.read(divided.database)).balanced


async def test_a_day_that_was_dropped_cannot_be_recounted(
    divided: WorkerEngine, driver: str, clock: ManualClock, report: Report
) -> None:
    await told_complete(divided, report, 1)
    day = tallies.day(clock.now())
    clock.advance(PERIOD + 2 * DAY)
    await seal(divided, asyncio.Event())
    await partitioned(divided)

    assert (await recount(divided.database, day)).verdict == "removed"


async def test_a_backup_that_holds_the_tables_is_waited_for_without_holding_up_others(
    divided: WorkerEngine, driver: str, clock: ManualClock, report: Report
) -> None:
    # Given somebody who reads the tables in a long transaction, and a clock that would drop a stretch of them
    await told_complete(divided, report, 1)
    clock.advance(PERIOD + 2 * DAY)
    async with reading(divided.database):
        beside = asyncio.create_task(partitioned(divided))

        # When others go on meanwhile, then nothing holds them up, and the stretch is there
        for number in range(2, 5):
            await told_complete(divided, report, number)
        assert not beside.done()

    # And it goes as soon as the tables are free
    assert (await beside)[Part.DELIVERIES] > 0


async def test_what_is_made_while_the_tables_are_waited_for_stays_with_what_became_of_it(
    divided: WorkerEngine, sandbox: Sandbox, driver: str, clock: ManualClock, report: Report
) -> None:
    # Given a stretch with a dead letter, and a clock that waits for its tables
    sandbox.faults.add(REFUSED)
    await told_complete(divided, report, 1)
    letter = await dead_letter(divided)
    clock.advance(PERIOD + 2 * DAY)
    now, before = clock.now(), clock.now() - PERIOD
    stretch, *_ = await stretches(divided)
    async with reading(divided.database):
        beside = asyncio.create_task(dropping.drop(divided.database, Part.DELIVERIES, stretch, before, now))
        async with asyncio.timeout(20):
            while not await waits_for_tables(divided):  # noqa: ASYNC110 (another session of the server)
                await asyncio.sleep(0.01)

        # When the letter is sent again, under an id of its day
        await dead.redrive(divided, [letter.id], "test")
        (again,) = [row for row in await rows(divided, delivery) if row.redrive_of == letter.id]
        await deliver(divided, SMS, [again.id])
    assert await beside

    # Then both are there, and what became of them
    assert {row.id for row in await rows(divided, delivery)} == {letter.id, again.id}
    told_of = {row.delivery_id: row.state for row in await rows(divided, outcome)}
    assert told_of == {letter.id: "failed", again.id: "sent"}


async def waits_for_tables(engine: WorkerEngine) -> bool:
    query = (
        "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND NOT granted"
        " AND relation = CAST('delivery' AS regclass)"
    )
    async with engine.database.engine.connect() as connection:
        return bool((await connection.execute(sa.text(query))).scalar_one())
