"""How what is over is removed: by a clock that may end anywhere, beside others, a chunk at a time."""

import asyncio
from collections import Counter

import sqlalchemy as sa

from notifier import metrics
from notifier.domain.clock import DAY, SECOND, ManualClock
from notifier.domain.deliveries import State
from notifier.domain.retention import Part
from notifier.domain.stations import EvseStatus
from notifier.pipeline import dead, retention
from notifier.pipeline.decide import decide
from notifier.pipeline.deliver import deliver
from notifier.pipeline.engine import WorkerEngine
from notifier.pipeline.retention import preview, remove, sweep
from notifier.sandbox import Sandbox
from notifier.store.core.audit import AuditEntry
from notifier.store.core.removal import retention_late
from notifier.store.core.schema import decision, event, outcome, plan
from notifier.store.core.staff import audit
from notifier.store.core.status import rendered as delivery
from notifier.store.delivery import removing
from notifier.store.delivery.retention import LATE_AGAIN
from notifier.store.reading import ledger
from notifier.store.reading.dead import DeadLetterFilter
from notifier.store.reading.dead import find as find_dead
from notifier.store.stations import evses, locations
from notifier.store.stations.evses import StatusReport
from tests.named import SMS
from tests.pipeline.receipts import NOTHING, tell_one, told
from tests.pipeline.removing import (
    MONTH,
    ONE_YEAR,
    YEAR,
    counts,
    keeping,
    removed,
    rows,
    tell,
    told_complete,
)
from tests.pipeline.samples import NOW, Report
from tests.pipeline.test_dead import REFUSED
from tests.places import PLACE, place


async def test_a_clock_that_ends_anywhere_leaves_the_rest_to_the_next(
    engine: WorkerEngine, driver: str, clock: ManualClock, report: Report
) -> None:
    # Given what two clocks have to remove, of which each ends after one transaction
    engine = keeping(engine, ONE_YEAR)
    await told_complete(engine, report, 1, 2, 3)
    entries = [AuditEntry(at=NOW + number, actor="a", action="x", subject=str(number)) for number in range(1_100)]
    await tell(engine, entries)
    expected = {
        Part.DATA: 3, Part.DECISIONS: 3, Part.DELIVERIES: len(await rows(engine, delivery)), Part.EVENTS: 3,
        Part.AUDIT: 1_100,
    }  # fmt: skip
    clock.advance(YEAR + DAY)

    found: Counter[Part] = Counter()
    rounds = 0
    while step := await anext(remove(engine.database, engine.catalog, engine.clock.now()), None):
        found[step[0]] += step[1].number
        rounds += 1
        assert (await ledger.read(engine.database)).balanced

    # Then each row went once
    assert found.pop(Part.CHANGES)
    assert +found == expected
    assert rounds > len(expected)


async def test_two_clocks_at_once_remove_each_row_once(
    engine: WorkerEngine, driver: str, clock: ManualClock, report: Report
) -> None:
    # Given much that may go
    engine = keeping(engine, ONE_YEAR)
    await told_complete(engine, report, *range(5))
    entries = [AuditEntry(at=NOW, actor="a", action="x", subject=str(number)) for number in range(1_100)]
    await tell(engine, entries)
    total = sum(await counts(engine, delivery, audit))
    clock.advance(YEAR + DAY)
    before = metrics.rows_removed.labels(Part.AUDIT)._value.get()

    # When two clocks begin at the same moment
    found = await asyncio.gather(*(sweep(engine, asyncio.Event()) for _ in range(2)))

    # Then together they removed what was there
    both = found[0] + found[1]
    assert both[Part.DELIVERIES] + both[Part.AUDIT] == total
    assert (both[Part.EVENTS], both[Part.DATA]) == (5, 5)
    assert metrics.rows_removed.labels(Part.AUDIT)._value.get() - before == 1_100
    assert await counts(engine, event, delivery, outcome, decision, audit, retention_late) == [0] * 6


async def test_receipts_beside_removals_end_well(
    engine: WorkerEngine, driver: str, clock: ManualClock, report: Report
) -> None:
    # Given texts whose year is over, and receipts that come now
    engine = keeping(engine, ONE_YEAR)
    await told_complete(engine, report, *range(8))
    texts = [row.id for row in await rows(engine, delivery) if row.channel == SMS]
    clock.advance(YEAR + DAY)

    # When both happen at once
    await asyncio.gather(removed(engine), *(tell_one(engine, told(text)) for text in texts))

    # Then a receipt moved a text or found none, and all are gone
    assert await counts(engine, event, delivery) == [0, 0]
    assert (await ledger.read(engine.database)).balanced


async def test_a_campaigns_decisions_go_in_parts(
    engine: WorkerEngine, driver: str, clock: ManualClock, report: Report
) -> None:
    # Given an event about which more was decided than one transaction removes
    engine = keeping(engine, ONE_YEAR)
    ids = await told_complete(engine, report, 1, 2, 3)
    many = removing.TOGETHER + 10
    new = {"event_id": ids[1], "type": "zz", "decided_at": NOW, "answers": "[]"}
    async with engine.database.engine.begin() as connection:
        await connection.execute(sa.insert(decision), [{**new, "recipient_id": f"{n:05}"} for n in range(many)])

    # When its period is over, then they go, and those of the others
    clock.advance(YEAR + DAY)
    parts = [
        step.number
        async for part, step in remove(engine.database, engine.catalog, clock.now())
        if part == Part.DECISIONS
    ]
    assert (max(parts), sum(parts)) == (removing.TOGETHER, many + 3)
    assert await counts(engine, event, decision) == [0, 0]


