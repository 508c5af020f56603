"""Scenario of a host that is cut off: its workers reach neither database, broker nor providers, and come back."""

import asyncio
import re
from contextlib import AsyncExitStack
from functools import partial

import msgspec

from notifier.chaos import load
from notifier.chaos.bed import STARTED, Bed, all_up, make_bed, until
from notifier.chaos.clusters.hosts import Host, host
from notifier.chaos.clusters.postgresql import postgresql
from notifier.chaos.clusters.redis_server import USER, is_master, redis_server
from notifier.chaos.clusters.server import folder_of, free_ports
from notifier.chaos.faults import MOMENT, holds_for_good
from notifier.chaos.ledger import in_hand
from notifier.chaos.options import Options
from notifier.chaos.outcome import ScenarioOutcome, demands, look
from notifier.chaos.processes import AGAIN, SETTLED, STOPS
from notifier.chaos.proxy import HOST
from notifier.domain.clock import SECOND
from notifier.pipeline.claim_batcher import LEASE
from notifier.runtime.settings import to_environment
from notifier.sandbox.stand_in import stand_ins
from notifier.store.reading import ledger

DELAY = 0.1  # seconds for a provider's answer, so that there is something in flight
RATE = 50  # events a second
LOADED = 5  # seconds in which events arrive while the host is cut off
RESUMED = 60  # seconds for the host that came back to do what is reported then
WORKERS = ("worker", "worker-2")  # one on each host; the second one is cut off
ALONE = 100  # events for the host that came back, once the other one is gone


async def host_cut_off(options: Options) -> ScenarioOutcome:
    """One of two hosts of workers is cut off in mid-batch, for longer than a lease; later it works alone."""
    seconds = LEASE / SECOND + AGAIN if options.short else 90
    async with AsyncExitStack() as stack:
        (port,) = free_ports(1)
        folder = stack.enter_context(folder_of(USER))
        broker = await stack.enter_async_context(redis_server(port, folder))
        await broker.ready(partial(is_master, port))
        own = msgspec.structs.replace(options, broker=None, database=await stack.enter_async_context(postgresql()))
        settings: dict[str, object] = {"worker_processes": 1, "broker_url": f"redis://{HOST}:{port}/0"}
        bed = await stack.enter_async_context(make_bed(own, settings=settings, processes=("web", "clock")))
        ports = _ports(bed)
        hosts = [await stack.enter_async_context(host(number, ports)) for number in (1, 2)]
        for name, each in zip(WORKERS, hosts, strict=True):
            await bed.system.start(name, each.within)
            stack.push_async_callback(_stop, bed, name)
        for name in WORKERS:
            await until(partial(all_up, bed.system, name), STARTED)
        await bed.witness.order(*({"channel": channel, "action": "delay", "seconds": DELAY} for channel in stand_ins()))
        enough = asyncio.Event()
        telling = asyncio.create_task(load.report(bed.producer, load.numbered(load.payment), RATE, enough))
        cut, held = await _cut_off_in_mid_batch(bed, hosts[1])
        await asyncio.sleep(LOADED)
        enough.set()
        accepted = await telling
        await asyncio.sleep(max(0, seconds - (bed.system.clock.now() - cut) / SECOND))
        await bed.quiet()
        quiet = await ledger.is_quiet(bed.system.database)
        away = (bed.system.clock.now() - cut) / SECOND
        hosts[1].plug()
        await bed.quiet()
        await bed.system.stop(WORKERS[0])
        accepted += await load.report(bed.producer, load.numbered(load.payment, load.FAR, ALONE), RATE)
        seen = await look(bed, accepted, each=3)
    return ScenarioOutcome(
        {"servers": "postgresql, redis"}
        | seen.figures
        | {"cut_off_s": round(away), "in_flight": len(held), "alone_s": seen.quiet_s},
        demands(seen.findings, len(held))
        | {
            "the host was cut off with messages in hand": len(held) > 0,
            "the other host did everything meanwhile": quiet,
            "the host that came back does the work alone": seen.quiet_s < RESUMED,
        },
    )


def _ports(bed: Bed) -> list[int]:
    """Return the ports of this machine that the settings name: those of database, broker, providers and API."""
    told = " ".join(to_environment(bed.system.environment).values())
    return sorted({int(port) for port in re.findall(rf"{re.escape(HOST)}:([0-9]+)", told)})


async def _cut_off_in_mid_batch(bed: Bed, cut: Host) -> tuple[int, set[tuple[str, str]]]:
    """Cut a host off while it holds messages and no lock that lasts; return the time, and what it holds."""
    for _ in range(STOPS):
        await asyncio.sleep(SETTLED)
        cut.unplug()
        since = bed.system.clock.now()
        await asyncio.sleep(MOMENT)
        if not await holds_for_good(bed.system):
            await asyncio.sleep(SETTLED)
            held = await in_hand(bed.system.database, until=since)
            if held:
                return since, held
        cut.plug()
    return since, set()


async def _stop(bed: Bed, name: str) -> None:
    if name in bed.system.running:
        await bed.system.stop(name)
