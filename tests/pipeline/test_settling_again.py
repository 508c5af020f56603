"""What a provider has answered is written down, even where the database is away just then."""

import asyncio
import sqlite3

import pytest
import sqlalchemy as sa

from notifier.deliveries import Channel, State
from notifier.pipeline.decide import decide
from notifier.pipeline.deliver import deliver
from notifier.pipeline.engine import WorkerEngine
from notifier.sandbox import Sandbox
from notifier.sandbox.faults import Rule
from notifier.store.database import BUSY_TIMEOUT
from notifier.store.schema import delivery
from tests.pipeline.samples import COMPLETE, Report

TAKES = 0.5  # seconds for the provider's answer, in which the database goes away
AWAY = BUSY_TIMEOUT / 1000 + 0.5  # seconds: longer than a write waits for its turn


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_an_outcome_outlives_a_database_that_is_away_for_longer_than_a_write_waits(
    engine: WorkerEngine, sandbox: Sandbox, driver: str, report: Report
) -> None:
    # Given a text that is on its way
    await decide(engine, [await report("charging.complete", **COMPLETE)])
    sms = sa.select(delivery.c.id, delivery.c.state).where(delivery.c.channel == Channel.SMS)
    async with engine.database.engine.connect() as connection:
        ids = [row.id for row in await connection.execute(sms)]
    sandbox.faults.add(Rule(channel="sms", action="delay", seconds=TAKES))
    sending = asyncio.create_task(deliver(engine, Channel.SMS, ids))
    while not await _are(engine, sms, State.SENDING):  # noqa: ASYNC110 (the database has no event to wait for)
        await asyncio.sleep(0.01)

    # When another process keeps the database for itself until after the provider has answered
    other = sqlite3.connect(str(engine.database.engine.url.database), isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    await asyncio.sleep(TAKES + AWAY)
    other.execute("ROLLBACK")
    other.close()
    await sending

    # Then the books say what became of it, and it went out once
    assert await _are(engine, sms, State.SENT)
    assert [sandbox.ledger.accepted(Channel.SMS, id_) for id_ in ids] == [1]


async def _are(engine: WorkerEngine, query: sa.Select[tuple[str, str]], state: State) -> bool:
    async with engine.database.engine.connect() as connection:
        return {row.state for row in await connection.execute(query)} == {state}
