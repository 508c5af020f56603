"""A message that ends every process which takes it: it does so once, and those beside it wait for seconds at most."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import dramatiq
import pytest
import sqlalchemy as sa

from notifier.broker import DECIDE, make_broker
from notifier.client import AsyncProducer
from notifier.demo.local import LocalSystem
from notifier.domain.clock import SECOND
from notifier.runtime.settings import environment
from notifier.store.core.schema import event, plan
from tests.samples import EVENT

DYING = Path(__file__).with_name("more_actors.py")
SUPERVISE = "import os, sys; from notifier.cli.supervise import supervise; supervise([sys.argv[1:]] * 2, os.environ)"

PATIENCE = 5 * SECOND  # that an event may wait because of its neighbours
EVENTS = 20


@asynccontextmanager
async def mortal_workers(system: LocalSystem) -> AsyncIterator[None]:
    """Two worker processes, kept up as `notifier worker` keeps them up."""
    shared = {"PROMETHEUS_MULTIPROC_DIR": str(system.settings.metrics_dir), "dramatiq_queue_prefetch": "8"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SUPERVISE, sys.executable, str(DYING),
        env=environment(system.environment) | shared | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


async def decided(system: LocalSystem, count: int) -> dict[str, int]:
    """How long each event waited for its decision, in milliseconds, once so many have one."""
    async with asyncio.timeout(30):
        while True:
            async with system.database.engine.connect() as connection:
                query = sa.select(event.c.source_id, plan.c.decided_at - event.c.accepted_at)
                found = list(await connection.execute(query.join(plan, plan.c.event_id == event.c.id)))
            if len(found) == count:
                return {row[0]: row[1] for row in found}
            await asyncio.sleep(0.05)


async def metric(system: LocalSystem, name: str) -> float:
    """The sum of a counter over its labels, as `/metrics` tells it."""
    async with aiohttp.ClientSession() as session:
        lines = (await system.metrics(session)).splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.partition("{")[0].split()[0] == name)


async def counted(system: LocalSystem, name: str) -> None:
    """Wait until something was counted at all."""
    async with asyncio.timeout(PATIENCE / SECOND):
        while True:
            if await metric(system, name) > 0:
                return
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("broker_url", ["valkey", "rabbitmq"], indirect=True)
async def test_a_message_that_ends_its_worker_is_taken_once_and_keeps_no_event_waiting(
    broker_url: str, tmp_path: Path
) -> None:
    settings: dict[str, object] = {"broker_url": broker_url}
    async with LocalSystem(tmp_path, settings, processes=("web", "clock")) as system, mortal_workers(system):
        url, key = system.settings.public_url, system.key
        async with AsyncProducer(url, key, "billing") as producer:
            # Given workers that are up
            await producer.send(EVENT["type"], EVENT["data"], id="first")
            await decided(system, 1)

            # When a message that ends a process comes between the signals of events
            broker = make_broker(broker_url, namespace=system.namespace)
            for number in range(EVENTS):
                if number == EVENTS // 2:
                    deadly: dramatiq.Message[None] = dramatiq.Message(
                        queue_name=DECIDE, actor_name="die", args=([],), kwargs={}, options={}
                    )
                    broker.enqueue(deadly)
                await producer.send(EVENT["type"], EVENT["data"], id=f"event {number}")
            broker.close()

        # Then every event is decided within seconds
        waited = await decided(system, EVENTS + 1)
        del waited["first"]
        assert max(waited.values()) <= PATIENCE, waited

        # And it has ended one process, which is counted
        await counted(system, "notifier_worker_ends_total")
        assert await metric(system, "notifier_worker_ends_total") == 1
        assert await metric(system, "notifier_rows_quarantined_total") == 0
        assert await metric(system, "notifier_events_accepted_total") == EVENTS + 1
