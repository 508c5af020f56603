"""A whole system whose processes each have a port: probes and metrics of all, without a folder that they share."""

import asyncio
import os
import signal
import socket
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from notifier.client import AsyncProducer
from notifier.demo.local import LocalSystem
from tests.samples import EVENT

AT_LAST = 90  # seconds: far past what any of these may take, however slow the machine
PROCESSES = ("web", "worker", "clock")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Ports:
    """The ports of a system's processes."""

    def __init__(self, session: aiohttp.ClientSession, ports: dict[str, int]) -> None:
        self._session = session
        self._ports = ports

    async def get(self, process: str, path: str) -> tuple[int, Any]:
        """Status and body; 0 where nobody listens yet."""
        try:
            async with self._session.get(f"http://127.0.0.1:{self._ports[process]}{path}") as response:
                body = await response.text()
                return response.status, await response.json() if path != "/metrics" else body
        except aiohttp.ClientConnectorError:
            return 0, None

    async def until(self, process: str, path: str, status: int) -> None:
        async with asyncio.timeout(AT_LAST):
            while (await self.get(process, path))[0] != status:  # noqa: ASYNC110 (a process of its own)
                await asyncio.sleep(0.1)

    async def metric(self, process: str, name: str) -> float:
        """The sum of a metric's series."""
        lines = (await self.get(process, "/metrics"))[1].splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.partition("{")[0].split()[0] == name)

    async def counted(self, process: str, name: str, value: float) -> None:
        async with asyncio.timeout(AT_LAST):
            while await self.metric(process, name) != value:  # noqa: ASYNC110 (as above)
                await asyncio.sleep(0.1)


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("broker_url", ["valkey", "rabbitmq"], indirect=True)
async def test_every_process_answers_probes_and_scrapes_and_a_worker_for_all_of_its_own(
    broker_url: str, tmp_path: Path
) -> None:
    numbers = {process: free_port() for process in PROCESSES}
    environments = {
        process: {"NOTIFIER_METRICS_LISTEN": f"127.0.0.1:{port}", "NOTIFIER_METRICS_DIR": ""}
        for process, port in numbers.items()
    }
    settings: dict[str, object] = {"broker_url": broker_url}
    async with (
        LocalSystem(tmp_path, settings, environments=environments) as system,
        aiohttp.ClientSession() as session,
    ):
        ports = Ports(session, numbers)

        # Given a system of which every process is ready
        for process in PROCESSES:
            await ports.until(process, "/readyz", 200)
            assert (await ports.get(process, "/livez"))[0] == 200

        # When an event is told
        async with AsyncProducer(system.settings.public_url, system.key, "billing") as producer:
            await producer.send(EVENT["type"], EVENT["data"], id="1")

        # Then whoever accepted it tells so, and the worker of whichever of its processes decided it
        await ports.counted("web", "notifier_events_accepted_total", 1)
        await ports.counted("worker", "notifier_events_decided_total", 1)
        await ports.counted("web", "notifier_events", 1)
        assert await ports.metric("worker", "notifier_worker_processes") == 4
        assert await ports.metric("clock", "notifier_clock_tick_timestamp_seconds") > 0

        # And when each of the worker's processes is killed, then they come again, and what they counted stays
        for child in children(system.running["worker"].pid):
            os.kill(child, signal.SIGKILL)
        await ports.counted("worker", "notifier_worker_ends_total", 4)
        assert (await ports.get("worker", "/livez"))[0] == 200
        await ports.until("worker", "/readyz", 200)
        assert await ports.metric("worker", "notifier_events_decided_total") == 1