async def test_of_an_event_that_made_very_many_deliveries_what_is_open_is_looked_for_among_the_open_ones(
    engine: WorkerEngine, sandbox: Sandbox, driver: str, clock: ManualClock, report: Report
) -> None:
    # Given two events that made very many deliveries, of which one failed
    sandbox.faults.add(REFUSED)
    failed, over = await told_complete(engine, report, 1, 2)
    async with engine.database.engine.begin() as connection:
        await connection.execute(sa.update(plan).values(deliveries=removing.WIDE + 1))

    # When their month is over, then the data of the other one go
    clock.advance(MONTH + SECOND)
    await removed(engine)
    blank = {row.id: row.data == "{}" for row in await rows(engine, event)}
    letters = await find_dead(engine.database, DeadLetterFilter(channel=SMS), None, 10)
    assert blank == {each: each != letters[0].event_id for each in (failed, over)}

    # And that one's once it is handled
    await dead.discard(engine, [letters[0].id], "test")
    clock.advance(LATE_AGAIN)
    assert await removed(engine) == {Part.DATA: 1}


async def test_a_preview_says_what_goes_then(
    engine: WorkerEngine, sandbox: Sandbox, driver: str, clock: ManualClock, report: Report
) -> None:
    # Given what may go, what is open, and what is young
    engine = keeping(engine, ONE_YEAR)
    sandbox.faults.add(REFUSED)
    await told_complete(engine, report, 1, 2)
    await tell(engine, [AuditEntry(at=NOW, actor="a", action="x", subject="s")])
    clock.advance(YEAR + DAY)
    await told_complete(engine, report, 3)
    everything = (event, delivery, outcome, decision, audit, retention_late)
    before = [await rows(engine, table) for table in everything]

    # When it is counted
    counted: Counter[Part] = Counter()
    oldest: dict[Part, int | None] = {}
    async for part, step in preview(engine.database, engine.catalog, clock.now()):
        counted[part] += step.number
        oldest[part] = step.oldest if step.number else oldest.get(part)

    # Then nothing has changed, and that is what goes
    assert [await rows(engine, table) for table in everything] == before
    assert {oldest[part] for part in (Part.DATA, Part.EVENTS, Part.AUDIT)} == {NOW}
    went: Counter[Part] = Counter()
    async for part, step in remove(engine.database, engine.catalog, engine.clock.now()):
        went[part] += step.number
    assert +counted == +went


async def test_a_round_with_nothing_to_do_writes_nothing(
    engine: WorkerEngine, driver: str, clock: ManualClock, report: Report
) -> None:
    await told_complete(engine, report, 1)
    await removed(engine)

    assert [step async for step in remove(engine.database, engine.catalog, engine.clock.now())] == []


async def test_the_clock_removes_until_it_is_told_to_stop(
    engine: WorkerEngine, driver: str, clock: ManualClock, report: Report
) -> None:
    # Given data whose month is over
    await told_complete(engine, report, 1)
    clock.advance(MONTH + SECOND)

    # When the clock's task runs
    stop = asyncio.Event()
    running = asyncio.create_task(retention.run(engine, stop))
    async with asyncio.timeout(30):
        while not running.done():
            if (await rows(engine, event))[0].data == "{}":
                break
            await asyncio.sleep(0.01)

    # Then it has removed them, and ends when it is told to
    stop.set()
    await running


async def test_what_is_told_of_a_message_that_is_gone_changes_nothing(
    engine: WorkerEngine, driver: str, clock: ManualClock, report: Report
) -> None:
    # Given a text that was sent and has gone
    engine = keeping(engine, ONE_YEAR)
    (id_,) = await told_complete(engine, report, 1)
    (text,) = [row.id for row in await rows(engine, delivery) if row.channel == SMS]
    clock.advance(YEAR + DAY)
    await removed(engine)

    # When a receipt, a repeated signal and a redrive come for it
    assert await tell_one(engine, told(text)) == NOTHING
    assert await tell_one(engine, told(text, State.UNDELIVERED, again="offline")) == NOTHING
    await deliver(engine, SMS, [text])
    await decide(engine, [id_])
    (refused,) = await dead.redrive(engine, [text], "test")

    # Then there is no such delivery
    assert refused.reason == "not_found"
    assert await counts(engine, event, delivery, outcome) == [0, 0, 0]
    assert (await ledger.read(engine.database)).balanced


async def test_what_a_port_said_goes_and_what_it_says_stays(engine: WorkerEngine, clock: ManualClock) -> None:
    # Given a port that was taken and is free
    await locations.update(engine.database, PLACE, lambda _: place(ports=["1"]))
    report = StatusReport(id=f"{PLACE}-1", status=EvseStatus.AVAILABLE, at=clock.now(), source="ocpi")
    await evses.report_statuses(engine.database, [report], clock.now())
    clock.advance(YEAR)

    # When its history's period is over
    found = await removed(engine)

    # Then it is as it was
    assert found == Counter({Part.STATUSES: 2})
    stored = await locations.get(engine.database, PLACE)
    assert stored is not None
    assert [each.evse.status for each in stored.evses.values()] == [EvseStatus.AVAILABLE]
