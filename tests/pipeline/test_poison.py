"""Rows that can't be worked on, or that end whoever works on them: put aside after a few tries, and alone."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import dramatiq
import pytest
import redis
import sqlalchemy as sa
from prometheus_client import Counter

from notifier import metrics
from notifier.broker import ASK, CAREFUL, DECIDE, LANES
from notifier.channels.sms.messages import SmsMessage
from notifier.domain.catalog import Catalog
from notifier.domain.clock import SECOND, ManualClock
from notifier.domain.deliveries import Channel, Lane, State
from notifier.domain.messages import Receipt
from notifier.pipeline.claim_batcher import LEASE
from notifier.pipeline.clock import FULL_QUEUE, tick
from notifier.pipeline.dead import redrive
from notifier.pipeline.decide import decide
from notifier.pipeline.deliver import deliver
from notifier.pipeline.engine import SIGNAL_AGAIN, WorkerEngine
from notifier.pipeline.resolve import MAX_CRASHES, ask
from notifier.sandbox import Sandbox
from notifier.store.core.schema import event, open_event, plan
from notifier.store.core.status import rendered as delivery
from notifier.store.delivery import leases, open_events, unknown_checks
from notifier.store.reading import ledger
from tests.named import PUSH, SMS
from tests.pipeline.samples import COMPLETE, NOW, Report
from tests.samples import UNLIMITED

Signal = tuple[list[str], dict[str, Any]]


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return UNLIMITED


class Queues:
    """What waits in the broker."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def take(self, queue: str) -> list[Signal]:
        """All messages that wait in a queue: their ids and what else they say."""
        return [(message.args[0], message.kwargs) for message in self.messages(queue)]

    def messages(self, queue: str) -> list[dramatiq.Message[None]]:
        """The same as they are."""
        ids, name = f"notifier:{queue}", f"notifier:{queue}.msgs"
        found: Any = self._client.hgetall(name)
        self._client.delete(ids, name)
        return [dramatiq.Message.decode(data) for data in found.values()]

    def clear(self) -> None:
        self._client.flushdb()


@pytest.fixture
def queues(valkey: str, engine: WorkerEngine) -> Iterator[Queues]:
    with redis.Redis.from_url(valkey) as client:
        yield Queues(client)


async def report_many(report: Report, count: int) -> list[str]:
    """The ids of events, each about a session of its own."""
    return [await report("charging.complete", **{**COMPLETE, "session_id": str(number)}) for number in range(count)]


async def spoil(engine: WorkerEngine, id_: str, data: str = "[]") -> None:
    """Make an event's data what no policy and no template can read."""
    async with engine.database.engine.begin() as connection:
        await connection.execute(sa.update(event).where(event.c.id == id_).values(data=data))


async def rows(engine: WorkerEngine, table: sa.FromClause, **where: Any) -> list[Any]:
    query = sa.select(table).where(*(table.c[name] == value for name, value in where.items()))
    async with engine.database.engine.connect() as connection:
        return list(await connection.execute(query))


async def the(engine: WorkerEngine, table: sa.FromClause, id_: str) -> Any:
    (row,) = await rows(engine, table, id=id_)
    return row


def counted(counter: Counter, label: str) -> float:
    value: float = counter.labels(label)._value.get()
    return value


@pytest.mark.parametrize("data", ["[]", "{}", '{"driver_id": "ada"}', "{", "null"])
async def test_an_event_that_cannot_be_decided_is_put_aside_and_keeps_no_other_of_its_batch_back(
    engine: WorkerEngine, clock: ManualClock, driver: str, report: Report, queues: Queues, data: str
) -> None:
    # Given a hundred events, the data of one of which nobody can read
    ids = await report_many(report, 100)
    bad = ids[63]
    await spoil(engine, bad, data)
    before = counted(metrics.rows_quarantined, "event")
    queues.clear()

    # When they are decided together, then all the others are, at once
    assert await decide(engine, ids) == 99
    assert (await the(engine, open_event, bad)).tries == 1

    # When the clock signals it again, then it goes alone, and is tried a second time
    clock.advance(SIGNAL_AGAIN)
    await tick(engine)
    assert queues.take(CAREFUL) == [([bad], {"tries": 1})]
    assert await decide(engine, [bad], tries=1) == 0

    # And then it is put aside, in the books and with a metric, and nobody signals it again
    clock.advance(SIGNAL_AGAIN)
    await tick(engine)
    books = await ledger.read(engine.database)
    assert (books.balanced, books.decided, books.undecided, books.quarantined) == (True, 99, 0, 1)
    assert counted(metrics.rows_quarantined, "event") == before + 1
    clock.advance(3600 * SECOND)
    await tick(engine)
    assert queues.take(DECIDE) == []

    # Until a person has mended it and redrives it
    await spoil(engine, bad, (await the(engine, event, ids[0])).data)
    await redrive(engine, [bad], "ada")
    assert queues.take(DECIDE) == [([bad], {})]
    assert await decide(engine, [bad]) == 1


