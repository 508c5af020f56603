"""A mail server that says nothing after the final dot, and what becomes of the mail when its worker process ends."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import sqlalchemy as sa

from notifier.client import AsyncProducer
from notifier.demo.local import LocalSystem
from notifier.domain.clock import SECOND
from notifier.domain.deliveries import State
from notifier.domain.recipients import RecipientDetails
from notifier.runtime.settings import environment
from notifier.store.core.schema import lease
from notifier.store.core.status import rendered as delivery
from notifier.store.people import recipients
from notifier.store.reading import ledger
from tests.named import EMAIL
from tests.samples import EVENT

SILENT = 600.0  # seconds: as long as a mail server may take
SWEPT = 30 * SECOND  # after the end of a dead worker's lease
AT_LAST = 60  # seconds: far past what any of these may take, however slow the machine

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
async def system(tmp_path: Path, valkey: str) -> AsyncIterator[LocalSystem]:
    """A system with a driver's mail to send, a silent mail server, and neither worker nor clock."""
    async with LocalSystem(tmp_path, {"broker_url": valkey}, processes=("web",)) as started:
        driver = RecipientDetails(email="ada@example.com")
        await recipients.put(started.database, {"ada": driver}, started.clock.now())
        rule = {"channel": "email", "action": "hang", "seconds": SILENT}
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{started.sandbox_url}/sandbox/faults", json=rule) as response,
        ):
            assert response.status < 300
        async with AsyncProducer(started.settings.public_url, started.key, "billing") as producer:
            await producer.send(EVENT["type"], EVENT["data"] | {"driver_id": "ada"})
        yield started


@pytest.fixture
async def worker(system: LocalSystem) -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker process that has had the mail on the wire for longer than it takes to renew its lease."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "workers", env=environment(system.environment))
    try:
        await mail(system, lambda row: row.state == State.SENDING)
        first = await lease_ends(system)
        await renewed(system, first)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def lease_ends(system: LocalSystem) -> int:
    """When the lease on the mail ends, which the worker took as it decided it."""
    async with system.database.engine.connect() as connection:
        return int(await connection.scalar(sa.select(lease.c.ends_at)) or 0)


async def renewed(system: LocalSystem, first: int) -> None:
    """Wait until a lease that ended at `first` ends later."""
    async with asyncio.timeout(AT_LAST):
        while True:
            if await lease_ends(system) > first:
                return
            await asyncio.sleep(0.05)


async def mail(system: LocalSystem, until: Callable[[Any], bool]) -> Any:
    """The mail's row, once it is so."""
    async with asyncio.timeout(AT_LAST):
        while True:
            async with system.database.engine.connect() as connection:
                query = sa.select(delivery).where(delivery.c.channel == EMAIL)
                row = (await connection.execute(query)).one_or_none()
            if row is not None and until(row):
                return row
            await asyncio.sleep(0.05)


async def test_a_worker_that_is_told_to_end_says_what_it_does_not_know_of_a_mail_on_the_wire(
    system: LocalSystem, worker: asyncio.subprocess.Process
) -> None:
    # When a worker is told to end whose mail has no answer yet, then it ends by itself
    worker.send_signal(signal.SIGTERM)
    async with asyncio.timeout(AT_LAST):
        assert await worker.wait() == 0

    # And it has settled the mail, for there is no clock to do it: nobody knows what became of it, and nothing is lost
    row = await mail(system, lambda _: True)
    assert (row.state, row.code, row.lease_token) == (State.UNKNOWN, "lease_ended", None)
    assert (await ledger.read(system.database)).balanced


async def test_a_mail_whose_worker_was_killed_is_found_when_the_lease_that_it_renewed_is_over(
    system: LocalSystem, worker: asyncio.subprocess.Process
) -> None:
    # Given a clock that looks after what workers leave behind
    await system.start("clock")

    # When a worker is killed that has a mail on the wire
    worker.kill()
    await worker.wait()
    last = await lease_ends(system)

    # Then the clock takes the mail from it when its last lease is over, and soon
    swept = await mail(system, lambda row: row.state != State.SENDING)
    assert last <= swept.updated_at <= last + SWEPT
    assert swept.attempts == 1
    assert (await ledger.read(system.database)).balanced
