"""Burst: so many events at once, each to push, SMS and e-mail, from accept to the providers' last byte."""

import asyncio
import os
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.cpu import memory_of, pids_named, seconds_of
from bench.servers import servers
from notifier.client import AsyncProducer
from notifier.demo.local import LocalSystem
from notifier.messages import Device
from notifier.recipients import RecipientDetails
from notifier.reconcile import reconcile
from notifier.store import ledger, recipients

PEOPLE = 1000
BATCH = 100  # events in one request
REQUESTS = 8  # under way at once
TIMEOUT = 300  # seconds for everything to be delivered
LOCALES = ("en", "de", "fr", "es")


async def burst(events: int) -> dict[str, Any]:
    """The figures of one burst."""
    with tempfile.TemporaryDirectory(prefix="notifier-bench-") as folder:
        async with servers() as settings, LocalSystem(Path(folder), settings) as system:
            await recipients.put(system.database, _people(), system.clock.now())
            groups = {
                "web": [system.running["web"].pid],
                "workers": [system.running["worker"].pid],
                "clock": [system.running["clock"].pid],
                "stand-ins": [system.running["sandbox"].pid],
                "producer": [os.getpid()],
                "postgresql": pids_named("postgres"),
                "redis": pids_named("redis-server"),
            }
            own = {"producer"}  # its tree holds all the others
            before = {name: _cpu(name, pids, own) for name, pids in groups.items()}
            began = time.perf_counter()
            await _report(system, events)
            accepted = time.perf_counter()
            await _quiet(system)
            seconds = time.perf_counter() - began
            cpu = {name: _cpu(name, pids, own) - before[name] for name, pids in groups.items()}
            books = await ledger.read(system.database)
            compared = await reconcile(system.database, books, system.sandbox_url)
            memory = memory_of(groups["workers"])
    received = sum(compared.received.values())
    return {
        "scenario": "burst",
        "events": events,
        "events_per_s": round(events / seconds),
        "deliveries_per_s": round(received / seconds),
        "accepted_per_s": round(events / (accepted - began)),
        "seconds": round(seconds, 2),
        "cpu_us_per_event": {name: round(spent / events * 1e6) for name, spent in cpu.items()},
        "workers_mb": round(memory / 1e6),
        "received": compared.received,
        "balanced": books.balanced,
        "lost": compared.lost,
        "duplicated": compared.duplicated,
    }


def _cpu(name: str, pids: list[int], own: set[str]) -> float:
    return time.process_time() if name in own else seconds_of(pids)


def _people() -> dict[str, RecipientDetails]:
    return {
        f"driver-{number}": RecipientDetails(
            name=f"Driver {number}",
            email=f"driver{number}@example.com",
            phone=f"+4915112{number:06}",
            locale=LOCALES[number % len(LOCALES)],
            time_zone="Europe/Berlin",
            devices=[Device(value=f"token-{number}")],
        )
        for number in range(PEOPLE)
    }


async def _report(system: LocalSystem, events: int) -> None:
    async with AsyncProducer(system.settings.public_url, system.key, "bench") as producer:
        free = asyncio.Semaphore(REQUESTS)

        async def send(first: int) -> None:
            async with free:
                batch = [_event(number) for number in range(first, min(first + BATCH, events))]
                for result in await producer.send_many(batch):
                    if isinstance(result, Exception):
                        raise result

        await asyncio.gather(*(send(first) for first in range(0, events, BATCH)))


def _event(number: int) -> dict[str, Any]:
    return {
        "type": "payment.failed",
        "id": str(number),
        "time": datetime.now(UTC),
        "data": {
            "driver_id": f"driver-{number % PEOPLE}",
            "account_id": f"account-{number}",
            "attempt": 1,
            "amount": {"amount": 18.45 + number % 50, "currency": "EUR"},
            "payment_method": "Visa •••• 4242",
            "blocked": False,
        },
    }


async def _quiet(system: LocalSystem) -> None:
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        if await ledger.is_quiet(system.database):
            return
        await asyncio.sleep(0.05)
    raise TimeoutError(f"not everything was delivered after {TIMEOUT} s")
