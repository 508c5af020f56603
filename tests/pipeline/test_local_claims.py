"""What a worker delivers itself of what it decides is its own from the first moment, and all is known of it."""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

import pytest
import redis
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.broker import DECIDE, DECIDE_URGENT, LANES
from notifier.domain.clock import MINUTE, SECOND, ManualClock
from notifier.domain.deliveries import Reason, State
from notifier.pipeline.claim_batcher import LEASE, Claim
from notifier.pipeline.clock import tick
from notifier.pipeline.decide import decide
from notifier.pipeline.deliver import deliver
from notifier.pipeline.engine import WorkerEngine
from notifier.pipeline.local_claims import claim_locally, due_immediately
from notifier.pipeline.local_dispatcher import LocalDispatcher, Queue
from notifier.pipeline.plan import audience_keys
from notifier.pipeline.planning import read_and_plan
from notifier.pipeline.prepare import prepare
from notifier.providers.bulkheads import Bulkhead
from notifier.sandbox import Sandbox
from notifier.store.core.schema import lease
from notifier.store.core.status import rendered as delivery
from notifier.store.delivery import deliveries, events, supersessions
from notifier.store.delivery.deliveries import Ready
from notifier.store.delivery.supersessions import Supersession
from notifier.store.people import recipients, suppressions
from notifier.store.people.suppressions import Suppression
from notifier.store.reading import ledger
from tests.named import EMAIL, PUSH, SMS
from tests.pipeline.samples import COMPLETE, RECEIPT, WARNING, Dying, Report


def rooms(places: float = float("inf")) -> dict[Queue, Bulkhead]:
    return {queue: Bulkhead(places) for queue in LANES}


class Holding(LocalDispatcher):
    """Batches begin when the test says so, so that what is written before the first of them can be looked at."""

    def __init__(self) -> None:
        super().__init__(rooms())
        self.may_begin = asyncio.Event()

    def begin(self, queue: Queue, messages: int, work: Coroutine[Any, Any, object]) -> None:
        super().begin(queue, messages, self._when_told(work))

    async def _when_told(self, work: Coroutine[Any, Any, object]) -> None:
        await self.may_begin.wait()
        await work


@pytest.fixture
def worker(engine: WorkerEngine) -> WorkerEngine:
    """A worker that serves every queue, and has room."""
    return replace(engine, dispatcher=LocalDispatcher(rooms()))


async def rows(engine: WorkerEngine) -> list[Any]:
    async with engine.database.engine.connect() as connection:
        return list(await connection.execute(sa.select(delivery).order_by(delivery.c.channel, delivery.c.target)))


def waiting(valkey: str) -> dict[str, int]:
    """How many messages wait in each queue of the broker that has some."""
    with redis.Redis.from_url(valkey) as client:
        names = [name.decode() for name in client.scan_iter("notifier:*.msgs")]
        return {name.removeprefix("notifier:").removesuffix(".msgs"): int(client.hlen(name)) for name in names}


async def test_what_is_decided_is_delivered_without_a_signal_and_without_a_claim(
    engine: WorkerEngine, sandbox: Sandbox, driver: str, report: Report, valkey: str
) -> None:
    event = await report("charging.complete", **COMPLETE)
    dispatcher = Holding()
    worker = replace(engine, dispatcher=dispatcher)

    # When a worker with room decides it
    assert await decide(worker, [event]) == 1

    # Then the rows are its own at once, and nobody was told that they are due
    taken = await rows(worker)
    assert {(row.channel, row.state, row.attempts) for row in taken} == {("push", "sending", 1), ("sms", "sending", 1)}
    assert len({row.lease_token for row in taken}) == 2  # one for each queue
    async with worker.database.engine.connect() as connection:
        held = {row.token: row for row in await connection.execute(sa.select(lease))}
    assert {row.lease_token for row in taken} == held.keys()
    assert {row.ends_at for row in held.values()} == {worker.clock.now() + LEASE}
    assert set(waiting(valkey)) <= {DECIDE, DECIDE_URGENT}

    # And they go out
    dispatcher.may_begin.set()
    await dispatcher.close()
    assert {(row.channel, row.state, row.attempts) for row in await rows(worker)} == {
        ("push", "sent", 1),
        ("sms", "sent", 1),
    }
    assert sorted(entry.to for entry in sandbox.ledger.entries) == ["+4915123456789", "token-1", "token-2"]
    assert (await ledger.read(worker.database)).balanced


