"""A snapshot that is held open, as a backup does it: what has been deleted since can't be cleaned away meanwhile."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import sqlalchemy as sa

from bench.bed import Bed, make_bed
from bench.load import people, report, report_at
from bench.options import Options
from notifier.domain.errors import ConfigurationError
from notifier.store.core.database import Database
from notifier.store.people import recipients

CROWD = 20_000  # people: so nobody hears more in ten minutes than a person might in a busy day
SHARE = 0.5  # of what the first burst showed to be possible, while the snapshot is held
SHOWN = ("workers", "clock", "postgresql")


async def snapshot(options: Options) -> dict[str, Any]:
    """A burst, `seconds` of load under a snapshot, a burst under it still, and one after it."""
    if options.database != "postgresql":
        raise ConfigurationError("snapshot runs on PostgreSQL: it tells how old a server's snapshot may get")
    async with make_bed() as bed:
        await recipients.put(bed.system.database, people(count=CROWD), bed.began)
        before = await _burst(bed, range(options.events))
        rate = before["events_per_s"] * SHARE
        async with _held(bed.system.database):
            numbers = range(options.events, options.events + round(rate * options.seconds))
            await report_at(bed.producer, numbers, rate, CROWD)
            await bed.quiet()
            held = await _burst(bed, range(numbers.stop, numbers.stop + options.events))
        after = await _burst(bed, range(numbers.stop + options.events, numbers.stop + 2 * options.events))
        events = numbers.stop + 2 * options.events
        books = await bed.books(events)
    return {
        "scenario": "snapshot", "database": options.database, "events": events, "seconds": options.seconds,
        "under_it_per_s": round(rate), "before": before, "held": held, "after": after,
        "held_ratio": round(held["events_per_s"] / before["events_per_s"], 2),
        "after_ratio": round(after["events_per_s"] / before["events_per_s"], 2), **books,
    }  # fmt: skip


@asynccontextmanager
async def _held(database: Database) -> AsyncIterator[None]:
    """Hold a snapshot, as `pg_dump` does, until the block ends."""
    patient = database.patient()
    try:
        async with patient.engine.connect() as connection:
            await connection.execution_options(isolation_level="REPEATABLE READ")
            await connection.execute(sa.text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            await connection.execute(sa.text("SELECT count(*) FROM recipient"))
            yield
    finally:
        await patient.close()


async def _burst(bed: Bed, numbers: range) -> dict[str, Any]:
    before, began = bed.cpu(), time.perf_counter()
    await report(bed.producer, numbers, CROWD)
    await bed.quiet()
    seconds = time.perf_counter() - began
    cpu = {name: spent - before[name] for name, spent in bed.cpu().items()}
    return {
        "events_per_s": round(len(numbers) / seconds),
        "cpu_us_per_event": {name: round(cpu[name] / len(numbers) * 1e6) for name in SHOWN},
    }
