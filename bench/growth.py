"""Growth: what an event costs with few and with many rows in the database, and with one, two and four workers."""

import time
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bench.bed import Bed, make_bed
from bench.cpu import largest_child
from bench.load import report
from bench.options import Options
from notifier.domain.errors import ConfigurationError
from notifier.store.core.schema import attempt, decision, delivery, event

FEW = 1_000  # deliveries that "few rows" are, at least
SLICE = 20_000  # deliveries written in one transaction
WORKERS = (1, 2, 4)
OLD = "bench-"
"""How the ids of old rows begin: no hash does. The rest is theirs, and the number of the copy."""
TABLES = {event: ("id",), delivery: ("id", "event_id"), attempt: ("delivery_id",), decision: ("event_id",)}


async def growth(options: Options) -> dict[str, Any]:
    """CPU an event at every tenfold of deliveries up to `rows`, old ones being copies of what a burst left; then the
    same burst by more workers."""
    if options.database != "postgresql":
        raise ConfigurationError("growth runs on PostgreSQL: it has the database copy its rows")
    steps, workers = [], []
    async with make_bed() as bed:
        steps.append(await _burst(bed, range(options.events)))
        number, copies = options.events, 0
        rows = max(FEW, await _deliveries(bed)) * 10
        while rows <= options.rows:
            copies = await _fill(bed, rows, copies)
            steps.append(await _burst(bed, range(number, number + options.events)))
            number += options.events
            rows *= 10
        if steps[-1]["deliveries"] < options.rows * 0.9:
            await _fill(bed, options.rows, copies)
            steps.append(await _burst(bed, range(number, number + options.events)))
            number += options.events
        books = await bed.books(number, ours=lambda id_: not id_.startswith(OLD))
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


async def _burst(bed: Bed, numbers: range) -> dict[str, Any]:
    """What a burst costs our processes and the database's, and the memory of the largest worker."""
    rows, before = await _deliveries(bed), bed.cpu()
    began = time.perf_counter()
    await report(bed.producer, numbers)
    await bed.quiet()
    seconds = time.perf_counter() - began
    cpu = {name: spent - before[name] for name, spent in bed.cpu().items()}
    shown = ("workers", "web", "clock", "postgresql")
    return {
        "deliveries": rows,
        "events_per_s": round(len(numbers) / seconds),
        "cpu_us_per_event": {name: round(cpu[name] / len(numbers) * 1e6) for name in shown},
        "largest_worker_mb": round(largest_child(bed.groups["workers"]) / 1e6),
    }


async def _deliveries(bed: Bed, *, own: bool = False) -> int:
    """How many there are; `own` leaves the copies out."""
    query = sa.select(sa.func.count()).select_from(delivery)
    if own:
        query = query.where(delivery.c.id.not_like(f"{OLD}%"))

    async def work(connection: AsyncConnection) -> int:
        return int((await connection.execute(query)).scalar_one())

    return await bed.system.database.read(work)


async def _fill(bed: Bed, rows: int, copies: int) -> int:
    """Copy what is there (old rows aside) until there are so many deliveries; how many copies there are then."""
    own = await _deliveries(bed, own=True)
    more = max((rows - await _deliveries(bed)) // own, 1)

    async def work(connection: AsyncConnection, first: int, last: int) -> None:
        for table, ids in TABLES.items():
            columns = ", ".join(f'"{column.name}"' for column in table.columns)
            values = ", ".join(
                f"'{OLD}' || substr({column.name}, 1, 20) || n" if column.name in ids else f'"{column.name}"'
                for column in table.columns
            )
            await connection.execute(
                sa.text(
                    f"INSERT INTO {table.name} ({columns}) SELECT {values} FROM {table.name} "  # noqa: S608 (our names)
                    f"CROSS JOIN generate_series(CAST(:first AS integer), CAST(:last AS integer)) AS n "
                    f"WHERE {ids[0]} NOT LIKE '{OLD}%'"
                ),
                {"first": first, "last": last},
            )

    at_once = max(SLICE // own, 1)
    for first in range(copies, copies + more, at_once):
        last = min(first + at_once, copies + more) - 1
        await bed.system.database.write(partial(work, first=first, last=last))
    async with bed.system.database.engine.begin() as connection:
        await connection.execute(sa.text("ANALYZE"))
    return copies + more
