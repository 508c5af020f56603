"""Burst and mix: so many events at once, from accept to the providers' last byte, and others at the same job."""

import asyncio
import time
from typing import Any

from bench.bed import Bed, make_bed
from bench.cpu import largest_child
from bench.footprint import figures, measure
from bench.load import Reach, everything, mixed, report
from bench.options import Options
from bench.peers.comparing import compare
from notifier.chaos.subscribers import REACHABLE, Endpoint, serving, subscribe
from notifier.domain.assignment import POINTS
from notifier.domain.catalog_files import load_catalog
from notifier.domain.experiments import CONTROL
from notifier.experiments.keeping import REFRESH


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


async def tried(options: Options) -> dict[str, Any]:
    """Everybody is told as in `burst`, while an experiment runs on every type that has an outcome."""
    return await _burst("tried", options, everything, experiments=True)


async def _try_everywhere(bed: Bed) -> None:
    """Have an experiment run on every type that may have one, and all processes know of them."""
    system, session = bed.system, bed.session
    headers = {"Authorization": f"Bearer {system.key}"}
    weights = {CONTROL: POINTS // 2, "same": POINTS // 2}
    for kind in load_catalog(system.settings.templates).types.values():
        if kind.outcome is None:
            continue
        plan = {"type": kind.id, "why": "what it costs", "arms": {CONTROL: {}, "same": {}}, "weights": weights}
        url = f"{system.settings.public_url}/v1/experiments/{kind.id}"
        for method, step, body in (("PUT", "", plan), ("POST", "/start", None)):
            async with session.request(method, f"{url}{step}", json=body, headers=headers) as response:
                response.raise_for_status()
    await asyncio.sleep(2 * REFRESH)


async def _burst(
    scenario: str, options: Options, reach: Reach, endpoint: Endpoint | None = None, *, experiments: bool = False
) -> dict[str, Any]:
    async with make_bed(
        database=options.database, buckets=options.buckets, reach=reach, settings=REACHABLE if endpoint else None
    ) as bed:
        if endpoint is not None:
            await subscribe(bed.system, bed.session, endpoint.url)
        if experiments:
            await _try_everywhere(bed)
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
