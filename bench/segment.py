"""Segment: a campaign to as many people, decided chunk by chunk by one worker; its speed, and the worker's memory."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from bench.cpu import memory_of, pids_named, seconds_of
from bench.servers import servers
from notifier.client import AsyncProducer
from notifier.demo.local import LocalSystem
from notifier.domain.clock import SystemClock
from notifier.domain.segments import Segment
from notifier.store.core.database import Database
from notifier.store.core.schema import plan
from notifier.store.people import segments
from notifier.store.reading import ledger

BATCH = 20_000  # people written in one statement
SAMPLES = 0.5  # seconds between two looks at the worker's memory
TIMEOUT = 1200  # seconds for everybody to be decided
WANTED = msgspec.convert(
    {
        "name": "Everybody who drives",
        "all": [
            {"field": "kind", "operator": "eq", "value": "driver"},
            {"field": "attribute.sessions", "operator": "gte", "value": 1},
        ],
    },
    Segment,
)

OFFER = {
    "segment_id": "everybody",
    "campaign_id": "weekend",
    "title": "Charge for less this weekend",
    "text": "You charge at a lower price at all our stations in Gent.",
}

PEOPLE = """
INSERT INTO recipient (id, kind, name, email, email_key, locale, time_zone, region, tenants, attributes, preferences,
    consents, created_at, updated_at)
SELECT 'driver-' || n, 'driver', 'Driver ' || n, 'driver' || n || '@example.com', md5('mail' || n),
    (ARRAY['en', 'de', 'fr', 'es'])[1 + n % 4], (ARRAY['Europe/Berlin', 'Europe/Paris', 'America/Chicago'])[1 + n % 3],
    (ARRAY['DE', 'FR', 'US-TX'])[1 + n % 3], jsonb_build_array('fleet\\:' || n % 50),
    jsonb_build_object('sessions', 1 + n % 90),
    CASE n % 5 WHEN 0 THEN :quiet WHEN 1 THEN :switched ELSE '{}' END, :consents, 0, 0
FROM generate_series(CAST(:first AS integer), CAST(:last AS integer)) AS n
"""
DEVICES = """
INSERT INTO device (id, recipient_id, kind, value, platform, last_seen)
SELECT md5('device' || n), 'driver-' || n, 'token', 'token-' || n, 'android', 0
FROM generate_series(CAST(:first AS integer), CAST(:last AS integer)) AS n
"""
TENANTS = """
INSERT INTO tenant (name, defaults, updated_at)
SELECT 'fleet\\:' || n, :quiet, 0 FROM generate_series(0, 49) AS n
"""
CHOSEN = {
    "quiet": '{"quiet_hours":{"from":"22:00","until":"07:00"}}',
    "switched": '{"switches":{"charging":{"sms":false}}}',
    "consents": '{"offers":{"email":true,"push":true}}',
}


async def segment(people: int) -> dict[str, Any]:
    """The figures of one campaign: two channels each, with caps, consent, quiet hours and legal windows."""
    with tempfile.TemporaryDirectory(prefix="notifier-bench-") as folder:
        async with servers() as settings, LocalSystem(Path(folder), settings, ("web", "worker")) as system:
            await populate(system.database, people)
            await segments.put(system.database, "everybody", WANTED, SystemClock().now())
            groups = {"workers": [system.running["worker"].pid], "postgresql": pids_named("postgres")}
            async with AsyncProducer(system.settings.public_url, system.key, "bench") as producer:
                before = {name: seconds_of(pids) for name, pids in groups.items()}
                began = time.perf_counter()
                await producer.send("marketing.offer", OFFER, time=datetime.now(UTC))
            memory = [size async for size in _memory(system.database, groups["workers"])]
            seconds = time.perf_counter() - began
            cpu = {name: seconds_of(pids) - before[name] for name, pids in groups.items()}
            books = await ledger.read(system.database)
    return {
        "scenario": "segment",
        "people": people,
        "deliveries": books.total,
        "deliveries_per_s": round(books.total / seconds),
        "seconds": round(seconds, 2),
        "cpu_us_per_recipient": {name: round(spent / people * 1e6, 1) for name, spent in cpu.items()},
        "workers_mb": {"start": memory[0], "tenth": memory[len(memory) // 10], "end": memory[-1], "most": max(memory)},
        "states": {state: number for state, number in books.deliveries.items() if number},
        "balanced": books.balanced and books.decided == 1,
        "lost": 2 * people - books.total,
        "duplicated": max(books.total - 2 * people, 0),
    }


async def populate(database: Database, people: int) -> None:
    """So many drivers with a mailbox, a phone, a fleet that presets quiet hours, and consent to offers."""
    async with database.engine.begin() as connection:
        await connection.execute(sa.text(TENANTS), {"quiet": CHOSEN["quiet"]})
    for first in range(1, people + 1, BATCH):
        numbers = {"first": first, "last": min(first + BATCH - 1, people)}
        async with database.engine.begin() as connection:
            await connection.execute(sa.text(PEOPLE), numbers | CHOSEN)
            await connection.execute(sa.text(DEVICES), numbers)
    async with database.engine.begin() as connection:
        await connection.execute(sa.text("ANALYZE"))


async def _memory(database: Database, workers: list[int]) -> AsyncIterator[int]:
    """The workers' resident megabytes, look by look, until the campaign is decided."""
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        yield round(memory_of(workers) / 1e6)
        async with database.engine.connect() as connection:
            if (await connection.execute(sa.select(plan.c.decided_at))).first() is not None:
                return
        await asyncio.sleep(SAMPLES)
    raise TimeoutError(f"the campaign was not decided after {TIMEOUT} s")