async def test_an_event_that_ends_its_worker_does_so_three_times_at_most(
    engine: WorkerEngine, clock: ManualClock, driver: str, report: Report, queues: Queues
) -> None:
    # Given ten events whose worker ended, for one of them ends every worker
    ids = await report_many(report, 10)
    deadly, ends = ids[4], 1
    queues.clear()

    async def work(taken: list[Signal]) -> int:
        """A worker takes the clock's signals; how many of its processes ended."""
        ended = 0
        for some, keywords in taken:
            if deadly in some:
                ended += bool(
                    await open_events.begin_try(engine.database, some, keywords["tries"], clock.now() + SIGNAL_AGAIN)
                )
            else:
                await decide(engine, some, **keywords)
        return ended

    # When the clock brings them back again and again
    for _ in range(10):
        clock.advance(SIGNAL_AGAIN)
        await tick(engine)
        ends += await work([signal for signal in queues.take(CAREFUL) if "tries" in signal[1]])

    # Then the others were decided meanwhile, and that one is put aside
    assert ends == 3
    assert {row.event_id for row in await rows(engine, plan)} == {*ids} - {deadly}
    assert max(row.decided_at for row in await rows(engine, plan)) <= NOW + 2 * SIGNAL_AGAIN
    assert (await the(engine, open_event, deadly)).quarantined_at is not None
    assert (await ledger.read(engine.database)).balanced


async def test_a_signal_that_came_twice_is_one_try(
    engine: WorkerEngine, clock: ManualClock, driver: str, report: Report
) -> None:
    # Given events that were signalled again several times over, for the queue was long
    ids = await report_many(report, 3)

    async def begin() -> list[str]:
        return await open_events.begin_try(engine.database, ids, 0, clock.now() + SIGNAL_AGAIN)

    # When workers come to all of the signals at once
    begun = await asyncio.gather(*(begin() for _ in range(5)))

    # Then each event is tried by one of them, and counted once
    assert sorted(id_ for taken in begun for id_ in taken) == sorted(ids)
    assert {row.tries for row in await rows(engine, open_event)} == {1}


async def test_an_event_is_not_judged_while_it_is_tried(
    engine: WorkerEngine, clock: ManualClock, driver: str, report: Report, queues: Queues
) -> None:
    # Given an event whose last try has begun just now, on a signal that waited for long
    (id_,) = await report_many(report, 1)
    await open_events.begin_try(engine.database, [id_], 0, clock.now() + SIGNAL_AGAIN)
    clock.advance(SIGNAL_AGAIN)
    await open_events.begin_try(engine.database, [id_], 1, clock.now() + SIGNAL_AGAIN)

    # When the clock looks meanwhile
    clock.advance(SIGNAL_AGAIN - 1)
    await tick(engine)

    # Then the try may end well
    assert (await the(engine, open_event, id_)).quarantined_at is None
    assert await decide(engine, [id_]) == 1


@pytest.mark.parametrize("channel", [PUSH, SMS])
async def test_a_delivery_that_ends_its_worker_is_put_aside(
    engine: WorkerEngine, sandbox: Sandbox, clock: ManualClock, driver: str, report: Report, queues: Queues,
    channel: Channel,
) -> None:  # fmt: skip
    # Given two deliveries of a channel, one of which ends whoever makes its message
    await decide(engine, await report_many(report, 2))
    deadly, other = sorted(row.id for row in await rows(engine, delivery) if row.channel == channel)[:2]
    before = counted(metrics.rows_quarantined, "delivery")
    ends = 0
    assert await leases.claim(engine.database, [deadly, other], "first", clock.now(), clock.now() + LEASE)

    # When workers take what the clock signals, again and again
    for _ in range(10):
        clock.advance(LEASE)
        queues.clear()
        await tick(engine)
        assert queues.take(LANES[channel, Lane.URGENT]) == []
        for message in queues.messages(CAREFUL):
            (ids,) = message.args
            is_asked = message.actor_name == "ask"
            if deadly in ids and not is_asked:
                ends += len(await leases.claim(engine.database, ids, "again", clock.now(), clock.now() + LEASE))
            elif not is_asked:
                await deliver(engine, channel, ids)
            elif deadly in ids:
                free_until = clock.now() + SIGNAL_AGAIN
                ends += len(await unknown_checks.begin(engine.database, ids, free_until, clock.now() + LEASE))
            else:
                await ask(engine, ids)

    # Then it has failed, after as many as may be, and is a dead letter; and the other one was sent
    aside = await the(engine, delivery, deadly)
    assert (aside.state, aside.reason, aside.next_check_at) == ("failed", "quarantined", None)
    assert 1 + ends == MAX_CRASHES
    assert (await the(engine, delivery, other)).state == "sent"
    assert sandbox.ledger.accepted(channel, other) == 1
    assert counted(metrics.rows_quarantined, "delivery") == before + 1
    assert (await ledger.read(engine.database)).balanced


