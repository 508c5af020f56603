"""Accept alone: a web process and its database, nobody who decides; batches of 100, then single events."""

import asyncio
import time
from typing import Any

import msgspec

from bench.bed import Bed, make_bed
from bench.load import event
from bench.options import Options
from notifier.providers.http_client import HttpClient
from notifier.store.reading import ledger

BATCH = 100  # events in a request
BATCHES = 16  # requests of batches under way at once
SINGLES = 64  # requests of single events under way at once
FIRST_SINGLE = 10**8  # where the numbers of single events begin
WARM = 10  # requests that don't count


async def accept(options: Options) -> dict[str, Any]:
    """Events a second, by the wall's clock and by a second of the web process's CPU."""
    count = options.events - options.events % BATCH
    many = [_batch(range(first, first + BATCH)) for first in range(-BATCH * WARM, count, BATCH)]
    single = [msgspec.json.encode(_envelope(FIRST_SINGLE + number)) for number in range(-WARM, count)]
    async with make_bed(database=options.database, processes=("web",), sinking=False) as bed:
        batches = await _measure(bed, "cloudevents-batch", many, BATCHES, BATCH)
        singles = await _measure(bed, "cloudevents", single, SINGLES, 1)
        books = await ledger.read(bed.system.database)
    return {
        "scenario": "accept", "database": options.database, "events": books.events, **batches, "single": singles,
        "balanced": books.balanced, "lost": count * 2 + WARM * (BATCH + 1) - books.events, "duplicated": 0,
    }  # fmt: skip


def _envelope(number: int) -> dict[str, Any]:
    return {"specversion": "1.0", "source": "bench", **event(number)}


def _batch(numbers: range) -> bytes:
    return msgspec.json.encode([_envelope(number) for number in numbers])


async def _measure(bed: Bed, media: str, bodies: list[bytes], at_once: int, size: int) -> dict[str, Any]:
    """The figures of posting these, of `size` events each."""
    headers = {"Authorization": f"Bearer {bed.system.key}", "Content-Type": f"application/{media}+json"}
    client = HttpClient("bench", bed.system.settings.public_url, headers, connections=at_once)

    async def post(waiting: list[bytes]) -> None:
        while waiting:
            answer = await client.post(b"/v1/events", waiting.pop())
            if answer.status != 202 or (size > 1 and b'"refused":0' not in answer.body):
                raise RuntimeError(f"the service answered {answer.status}: {answer.body[:200]!r}")

    measured = bodies[WARM:]
    events = len(measured) * size
    await post(bodies[:WARM])
    before, began = bed.cpu(), time.perf_counter()
    await asyncio.gather(*(post(measured) for _ in range(at_once)))
    seconds = time.perf_counter() - began
    cpu = {name: spent - before[name] for name, spent in bed.cpu().items()}
    await client.close()
    return {
        "events_per_s": round(events / seconds),
        "events_per_web_cpu_s": round(events / max(cpu["web"], 0.01)),
        "cpu_us_per_event": {name: round(spent / events * 1e6, 1) for name, spent in cpu.items()},
    }
