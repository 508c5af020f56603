"""Days that are over are sealed, once, by whichever clock; what comes later corrects them, and the books balance."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from notifier.broker import LANES
from notifier.domain.clock import DAY, HOUR, ManualClock
from notifier.domain.deliveries import State
from notifier.pipeline import clock as clocks
from notifier.pipeline.claim_batcher import LEASE
from notifier.pipeline.dead import discard, redrive
from notifier.pipeline.decide import decide
from notifier.pipeline.engine import WorkerEngine
from notifier.pipeline.sealing import SETTLED, seal
from notifier.providers.bulkheads import Bulkhead
from notifier.sandbox import Sandbox
from notifier.store.core import books
from notifier.store.core.books import tally
from notifier.store.delivery import open_events, seals, tallies
from notifier.store.delivery.tallies import Kind
from notifier.store.reading import ledger
from notifier.store.reading.ledger import Ledger
from notifier.store.reading.recount import Recount, recount
from tests.named import SMS
from tests.pipeline.receipts import MOVED, tell_one, told
from tests.pipeline.removing import told_complete
from tests.pipeline.samples import COMPLETE, NOW, Dying, Report
from tests.pipeline.steps import deliver_due, rows
from tests.pipeline.test_dead import REFUSED

TODAY = tallies.day(NOW)
TOMORROW_MORNING = DAY - NOW % DAY + SETTLED
"""Milliseconds from now until today may be sealed."""


async def sealed(engine: WorkerEngine) -> list[int]:
    """The days that a clock seals now; the books balance afterwards, and say of all days together what they said."""
    before = await read(engine)
    found = await seal(engine, asyncio.Event())
    after = await read(engine)
    assert totals(before) == totals(after)
    return found


async def read(engine: WorkerEngine) -> Ledger:
    found = await ledger.read(engine.database)
    assert found.balanced, found
    return found


def totals(found: Ledger) -> Any:
    return {name: value for name, value in found.as_dict().items() if name != "days"}


async def of(engine: WorkerEngine, table: sa.Table) -> list[Any]:
    async with engine.database.engine.connect() as connection:
        return list(await connection.execute(sa.select(table).order_by(table.c.day)))


async def counted(engine: WorkerEngine, day: int = TODAY) -> Recount:
    """What a recount says of a day, two rows at a time; it agrees."""
    found = await recount(engine.database, day, at_once=2)
    assert (found.verdict, found.lines) == ("agrees", []), found
    return found


def kinds(document: str | None) -> dict[Kind, int]:
    return seals.read(document)


async def test_a_day_is_sealed_once_it_ended_a_while_ago_and_all_of_it_is_over(
    engine: WorkerEngine, driver: str, clock: ManualClock, report: Report
) -> None:
    # Given messages that went out today
    await told_complete(engine, report, 1, 2)
    books_before = await read(engine)
    number = books_before.deliveries["sent"]

    # When the day ended, but lately, then it isn't sealed
    clock.advance(TOMORROW_MORNING - 1)
    assert await sealed(engine) == []

    # When that was a while ago, then it is, once
    clock.advance(1)
    assert await sealed(engine) == [TODAY]
    assert await sealed(engine) == []

    # Then its sums are written down, and none of its tallies is left
    (day,) = await of(engine, books.seal)
    assert (day.day, day.sealed_at, day.corrections) == (TODAY, clock.now(), None)
    sums = kinds(day.sums)
    assert sums["event", "accepted", "", ""] == sums["event", "decided", "", ""] == 2
    assert sum(count for kind, count in sums.items() if kind[1] == "sent") == number
    assert {row.day for row in await of(engine, tally)} == {tallies.CARRIED}

    # And the ledger says so, and the rows
    days = (await read(engine)).days
    assert (days.sealed, days.first_sealed, days.last_sealed) == (1, "2026-03-09", "2026-03-09")
    assert (days.open, days.corrected, days.open_since) == (0, 0, None)
    found = await counted(engine)
    assert (found.sealed_at, found.events, found.deliveries) == (clock.now(), 2, books_before.total)


async def test_a_dead_letter_keeps_its_own_day_open_and_no_other(
    engine: WorkerEngine, sandbox: Sandbox, driver: str, clock: ManualClock, report: Report
) -> None:
    # Given a message that failed today, and others that went out on the days after
    sandbox.faults.add(REFUSED)
    await told_complete(engine, report, 1)
    for number in (2, 3):
        clock.advance(DAY)
        await told_complete(engine, report, number)

    # When those days are over, then they are sealed, and today isn't
    clock.advance(TOMORROW_MORNING)
    assert await sealed(engine) == [TODAY + 1, TODAY + 2]
    days = (await read(engine)).days
    assert (days.sealed, days.open, days.open_since) == (2, 1, "2026-03-09")

    # Until a person has handled it
    await discard(engine, [row.id for row in await rows(engine, state=State.FAILED)], "ada")
    assert await sealed(engine) == [TODAY]
    for day in range(TODAY, TODAY + 3):
        await counted(engine, day)


async def test_what_a_worker_took_as_it_decided_it_keeps_a_day_open(
    engine: WorkerEngine, driver: str, clock: ManualClock, report: Report
) -> None:
    # Given a worker that ended before it sent what it had taken
    id_ = await report("charging.complete", **COMPLETE)
    dying = Dying({queue: Bulkhead(100) for queue in LANES})
    await decide(replace(engine, dispatcher=dying), [id_])
    await counted(engine)
    clock.advance(TOMORROW_MORNING)

    # When its day has ended, then it isn't sealed while the lease lasts, nor while the outcomes are unknown
    assert await sealed(engine) == []
    clock.advance(LEASE)
    await clocks.tick(engine)
    assert await sealed(engine) == []
    await counted(engine)


async def test_an_event_keeps_its_day_open_until_it_is_decided_or_discarded(
    engine: WorkerEngine, driver: str, clock: ManualClock, report: Report
) -> None:
    # Given events of two days that were put aside
    ids = []
    for number in (1, 2):
        ids.append(await report("charging.complete", **{**COMPLETE, "session_id": str(number)}))
        clock.advance(DAY)
    await open_events.quarantine(engine.database, ids, clock.now())
    clock.advance(DAY)
    assert await sealed(engine) == []

    # When a person discards the first one, then its day is sealed, though the books count the event as quarantined
    await discard(engine, ids[:1], "ada")
    assert await sealed(engine) == [TODAY]
    assert (await read(engine)).quarantined == 2
    await counted(engine)

    # And when the other one is taken up, then that day is, once all of it is over
    await redrive(engine, ids[1:], "ada")
    await decide(engine, ids)
    await deliver_due(engine)
    assert await sealed(engine) == [TODAY + 1]
    await counted(engine, TODAY + 1)


async def test_what_comes_after_the_seal_is_a_correction_beside_it(
    engine: WorkerEngine, driver: str, clock: ManualClock, report: Report
) -> None:
    # Given a sealed day with two texts
    await told_complete(engine, report, 1, 2)
    texts = [row.id for row in await rows(engine, channel=SMS)]
    clock.advance(TOMORROW_MORNING)
    await sealed(engine)
    (before,) = await of(engine, books.seal)

    # When a receipt says that one of them arrived
    assert await tell_one(engine, told(texts[0])) == MOVED

    # Then the books say so at once
    after = await read(engine)
    assert (after.deliveries["delivered"], after.days.corrected, after.days.open) == (1, 1, 0)
    await counted(engine)

    # And when the clock has looked, and has looked again after another one, the seal is as it was, and they stand there
    moved = {("delivery", "delivered", "sms", ""): 1, ("delivery", "sent", "sms", ""): -1}
    for number, text in enumerate(texts, start=1):
        await tell_one(engine, told(text))
        assert await sealed(engine) == []
        (day,) = await of(engine, books.seal)
        assert (day.sealed_at, day.sums) == (before.sealed_at, before.sums)
        assert kinds(day.corrections) == {kind: number * count for kind, count in moved.items()}
        assert (await read(engine)).days.corrected == 1
        await counted(engine)


class Ended(Exception):
    """What ends a transaction here."""


@contextmanager
def ending(engine: WorkerEngine, after: int) -> Iterator[list[str]]:
    """Transactions that write end after so many statements that change something."""
    made: list[str] = []

    def on_statement(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        if statement.startswith(("INSERT", "DELETE", "UPDATE")):
            made.append(statement)
            if len(made) > after:
                raise Ended

    sa.event.listen(engine.database.engine.sync_engine, "before_cursor_execute", on_statement)
    try:
        yield made
    finally:
        sa.event.remove(engine.database.engine.sync_engine, "before_cursor_execute", on_statement)


async def test_a_clock_that_ends_at_any_statement_leaves_the_books_as_they_were(
    engine: WorkerEngine, driver: str, clock: ManualClock, report: Report
) -> None:
    # Given a day that may be sealed, and later a sealed one that was corrected
    await told_complete(engine, report, 1)
    text = (await rows(engine, channel=SMS))[0].id
    clock.advance(TOMORROW_MORNING)
    for _ in range(2):
        before, tallied, was = await read(engine), await of(engine, tally), await of(engine, books.seal)

        # When clocks end after no statement, after one, after two …
        for after in range(10):
            with ending(engine, after) as made:
                try:
                    await seal(engine, asyncio.Event())
                except Ended:
                    pass
                else:
                    break
            # Then nothing has changed
            assert sorted(map(tuple, await of(engine, tally))) == sorted(map(tuple, tallied))
            assert (await read(engine), await of(engine, books.seal)) == (before, was)
            await counted(engine)

        # Until one does it all
        assert len(made) >= 3
        assert totals(await read(engine)) == totals(before)
        await counted(engine)
        await tell_one(engine, told(text))


async def test_clocks_that_seal_and_merge_at_once_seal_each_day_once_and_every_reader_has_the_sums_of_a_moment(
    engine: WorkerEngine, driver: str, clock: ManualClock, report: Report
) -> None:
    # Given a few days that may be sealed, with tallies that may be merged
    for number in range(4):
        await told_complete(engine, report, 2 * number, 2 * number + 1)
        clock.advance(DAY)
    texts = [row.id for row in await rows(engine, channel=SMS)]
    clock.advance(HOUR * 12)
    before, done = await read(engine), asyncio.Event()

    async def look() -> None:
        while not done.is_set():
            found = await read(engine)
            assert (found.events, found.planned, found.total) == (before.events, before.planned, before.total)

    async def fold() -> None:
        while not done.is_set():
            await tallies.fold(engine.database, 7)
            await asyncio.sleep(0)

    # When three clocks do so at once, while receipts come
    async with asyncio.TaskGroup() as tasks:
        others = [tasks.create_task(work()) for work in (look, fold, fold)]
        receipts = [tasks.create_task(tell_one(engine, told(text))) for text in texts]
        found = await asyncio.gather(*(seal(engine, asyncio.Event()) for _ in range(3)))
        await asyncio.gather(*receipts)
        await seal(engine, asyncio.Event())
        done.set()
        await asyncio.gather(*others)

    # Then each day was sealed by one of them, and rows and books agree
    assert sorted(day for each in found for day in each) == list(range(TODAY, TODAY + 4))
    assert {row.day for row in await of(engine, tally)} == {tallies.CARRIED}
    for day in range(TODAY, TODAY + 4):
        await counted(engine, day)

    # And what was carried over is the sum of the seals
    carried: dict[Kind, int] = {}
    for row in await of(engine, tally):
        kind = (row.part, row.state, row.channel, row.reason)
        carried = seals.added(carried, {kind: row.number})
    every = [kinds(document) for row in await of(engine, books.seal) for document in (row.sums, row.corrections)]
    assert carried == seals.added(*every)


async def test_where_nothing_is_to_be_sealed_nothing_is_written_and_little_read(
    engine: WorkerEngine, driver: str, clock: ManualClock, report: Report
) -> None:
    await told_complete(engine, report, 1)

    with ending(engine, 0) as made:
        assert await seal(engine, asyncio.Event()) == []

    assert made == []


@pytest.mark.parametrize("stopped", [True, False])
async def test_a_clock_that_stops_seals_no_further_day(
    engine: WorkerEngine, driver: str, clock: ManualClock, report: Report, stopped: bool
) -> None:
    await told_complete(engine, report, 1)
    clock.advance(TOMORROW_MORNING)
    stop = asyncio.Event()
    if stopped:
        stop.set()

    assert await seal(engine, stop) == ([] if stopped else [TODAY])
