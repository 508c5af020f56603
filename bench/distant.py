"""Distant: providers that take 80 ms to answer, as those over an ocean do."""

import time
from typing import Any

from bench.bed import make_bed
from bench.load import EVERYBODY, report
from bench.options import Options

SECONDS = 0.08  # from a request to its answer; of a mail, from its final dot


async def distant(options: Options) -> dict[str, Any]:
    """What a burst to distant providers reaches."""
    async with make_bed(database=options.database, sinking=False) as bed:
        rules = [{"channel": channel, "action": "delay", "seconds": SECONDS} for channel in EVERYBODY]
        async with bed.session.post(f"{bed.system.sandbox_url}/sandbox/faults", json=rules) as response:
            response.raise_for_status()
        warm, before = await bed.counted(), bed.cpu()
        began = time.perf_counter()
        await report(bed.producer, range(options.events))
        await bed.quiet()
        seconds = time.perf_counter() - began
        cpu = {name: spent - before[name] for name, spent in bed.cpu().items()}
        received = (await bed.counted()) - warm
        books = await bed.books(options.events)
    return {
        "scenario": "distant", "database": options.database, "round_trip_ms": round(SECONDS * 1000),
        "events": options.events, "events_per_s": round(options.events / seconds),
        "deliveries_per_s": round(received.total() / seconds), "seconds": round(seconds, 2),
        "cpu_us_per_event": {name: round(spent / options.events * 1e6) for name, spent in cpu.items()}, **books,
    }  # fmt: skip