async def test_what_there_is_no_room_for_is_signalled(
    engine: WorkerEngine, sandbox: Sandbox, driver: str, report: Report, valkey: str
) -> None:
    # Given room for texts only
    worker = replace(engine, dispatcher=LocalDispatcher({queue: Bulkhead(1) for queue in LANES if queue[0] == SMS}))

    # When an event is decided that goes out by push as well
    event = await report("charging.complete", **COMPLETE)
    await decide(worker, [event])
    await worker.dispatcher.close()

    # Then the text is sent, and the pushes wait for whoever claims them
    assert [(row.channel, row.state) for row in await rows(worker)] == [
        ("push", "pending"), ("push", "pending"), ("sms", "sent"),
    ]  # fmt: skip
    assert sum(count for queue, count in waiting(valkey).items() if queue.startswith("push.")) == 1
    assert [entry.to for entry in sandbox.ledger.entries] == ["+4915123456789"]


async def planned(engine: WorkerEngine, event: str) -> list[Claim]:
    """What a worker would take of an event; nothing is written."""
    now = engine.clock.now()

    async def work(connection: AsyncConnection) -> list[Claim]:
        dialect = engine.database.dialect
        batch = await events.take_undecided(connection, dialect, [event])
        members = await recipients.in_audiences(connection, dialect, list(audience_keys(engine.catalog, batch)))
        plan = await read_and_plan(connection, dialect, engine.catalog, batch, now, members)
        known = await supersessions.of(connection, dialect, {each.subject_key for each in plan.deliveries.values()})
        chosen = due_immediately(engine.catalog, plan.deliveries.values(), now)
        return [
            each
            for held in claim_locally(chosen, batch, members, known, dict.fromkeys(chosen, "t"), now).values()
            for each in held
        ]

    return await engine.database.read(work)


async def claimed(engine: WorkerEngine, event: str) -> dict[str, Ready]:
    """What a claim answers of an event's deliveries, by id."""
    await decide(engine, [event])
    ids = [row.id for row in await rows(engine) if row.event_id == event and row.state == State.PENDING]
    return {each.ready.id: each.ready for each in await engine.claims.claim(ids)}


@pytest.mark.parametrize(
    ("type_", "data"),
    [
        ("charging.complete", COMPLETE),
        ("idle.warning", WARNING),
        ("session.receipt", RECEIPT),
    ],
)
@pytest.mark.parametrize("marked", [None, -MINUTE, MINUTE])
async def test_a_worker_knows_of_what_it_takes_what_a_claim_would_have_answered(
    engine: WorkerEngine, driver: str, report: Report, type_: str, data: dict[str, Any], marked: int | None
) -> None:
    # Given a driver whose mailbox is suppressed, and a mark about the same thing, before or after the event
    key = (await suppressions.address_key(engine.database))(EMAIL, "ada@example.com")
    event = await report(type_, **data)
    about = (await planned(engine, event))[0].ready.subject_key
    supersession = None if marked is None else Supersession(
        subject_key=about, until=engine.clock.now() + marked, reason=Reason.CANCELLED, event_id=event
    )  # fmt: skip

    async def spoil(connection: AsyncConnection) -> None:
        bad = [] if type_ == "session.receipt" else [Suppression(key, Reason.BOUNCED)]
        await suppressions.add(connection, engine.database.dialect, bad, engine.clock.now())
        await supersessions.add(connection, engine.database.dialect, [] if supersession is None else [supersession])

    await engine.database.write(spoil)

    # When it is planned by a worker that would take it, and claimed by one that finds it signalled
    taken = {each.ready.id: each.ready for each in await planned(engine, event)}
    found = await claimed(engine, event)

    # Then both know the same, but for what only the rules of other channels ask
    assert taken.keys() == found.keys() != set()
    for id_, own in taken.items():
        other = found[id_]
        for name in Ready.__struct_fields__:
            if name != "facts":
                assert getattr(own, name) == getattr(other, name), name
        assert message(engine, own) == message(engine, other)