async def test_what_ended_a_worker_waits_while_the_queue_for_such_is_full(
    engine: WorkerEngine, clock: ManualClock, driver: str, report: Report, queues: Queues
) -> None:
    # Given a push whose worker ended, and a queue full of what may end one
    await decide(engine, await report_many(report, 1))
    push = next(row.id for row in await rows(engine, delivery) if row.channel == PUSH)
    assert await leases.claim(engine.database, [push], "lost", clock.now(), clock.now() + LEASE)
    queues.clear()
    await engine.signals.ask(["other"] * FULL_QUEUE, alone=True)

    # When its lease is over, then it waits
    clock.advance(LEASE)
    await tick(engine)
    assert queues.take(CAREFUL) == [(["other"], {})] * FULL_QUEUE
    assert all(push not in ids for ids, _ in queues.take(LANES[PUSH, Lane.URGENT]))

    # Until there is room
    clock.advance(SIGNAL_AGAIN)
    await tick(engine)
    assert ([push], {}) in queues.take(CAREFUL)


async def test_events_that_nobody_took_go_in_company_while_the_queue_for_what_may_end_a_worker_is_full(
    engine: WorkerEngine, clock: ManualClock, driver: str, report: Report, queues: Queues
) -> None:
    # Given an event whose signal was lost, one that was tried and not decided, and no room for what may end a worker
    lost, tried = await report_many(report, 2)
    assert await open_events.begin_try(engine.database, [tried], 0, clock.now()) == [tried]
    queues.clear()
    await engine.signals.ask(["other"] * FULL_QUEUE, alone=True)

    # When the clock signals again, then the lost one need not wait for room, and the tried one does
    clock.advance(SIGNAL_AGAIN)
    await tick(engine)
    assert queues.take(DECIDE) == [([lost], {"tries": 0})]
    assert queues.take(CAREFUL) == [(["other"], {})] * FULL_QUEUE

    # Until there is some
    clock.advance(SIGNAL_AGAIN)
    await tick(engine)
    assert ([tried], {"tries": 1}) in queues.take(CAREFUL)


async def test_a_provider_that_is_asked_for_long_is_not_asked_by_two_and_no_crash_is_counted(
    engine: WorkerEngine, clock: ManualClock, driver: str, report: Report, queues: Queues
) -> None:
    # Given a text that may or may not have gone out, about which a worker is asking
    await decide(engine, await report_many(report, 1))
    (text,) = await rows(engine, delivery, channel="sms")
    await leases.claim(engine.database, [text.id], "lost", clock.now(), clock.now() + LEASE)
    clock.advance(LEASE)
    await tick(engine)
    held = await unknown_checks.begin(engine.database, [text.id], clock.now() + SIGNAL_AGAIN, clock.now() + LEASE)
    assert held == [text.id]

    # When the clock looks again, and another worker has a signal left over
    queues.clear()
    clock.advance(2 * SIGNAL_AGAIN)
    await tick(engine)
    assert queues.take(ASK) == []
    assert await ask(engine, [text.id]) == 0

    # Then the row is as that one worker leaves it
    await unknown_checks.end(engine.database, held, clock.now())
    assert (await the(engine, delivery, text.id)).crashes == 1
    assert await ask(engine, [text.id]) == 1
    assert (await the(engine, delivery, text.id)).state == "pending"


async def test_a_delivery_whose_data_cannot_be_read_fails_alone(
    engine: WorkerEngine, sandbox: Sandbox, driver: str, report: Report, queues: Queues
) -> None:
    # Given texts of which one's data has changed its shape since the decision
    ids = await report_many(report, 5)
    await decide(engine, ids)
    await spoil(engine, ids[2])
    texts = {row.event_id: row.id for row in await rows(engine, delivery, channel="sms")}

    # When they are sent together
    await deliver(engine, SMS, [texts[id_] for id_ in ids])

    # Then that one has failed, with a reason, and the others are sent
    found = {row.event_id: (row.state, row.reason) for row in await rows(engine, delivery, channel="sms")}
    assert [found[id_] for id_ in ids] == [
        ("sent", None), ("sent", None), ("failed", "render_failed"), ("sent", None), ("sent", None),
    ]  # fmt: skip


class Faulty:
    """A transport that has a fault: it breaks for one message, and takes the others."""

    def __init__(self, reference: str) -> None:
        self._reference = reference

    async def send(self, message: SmsMessage) -> Receipt:
        if message.reference == self._reference:
            raise ZeroDivisionError
        await asyncio.sleep(0.01)
        return Receipt("faulty", message.reference)

    async def close(self) -> None:
        return


async def test_a_fault_in_one_send_leaves_the_other_outcomes_recorded(
    engine: WorkerEngine, driver: str, report: Report
) -> None:
    await decide(engine, await report_many(report, 3))
    texts = [row.id for row in await rows(engine, delivery, channel="sms")]
    faulty = replace(engine, transports={**engine.transports, SMS: Faulty(texts[1])})

    await deliver(faulty, SMS, texts)

    states = [(await the(engine, delivery, id_)).state for id_ in texts]
    assert states == [State.SENT, State.UNKNOWN, State.SENT]
