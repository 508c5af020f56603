"""Burst and mix: so many events at once, from accept to the providers' last byte, and others at the same job."""

import time
from typing import Any

from bench.bed import make_bed
from bench.cpu import largest_child
from bench.footprint import figures, measure
from bench.load import Reach, everything, mixed, report
from bench.options import Options
from bench.peers.comparing import compare
from notifier.chaos.subscribers import REACHABLE, Endpoint, serving, subscribe


async def burst(options: Options) -> dict[str, Any]:
    """Everybody is told by push, text and e-mail."""
    return await _burst("burst", options, everything)


async def mix(options: Options) -> dict[str, Any]:
    """Everybody is told by push, one in five by e-mail too, one in ten by text."""
    return await _burst("mix", options, mixed)


async def told(options: Options) -> dict[str, Any]:
    """Everybody is told as in `burst`, and meanwhile a service's endpoint of what becomes of each delivery."""
    async with serving() as endpoint:
        found = await _burst("told", options, everything, endpoint)
        changes = len(endpoint.told)
    return {**found, "changes": changes, "changes_per_s": round(changes / found["seconds"])}


async def _burst(scenario: str, options: Options, reach: Reach, endpoint: Endpoint | None = None) -> dict[str, Any]:
    async with make_bed(
        database=options.database, buckets=options.buckets, reach=reach, settings=REACHABLE if endpoint else None
    ) as bed:
        if endpoint is not None:
            await subscribe(bed.system, bed.session, endpoint.url)
        warm, stages, before = await bed.counted(), await bed.stages(), bed.cpu()
        footprint = await measure(bed.system.database)
        began = time.perf_counter()
        await report(bed.producer, range(options.events))
        accepted = time.perf_counter()
        await bed.quiet()
        seconds = time.perf_counter() - began
        cpu = {name: spent - before[name] for name, spent in bed.cpu().items()}
        by_stage = {name: spent - stages.get(name, 0) for name, spent in (await bed.stages()).items()}
        memory = largest_child(bed.groups["workers"])
        received = (await bed.counted()) - warm
        left = await figures(bed.system.database, footprint, received.total())
        books = await bed.books(options.events)
        rate = received.total() / seconds
        peers = await compare(bed, reach, rate) if options.peers else {}
    return {
        "scenario": scenario,
        "database": options.database,
        "buckets": options.buckets,
        "events": options.events,
        "events_per_s": round(options.events / seconds),
        "deliveries_per_s": round(rate),
        "accepted_per_s": round(options.events / (accepted - began)),
        "seconds": round(seconds, 2),
        "cpu_us_per_event": {name: round(spent / options.events * 1e6) for name, spent in cpu.items()},
        "stage_us_per_event": {name: round(spent / options.events * 1e6) for name, spent in by_stage.items()},
        "largest_worker_mb": round(memory / 1e6),
        **left,
        **books,
        **peers,
    }