def message(engine: WorkerEngine, ready: Ready) -> Any:
    made = prepare(engine.catalog, engine.renderer, engine.links, ready, engine.clock.now())
    return made.message, made.words


async def test_what_was_there_before_is_somebody_else_s(
    worker: WorkerEngine, sandbox: Sandbox, driver: str, report: Report
) -> None:
    # Given two events that say the same, decided one after the other
    first = await report("charging.complete", **COMPLETE)
    second = await report("charging.complete", **COMPLETE)
    await decide(worker, [first])
    await worker.dispatcher.close()
    other = replace(worker, dispatcher=LocalDispatcher(rooms()))

    # When the second one is decided by a worker with room
    assert await decide(other, [second]) == 1
    await other.dispatcher.close()

    # Then nothing goes out twice
    assert len(sandbox.ledger.entries) == 3
    assert {row.event_id for row in await rows(worker)} == {first}


async def test_two_events_that_say_the_same_are_told_once_in_one_decision(
    worker: WorkerEngine, sandbox: Sandbox, driver: str, report: Report
) -> None:
    both = [await report("charging.complete", **COMPLETE) for _ in range(2)]

    assert await decide(worker, both) == 2
    await worker.dispatcher.close()

    assert len(sandbox.ledger.entries) == 3
    assert (await ledger.read(worker.database)).balanced


async def test_what_is_out_of_date_by_the_same_decision_does_not_go_out(
    worker: WorkerEngine, sandbox: Sandbox, driver: str, report: Report
) -> None:
    # Given a warning, and the session's end a moment after it
    warning = await report("idle.warning", **WARNING)
    end = await report("session.ended", at=worker.clock.now() + SECOND, session_id="101")

    # When they are decided together
    assert await decide(worker, [warning, end]) == 2
    await worker.dispatcher.close()

    # Then nobody is warned
    assert {row.state for row in await rows(worker)} == {"cancelled"}
    assert sandbox.ledger.entries == []


async def test_what_a_worker_took_and_ended_with_is_sent_by_another(
    engine: WorkerEngine, clock: ManualClock, sandbox: Sandbox, driver: str, report: Report
) -> None:
    # Given a worker that ends when it has decided, with texts and pushes in its hands
    event = await report("charging.complete", **COMPLETE)
    await decide(replace(engine, dispatcher=Dying(rooms())), [event])
    assert {row.state for row in await rows(engine)} == {"sending"}

    # When its lease is over, and the clock looks
    clock.advance(LEASE - 1)
    await tick(engine)
    assert {row.state for row in await rows(engine)} == {"sending"}
    clock.advance(1)
    await tick(engine)
    pushes = [row.id for row in await rows(engine) if row.channel == "push" and row.state == "pending"]

    # Then others may send it, for the provider hasn't had it
    assert await deliver(engine, PUSH, pushes) == len(pushes) == 2
    assert sorted(entry.to for entry in sandbox.ledger.entries) == ["token-1", "token-2"]
    assert (await ledger.read(engine.database)).balanced


async def test_a_row_that_cannot_be_read_any_more_fails_alone(
    worker: WorkerEngine, driver: str, report: Report
) -> None:
    # Given an event's data that nobody can read when it is claimed
    event = await report("charging.complete", **COMPLETE)
    await decide(replace(worker, dispatcher=LocalDispatcher()), [event])
    async with worker.database.engine.begin() as connection:
        await connection.execute(sa.text("UPDATE event SET data = '{'"))

    ids = [row.id for row in await rows(worker) if row.channel == "sms"]
    assert [each.data for each in await deliveries.load(worker.database, ids, State.PENDING)] == [None]
    await deliver(worker, SMS, ids)

    (row,) = [row for row in await rows(worker) if row.channel == "sms"]
    assert (row.state, row.reason) == ("failed", "render_failed")


async def test_events_that_somebody_has_to_hear_of_at_once_have_a_queue_of_their_own(
    engine: WorkerEngine, driver: str, report: Report, valkey: str
) -> None:
    await report("charging.complete", **COMPLETE)
    assert waiting(valkey) == {DECIDE: 1}
    await report("idle.warning", **WARNING)
    assert waiting(valkey) == {DECIDE: 1, DECIDE_URGENT: 1}
