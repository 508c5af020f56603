"""Answers that take longer than a lease: it is renewed while its message is on the wire, and nobody else waits.

Time is scaled: a lease lasts three seconds instead of 23, so a mail server's minutes are seconds.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from notifier import metrics
from notifier.channels.email.dialogue import SmtpTimeouts
from notifier.channels.email.transport import Security, SmtpTransport
from notifier.domain.clock import SECOND, ManualClock, SystemClock, elapsed
from notifier.domain.deliveries import Lane, State
from notifier.pipeline.claim_batcher import RENEWALS, Hold
from notifier.pipeline.decide import decide
from notifier.pipeline.deliver import deliver, hand_over
from notifier.pipeline.engine import WorkerEngine
from notifier.pipeline.local_dispatcher import LocalDispatcher
from notifier.providers.bulkheads import Bulkhead
from notifier.sandbox import Sandbox
from notifier.sandbox.faults import FaultRule
from notifier.store.core.schema import outcome
from notifier.store.core.status import rendered as delivery
from notifier.store.delivery import due
from tests.named import EMAIL
from tests.pipeline.samples import NOW, RECEIPT, Report

HOLD = Hold(lasts=3 * SECOND, fence=SECOND // 2)
SLOW = 6.0  # seconds: two leases
NORMAL = (EMAIL, Lane.NORMAL)


class Ticking:
    """A clock that goes on by itself from the moment of which the samples tell."""

    def __init__(self) -> None:
        self._began = elapsed()

    def now(self) -> int:
        return NOW + round((elapsed() - self._began) * SECOND)


@pytest.fixture
def worker(engine: WorkerEngine) -> WorkerEngine:
    """A worker whose lease is short, and which waits for a mail server as long as it takes."""
    return replace(engine, clock=Ticking(), hold=HOLD)


@pytest.fixture
def mails(worker: WorkerEngine, driver: str, report: Report) -> Callable[[int], Any]:
    """Makes so many mails that are due."""

    async def make(count: int) -> list[str]:
        for number in range(count):
            data = {**RECEIPT, "session_id": f"s{number}", "cdr_id": f"c{number}"}
            await decide(worker, [await report("session.receipt", **data, at=worker.clock.now())])
        async with worker.database.engine.connect() as connection:
            query = sa.select(delivery.c.id).where(delivery.c.channel == EMAIL)
            return list(await connection.scalars(query))

    return make


async def test_a_mail_whose_answer_takes_two_leases_is_sent_once_and_its_lease_never_ends(
    worker: WorkerEngine, sandbox: Sandbox, mails: Callable[[int], Any]
) -> None:
    # Given a mail server that scans each mail for two leases' time after the final dot
    sandbox.faults.add(FaultRule(channel="email", action="delay", seconds=SLOW))
    ids = await mails(3)

    # When they are sent, then the batch comes back before the answers do
    async with asyncio.timeout(SLOW):
        await deliver(worker, EMAIL, ids)
    assert await states(worker) == {State.SENDING}

    # And the clock finds no lease that ran out
    ended, lost = asyncio.create_task(worker.dispatcher.close()), 0
    while not ended.done():
        lost += await due.return_expired_leases(worker.database, worker.clock.now(), 100)
        await asyncio.wait({ended}, timeout=0.1)
    assert lost == 0

    # Then each was taken once, and is sent
    assert await states(worker) == {State.SENT}
    assert [sandbox.ledger.accepted(EMAIL, id_) for id_ in ids] == [1, 1, 1]
    assert await tries(worker) == len(ids)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_lease_is_renewed_in_each_round_though_one_comes_a_moment_early(
    engine: WorkerEngine, clock: ManualClock, sandbox: Sandbox, mails: Callable[[int], Any]
) -> None:
    # Given a mail on the wire, and a round that comes each quarter of its lease
    worker = replace(engine, hold=HOLD)
    sandbox.faults.add(FaultRule(channel="email", action="hang", seconds=60))
    ids = await mails(1)
    clock.advance(SECOND)
    sending = asyncio.create_task(deliver(worker, EMAIL, ids))
    await until_claimed(worker)
    before = renewals("renewed")

    # When each round comes a millisecond before a quarter is over, by the clock that leases are kept by
    for _ in range(3):
        clock.advance(HOLD.lasts // RENEWALS - 1)

        # Then it renews the lease
        async with asyncio.timeout(20):
            while await lease_ends(worker) != clock.now() + HOLD.lasts:  # noqa: ASYNC110 (a row that nobody else tells of)
                await asyncio.sleep(0.05)
    worker.claims.stop_renewing()
    assert renewals("renewed") >= before + 2  # the last may be counted a moment after it is written
    await sending
    await worker.dispatcher.close()


async def test_a_mail_that_is_never_answered_is_unknown_when_the_servers_time_is_over(
    worker: WorkerEngine, sandbox: Sandbox, mails: Callable[[int], Any]
) -> None:
    # Given a server that falls silent, and a time-out (ten minutes, scaled) of more than a lease
    sandbox.faults.add(FaultRule(channel="email", action="hang", seconds=60))
    quick = SmtpTransport(
        "127.0.0.1", sandbox.ports["smtp"], clock=SystemClock(), security=Security.NONE, sender="a@example.com",
        timeouts=SmtpTimeouts(mail=SLOW),
    )  # fmt: skip
    worker = replace(worker, transports={**worker.transports, EMAIL: quick})

    # When a mail is sent
    await deliver(worker, EMAIL, await mails(1))
    await worker.dispatcher.close()

    # Then it is unknown, by its time-out and not by its lease
    async with worker.database.engine.connect() as connection:
        [row] = list(await connection.execute(sa.select(delivery).where(delivery.c.channel == EMAIL)))
    assert (row.state, row.code) == (State.UNKNOWN, "lost_after_mail")
    await quick.close()


async def test_a_worker_that_is_told_to_stop_waits_for_no_slow_answer(
    worker: WorkerEngine, sandbox: Sandbox, mails: Callable[[int], Any]
) -> None:
    # Given a mail on the wire whose answer takes minutes
    sandbox.faults.add(FaultRule(channel="email", action="hang", seconds=60))
    await deliver(worker, EMAIL, await mails(1))

    # When the worker is told to stop
    worker.claims.stop_renewing()
    async with asyncio.timeout(20):
        await worker.dispatcher.close()

    # Then its lease has ended at its time, and it says what it doesn't know
    assert await states(worker) == {State.UNKNOWN}


async def test_a_worker_that_died_meanwhile_is_swept_when_its_last_lease_ends(
    worker: WorkerEngine, sandbox: Sandbox, mails: Callable[[int], Any]
) -> None:
    # Given a mail on the wire, under a lease that was renewed
    sandbox.faults.add(FaultRule(channel="email", action="hang", seconds=60))
    ids = await mails(1)
    sending = asyncio.create_task(deliver(worker, EMAIL, ids))
    await until_renewed(worker)

    # When its worker dies, which renews nothing any more
    worker.claims.stop_renewing()
    swept = worker.clock.now() + HOLD.lasts

    # Then the clock finds it when that one lease is over
    assert await due.return_expired_leases(worker.database, swept + 1, 100) == 1
    await sending
    await worker.dispatcher.close()


async def test_a_slow_answer_keeps_no_other_batch_out(
    worker: WorkerEngine, sandbox: Sandbox, mails: Callable[[int], Any]
) -> None:
    # Given room for one batch, as a campaign has, and one mail that is answered slowly
    room = Bulkhead(1)
    worker = replace(worker, dispatcher=LocalDispatcher({NORMAL: room}))
    sandbox.faults.add(FaultRule(channel="email", action="hang", seconds=60, times=1))
    [slow] = await mails(1)

    async def batch(ids: list[str]) -> None:
        async with room.enter(len(ids)):
            await deliver(worker, EMAIL, ids)

    # When another one comes behind it
    first = asyncio.create_task(batch([slow]))
    others = [id_ for id_ in await mails(2) if id_ != slow]
    async with asyncio.timeout(20):
        await batch(others)

    # Then it is sent while the first one waits still
    assert first.done()
    assert await states(worker) == {State.SENDING, State.SENT}
    worker.claims.stop_renewing()
    await worker.dispatcher.close()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_where_outcomes_cannot_be_settled_no_sender_is_left_behind(
    worker: WorkerEngine, sandbox: Sandbox, mails: Callable[[int], Any]
) -> None:
    # Given two mails on the wire, of which one is never answered
    sandbox.faults.add(FaultRule(channel="email", action="hang", seconds=60, times=1))
    ids = await mails(2)
    held = await worker.claims.claim(ids)
    before = asyncio.all_tasks()

    # When somebody else has the database until after the lease's end, so that the other one's outcome can't be written
    other = sqlite3.connect(str(worker.database.engine.url.database), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    sending = asyncio.create_task(hand_over(worker, EMAIL, held))
    async with asyncio.timeout(40):
        await asyncio.gather(sending, return_exceptions=True)
        await worker.dispatcher.close()

        # Then nobody waits for an answer any more that could not be written either
        while asyncio.all_tasks() - before:  # noqa: ASYNC110 (tasks that nobody else knows)
            await asyncio.sleep(0.05)
    other.execute("ROLLBACK")
    other.close()

    # And the clock finds both, of which nobody knows what became of them
    assert await due.return_expired_leases(worker.database, worker.clock.now(), 100) == len(ids)
    assert await states(worker) == {State.UNKNOWN}


def renewals(outcome: str) -> float:
    """How many renewals ended so."""
    return float(metrics.lease_renewals.labels(outcome)._value.get())


async def until_renewed(worker: WorkerEngine) -> None:
    async with asyncio.timeout(20):
        first = None
        while True:
            ends = await lease_ends(worker)
            if first is not None and ends is not None and ends > first:
                return
            first = ends
            await asyncio.sleep(0.05)


async def until_claimed(worker: WorkerEngine) -> None:
    async with asyncio.timeout(20):
        while await lease_ends(worker) is None:  # noqa: ASYNC110 (a row that nobody else tells of)
            await asyncio.sleep(0.05)


async def lease_ends(worker: WorkerEngine) -> int | None:
    async with worker.database.engine.connect() as connection:
        query = sa.select(delivery.c.next_check_at).where(delivery.c.state == State.SENDING)
        return await connection.scalar(query)


async def states(worker: WorkerEngine) -> set[str]:
    async with worker.database.engine.connect() as connection:
        return set(await connection.scalars(sa.select(delivery.c.state).where(delivery.c.channel == EMAIL)))


async def tries(worker: WorkerEngine) -> int:
    async with worker.database.engine.connect() as connection:
        tried = sa.select(sa.func.count()).where(outcome.c.answer.is_not(None))
        return int(await connection.scalar(tried) or 0)
