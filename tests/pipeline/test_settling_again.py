"""What a worker has in hand goes on as it should, even where the database is away just then."""

import asyncio
import sqlite3

import pytest
import sqlalchemy as sa

from notifier.domain.clock import ManualClock
from notifier.domain.deliveries import State
from notifier.pipeline.decide import decide
from notifier.pipeline.deliver import deliver, hand_over
from notifier.pipeline.engine import WorkerEngine
from notifier.sandbox import Sandbox
from notifier.sandbox.faults import FaultRule
from notifier.store.core.engines import BUSY_TIMEOUT
from notifier.store.core.status import rendered as delivery
from tests.named import EMAIL, SMS
from tests.pipeline.samples import COMPLETE, Report
from tests.pipeline.steps import deliver_due, offline, online, rows
from tests.pipeline.test_digests import WINDOW, an_operator

TAKES = 0.5  # seconds for the provider's answer, in which the database goes away
AWAY = BUSY_TIMEOUT / 1000 + 0.5  # seconds: longer than a write waits for its turn


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_an_outcome_outlives_a_database_that_is_away_for_longer_than_a_write_waits(
    engine: WorkerEngine, sandbox: Sandbox, driver: str, report: Report
) -> None:
    # Given a text that is on its way
    await decide(engine, [await report("charging.complete", **COMPLETE)])
    sms = sa.select(delivery.c.id, delivery.c.state).where(delivery.c.channel == SMS)
    async with engine.database.engine.connect() as connection:
        ids = [row.id for row in await connection.execute(sms)]
    sandbox.faults.add(FaultRule(channel="sms", action="delay", seconds=TAKES))
    sending = asyncio.create_task(deliver(engine, SMS, ids))
    while not await _are(engine, sms, State.SENDING):  # noqa: ASYNC110 (the database has no event to wait for)
        await asyncio.sleep(0.01)

    # When another process keeps the database for itself until after the provider has answered
    await _keep_database(engine, TAKES + AWAY)
    await sending

    # Then the books say what became of it, and it went out once
    assert await _are(engine, sms, State.SENT)
    assert [sandbox.ledger.accepted(SMS, id_) for id_ in ids] == [1]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_is_claimed_and_surely_unsent_waits_for_a_database_that_is_away(
    engine: WorkerEngine, sandbox: Sandbox, clock: ManualClock, report: Report
) -> None:
    # Given a mail that a station is back, claimed by a worker, which has yet to ask whether its reader was told before
    await an_operator(engine)
    await decide(engine, [await report("station.offline", **offline("1"))])
    clock.advance(WINDOW)
    await deliver_due(engine)
    await decide(engine, [await report("station.online", **online("1"))])
    (back,) = await rows(engine, type="station-online")
    held = await engine.claims.claim([back.id])
    assert [each.ready.id for each in held] == [back.id]

    # When another process keeps the database for itself just then
    other = asyncio.create_task(_keep_database(engine, AWAY))
    await asyncio.sleep(0)
    await hand_over(engine, EMAIL, held)
    await other

    # Then it goes out all the same
    assert [row.state for row in await rows(engine, type="station-online")] == [State.SENT]
    assert sandbox.ledger.accepted(EMAIL, back.id) == 1


async def _keep_database(engine: WorkerEngine, seconds: float) -> None:
    other = sqlite3.connect(str(engine.database.engine.url.database), isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    await asyncio.sleep(seconds)
    other.execute("ROLLBACK")
    other.close()


async def _are(engine: WorkerEngine, query: sa.Select[tuple[str, str]], state: State) -> bool:
    async with engine.database.engine.connect() as connection:
        return {row.state for row in await connection.execute(query)} == {state}
