"""Retention under way: urgent events at a steady rate, while the clock removes a day that is too old, and alone before
and after it."""

import re
import tempfile
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bench import past
from bench.alerts import RATE
from bench.bed import Bed, make_bed
from bench.cpu import seconds_of
from bench.load import report_at
from bench.options import Options
from bench.steady import latencies, percentiles
from notifier.chaos.load import templates
from notifier.domain.clock import DAY
from notifier.domain.regulation import FILE
from notifier.store.core import partitions
from notifier.store.core.database import Database
from notifier.store.core.partitions import Stretch
from notifier.store.core.schema import event

KEPT = "30 d"  # data, decisions, deliveries and events
AGO = 32  # days since the day that goes
LOOK = 5 * RATE  # events reported between two looks whether it is gone, and before the first that count
TIMEOUT = 3600  # seconds for it to be gone


async def retention(options: Options) -> dict[str, Any]:
    """How long it takes to remove a day of `rows` deliveries, with all that belongs to them, and the latency of alerts
    without and with it."""
    past.check("retention", options)
    with tempfile.TemporaryDirectory(prefix="notifier-bench-") as folder:
        settings = {"templates": _kept_shortly(Path(folder))}
        async with make_bed(settings=settings, sinking=False) as bed:
            old = await past.keep(bed.system.database)
            count = RATE * options.seconds
            await report_at(bed.producer, range(LOOK + count), RATE)
            await bed.quiet()
            await bed.system.stop("clock")  # it would begin before the day is whole
            await _divide(bed.system.database, bed.began)
            await old.add(options.rows, [AGO])
            await bed.system.start("clock")
            before, began = bed.cpu(), time.perf_counter()
            beside = await _report_until_gone(bed, LOOK + count)
            seconds = time.perf_counter() - began
            clock = seconds_of([bed.system.running["clock"].pid])
            cpu = {"clock": clock, "postgresql": bed.cpu()["postgresql"] - before["postgresql"]}
            events = beside.stop + count
            await report_at(bed.producer, range(beside.stop, events), RATE)
            await bed.quiet()
            parts = range(LOOK, beside.start), beside, range(beside.stop, events)
            first, meanwhile, last = [await latencies(bed, numbers) for numbers in parts]
            alone, told = percentiles(first + last), percentiles(meanwhile)
            books = await bed.books(events + old.events)
    return {
        "scenario": "retention", "database": options.database, "events": events,
        "events_per_s": round(len(beside) / seconds, 1), "removed": options.rows, "removed_s": round(seconds, 1),
        "removed_per_s": round(options.rows / seconds),
        "cpu_us_per_removed": {name: round(spent / options.rows * 1e6, 1) for name, spent in cpu.items()},
        "alone_ms": alone, "beside_ms": told, "p99_ratio": round(told["p99"] / max(alone["p99"], 1), 2), **books,
    }  # fmt: skip


async def _divide(database: Database, now: int) -> None:
    """Make partitions of the day that goes, which the clock would have made at that time; its copies span one day and
    the one before."""
    first = (now // DAY - AGO - 1) * DAY

    async def work(connection: AsyncConnection) -> None:
        for part in partitions.GROUPS:
            await partitions.make(connection, part, [Stretch(first, first + 2 * DAY)])

    await database.write(work)


def _kept_shortly(folder: Path) -> Path:
    """Make a folder of the product's types with a policy by which nothing of an event is kept for long."""
    made = templates(folder)
    policy = (made / FILE).read_text("utf-8")
    (made / FILE).write_text(re.sub(r'(?m)^(decisions|deliveries|events) = "[^"]*"', rf'\1 = "{KEPT}"', policy))
    return made


async def _report_until_gone(bed: Bed, first: int) -> range:
    """Report events at the rate until those of the past are gone; return their numbers."""
    left = sa.select(event.c.id).where(event.c.accepted_at < bed.began).limit(1)

    async def work(connection: AsyncConnection) -> bool:
        return (await connection.execute(left)).first() is not None

    next_, deadline = first, time.monotonic() + TIMEOUT
    while await bed.system.database.read(work):
        if time.monotonic() > deadline:
            raise TimeoutError(f"what is too old was still there after {TIMEOUT} s")
        await report_at(bed.producer, range(next_, next_ + LOOK), RATE)
        next_ += LOOK
    return range(first, next_)
