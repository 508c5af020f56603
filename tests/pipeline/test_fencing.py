"""A lease that has run out fences its worker off: what it has not handed over by then, it doesn't."""

import asyncio
from dataclasses import replace

import pytest
import sqlalchemy as sa

from notifier.domain.clock import MINUTE, ManualClock
from notifier.domain.deliveries import Channel, State
from notifier.pipeline.claim_batcher import FENCE, LEASE
from notifier.pipeline.decide import decide
from notifier.pipeline.deliver import deliver
from notifier.pipeline.engine import WorkerEngine
from notifier.sandbox import Sandbox
from notifier.sandbox.faults import FaultRule
from notifier.store.core.status import rendered as delivery
from tests.named import EMAIL, PUSH, SMS
from tests.pipeline.samples import COMPLETE, NOW, RECEIPT, Report

CLAIM = 1  # a worker asks for the time when it claims, and then when it begins to send


class Sleeper(ManualClock):
    """A clock by which a process stands still for a while, just before it asks for the time so often."""

    def __init__(self, asked: int, milliseconds: int = MINUTE) -> None:
        super().__init__(NOW)
        self._left = asked
        self._milliseconds = milliseconds

    def now(self) -> int:
        self._left -= 1
        if self._left == 0:
            self.advance(self._milliseconds)
        return super().now()


EVENTS = {
    PUSH: ("charging.complete", COMPLETE),
    SMS: ("charging.complete", COMPLETE),
    EMAIL: ("session.receipt", RECEIPT),
}


@pytest.mark.parametrize("channel", EVENTS)
@pytest.mark.parametrize("asked", range(1, CLAIM + 2))
async def test_a_worker_that_slept_since_its_claim_sends_nothing(
    engine: WorkerEngine, sandbox: Sandbox, driver: str, report: Report, channel: Channel, asked: int
) -> None:
    # Given a message, and a connection that is open already: a send over it has nothing to wait for
    type_, data = EVENTS[channel]
    warm = await due(engine, await report(type_, **data, at=NOW), channel)
    await deliver(engine, channel, [warm])
    id_ = await due(engine, await report(type_, **{**data, "session_id": "102", "cdr_id": "2"}), channel)

    # When its worker stands still for longer than a lease, at one moment or another
    await deliver(replace(engine, clock=Sleeper(asked)), channel, [id_])

    # Then the message goes out only where the lease begins after that
    slept_since_claim = asked > CLAIM
    assert sandbox.ledger.accepted(channel, warm) == 1
    assert sandbox.ledger.accepted(channel, id_) == (0 if slept_since_claim else 1)
    assert await state_of(engine, id_) == (State.PENDING if slept_since_claim else State.SENT)


async def test_what_no_provider_has_answered_when_the_lease_ends_is_unknown(
    engine: WorkerEngine, sandbox: Sandbox, driver: str, report: Report
) -> None:
    # Given a provider that hangs, and a worker with a second left of its lease
    sandbox.faults.add(FaultRule(channel="push", action="hang", seconds=60))
    id_ = await due(engine, await report("charging.complete", **COMPLETE, at=NOW), PUSH)

    # When it sends
    async with asyncio.timeout(30):
        await deliver(replace(engine, clock=Sleeper(CLAIM + 1, LEASE - FENCE - 1_000)), PUSH, [id_])

    # Then it waits no longer than that, and says what it doesn't know
    assert await state_of(engine, id_) == State.UNKNOWN


async def test_what_still_waits_for_its_turn_when_the_lease_ends_is_not_sent(
    engine: WorkerEngine, sandbox: Sandbox, driver: str, report: Report
) -> None:
    # Given two pushes, one connection, a provider that hangs, and a second left of the lease
    await decide(engine, [await report("charging.complete", **COMPLETE, at=NOW)])
    pushes = await ids_of(engine, PUSH)
    assert len(pushes) == 2
    sandbox.faults.add(FaultRule(channel="push", action="hang", seconds=60))
    clock = Sleeper(CLAIM + 1, LEASE - FENCE - 1_000)
    worker = replace(engine, clock=clock, at_once={PUSH: 1})

    # When they are delivered
    async with asyncio.timeout(30):
        assert await deliver(worker, PUSH, pushes) == 2

    # Then only the first one may have arrived, and the other one has not been tried
    assert sorted([await state_of(engine, id_) for id_ in pushes]) == [State.PENDING, State.UNKNOWN]


async def ids_of(engine: WorkerEngine, channel: Channel) -> list[str]:
    async with engine.database.engine.connect() as connection:
        return list(await connection.scalars(sa.select(delivery.c.id).where(delivery.c.channel == channel)))


async def due(engine: WorkerEngine, event: str, channel: Channel) -> str:
    """The id of a delivery that an event comes to on a channel."""
    await decide(engine, [event])
    query = sa.select(delivery.c.id).where(delivery.c.channel == channel, delivery.c.event_id == event).limit(1)
    async with engine.database.engine.connect() as connection:
        return str((await connection.execute(query)).scalar_one())


async def state_of(engine: WorkerEngine, id_: str) -> str:
    async with engine.database.engine.connect() as connection:
        return str((await connection.execute(sa.select(delivery.c.state).where(delivery.c.id == id_))).scalar_one())
