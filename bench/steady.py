"""Steady and idle: how long an event takes from being accepted to a provider having its message."""

import asyncio
import random
import time
from statistics import quantiles
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bench.bed import Bed, make_bed
from bench.load import event, report, report_at
from bench.options import Options
from notifier.store.core.schema import event as events
from notifier.store.core.status import rendered as delivery

SHARES = (0.1, 0.5, 0.8)  # of what a burst showed to be possible
PAGE = 10_000  # entries in one answer, the most that the sandbox gives
SINGLE = 40  # events on an idle system
PAUSE = (0.1, 0.4)  # seconds between them: they hit every moment of whatever polls
REST = 10  # seconds of doing nothing


class _Entry(msgspec.Struct):
    reference: str
    received_at: int


class _Page(msgspec.Struct):
    entries: list[_Entry]
    next: int | None


async def steady(options: Options) -> dict[str, Any]:
    """Latencies at shares of the capacity, which a burst finds first."""
    async with make_bed(database=options.database, sinking=False) as bed:
        began = time.perf_counter()
        await report(bed.producer, range(options.events))
        await bed.quiet()
        capacity = options.events / (time.perf_counter() - began)
        number, shares = options.events, {}
        for share in SHARES:
            rate = capacity * share
            numbers = range(number, number + round(rate * options.seconds))
            number = numbers.stop
            await report_at(bed.producer, numbers, rate)
            await bed.quiet()
            shares[f"{share:.0%}"] = {"events_per_s": round(rate), **percentiles(await latencies(bed, numbers))}
        books = await bed.books(number)
    return {
        "scenario": "steady", "database": options.database, "events": number, "events_per_s": round(capacity),
        "accept_to_provider_ms": shares, **books,
    }  # fmt: skip


async def idle(options: Options) -> dict[str, Any]:
    """Single events on a system with nothing else to do, and what it costs when there is nothing at all."""
    dice = random.Random(6)  # noqa: S311 (repeatable, not secret)
    async with make_bed(database=options.database, sinking=False) as bed:
        for number in range(SINGLE):
            await asyncio.sleep(dice.uniform(*PAUSE))
            (result,) = await bed.producer.send_many([event(number)])
            if isinstance(result, Exception):
                raise result
        await bed.quiet()
        told = percentiles(await latencies(bed, range(SINGLE)))
        before = bed.cpu()
        began = time.perf_counter()
        await asyncio.sleep(REST)
        seconds = time.perf_counter() - began
        spent = {name: seconds_ - before[name] for name, seconds_ in bed.cpu().items() if name != "producer"}
        books = await bed.books(SINGLE)
    return {
        "scenario": "idle", "database": options.database, "events": SINGLE, "accept_to_provider_ms": told,
        "idle_cpu_percent": {name: round(each / seconds * 100, 1) for name, each in spent.items()},
        "idle_cpu_percent_all": round(sum(spent.values()) / seconds * 100, 1), **books,
    }  # fmt: skip


async def latencies(bed: Bed, numbers: range) -> list[int]:
    """Milliseconds from accept to provider of every delivery of the events with these numbers."""
    received: dict[str, int] = {}
    after: int | None = 0
    while after is not None:
        page: _Page = await bed.ask(f"ledger?limit={PAGE}&after={after}", _Page)
        received |= {entry.reference: entry.received_at for entry in page.entries}
        after = page.next
    wanted = {str(number) for number in numbers}
    query = sa.select(delivery.c.id, events.c.source_id, events.c.accepted_at).join(
        events, events.c.id == delivery.c.event_id
    )

    async def work(connection: AsyncConnection) -> list[int]:
        return [
            received[row.id] - row.accepted_at
            for row in await connection.execute(query)
            if row.source_id in wanted and row.id in received
        ]

    return await bed.system.database.read(work)


def percentiles(told: list[int]) -> dict[str, float]:
    """The median and the 99th percentile; of less than two values, none."""
    if len(told) < 2:
        return {}
    cuts = quantiles(told, n=100, method="inclusive")
    return {"p50": round(cuts[49], 1), "p99": round(cuts[98], 1), "most": max(told), "count": len(told)}
