"""Growth: what an event costs with few and with many rows in the database, and with one, two and four workers."""

import asyncio
import time
from statistics import median
from typing import Any

from bench import past
from bench.bed import Bed, make_bed
from bench.cpu import largest_child
from bench.footprint import figures, measure
from bench.load import report
from bench.options import Options
from notifier.api.ledger_counter import GOOD_FOR, REST
from notifier.domain.clock import SECOND
from notifier.store.reading import ledger

FEW = 1_000  # deliveries that "few rows" are
WORKERS = (1, 2, 4)
SCRAPES = 5  # of which the median counts
SHOWN = ("workers", "web", "clock", "postgresql")


async def growth(options: Options) -> dict[str, Any]:
    """CPU an event at every tenfold of deliveries from `FEW` up to `rows`, old ones being copies of what the first
    events left; then the same burst by more workers."""
    past.check("growth", options)
    steps: list[dict[str, Any]] = []
    workers = []
    async with make_bed() as bed:
        old = await past.keep(bed.system.database)
        for rows in _tenfolds(options.rows):
            missing = rows - await _deliveries(bed)
            if missing < 0:
                continue
            began = time.perf_counter()
            await old.add(missing)
            filled = round(time.perf_counter() - began, 1)
            number = options.events * len(steps)
            steps.append(await _burst(bed, range(number, number + options.events)) | {"filled_s": filled})
        number = options.events * len(steps)
        books = await bed.books(number + old.events)
    for count in WORKERS:
        async with make_bed(settings={"worker_processes": count}) as bed:
            workers.append({"workers": count, **await _burst(bed, range(options.events))})
            other = await bed.books(options.events)
            books = {
                name: books[name] and other[name] if name == "balanced" else books[name] + other[name]
                for name in ("balanced", "lost", "duplicated")
            }
    cost = [sum(step["cpu_us_per_event"].values()) for step in (steps[0], steps[-1])]
    return {
        "scenario": "growth", "database": options.database, "events": number, "by_rows": steps, "by_workers": workers,
        "cost_ratio": round(cost[1] / cost[0], 2), **books,
    }  # fmt: skip


def _tenfolds(most: int) -> list[int]:
    """Return `FEW`, its tenfolds below `most`, and `most`."""
    found = [FEW]
    while found[-1] * 10 < most:
        found.append(found[-1] * 10)
    return [*found, most] if most > FEW else found


async def _burst(bed: Bed, numbers: range) -> dict[str, Any]:
    """What a burst costs our processes and the database's, the memory of the largest worker, and what it leaves."""
    rows, before = await _deliveries(bed), bed.cpu()
    footprint = await measure(bed.system.database)
    began = time.perf_counter()
    await report(bed.producer, numbers)
    await bed.quiet()
    seconds = time.perf_counter() - began
    cpu = {name: spent - before[name] for name, spent in bed.cpu().items()}
    left = await figures(bed.system.database, footprint, await _deliveries(bed) - rows)
    return {
        "deliveries": rows,
        "events_per_s": round(len(numbers) / seconds),
        "cpu_us_per_event": {name: round(cpu[name] / len(numbers) * 1e6) for name in SHOWN},
        "largest_worker_mb": round(largest_child(bed.groups["workers"]) / 1e6),
        **left,
        "metrics_ms": await _scraped(bed, left["audit_ms"]),
    }


async def _scraped(bed: Bed, audit_ms: float) -> float:
    """The median milliseconds of a scrape that counts the ledger: each waits until the count before is too old."""
    took = []
    for _ in range(SCRAPES):
        await asyncio.sleep((GOOD_FOR + 2 * REST * audit_ms) / SECOND)
        began = time.perf_counter()
        await bed.metrics()
        took.append(time.perf_counter() - began)
    return round(median(took) * 1000, 1)


async def _deliveries(bed: Bed) -> int:
    """How many deliveries there are, by the ledger."""
    return (await ledger.read(bed.system.database)).total
