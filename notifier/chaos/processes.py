"""Scenarios of processes that crash, stop and restart under load."""

import asyncio
import contextlib
import os
import random
import signal
import time
from contextlib import AsyncExitStack

import msgspec

from notifier.chaos import load
from notifier.chaos.bed import Bed, make_bed
from notifier.chaos.faults import MOMENT, holds_for_good, prompt_workers_of, stopped
from notifier.chaos.ledger import LedgerSnapshot, in_hand
from notifier.chaos.options import Options
from notifier.chaos.outcome import ScenarioOutcome, demands, look
from notifier.domain.clock import SECOND
from notifier.pipeline.claim_batcher import LEASE
from notifier.sandbox.stand_in import stand_ins
from notifier.store.reading import ledger

PROVIDER_DELAY = 0.05  # seconds for an answer, so that there is something in flight
SLOW = 0.1  # the same where messages are to wait for a free connection, too
RECOVERED = 30  # seconds in which what a dead worker held must be done
AGAIN = 8  # seconds for what a lease left behind, a signal of which RabbitMQ may have given to those that stand still
STOPS = 20  # tries to stop workers at a telling moment
SETTLED = 1  # seconds in which workers that go on have settled what they held
BUSY = 30  # seconds more that the others may take on a busy machine for what the stopped ones held
WOKEN = 5  # seconds for a worker that stood still to do whatever it does when it goes on
ENDED = 30  # seconds in which a process must end after SIGTERM


class Kill(msgspec.Struct, frozen=True):
    """A worker's kill: its time in epoch milliseconds, and the deliveries that workers held then."""

    at: int
    in_hand: frozenset[tuple[str, str]]


async def kill9_workers(options: Options) -> ScenarioOutcome:
    """Kill one of two worker processes (`kill -9`) again and again while events arrive."""
    events, every, rate = (1_000, 3, 150) if options.short else (10_000, 5, 200)
    async with make_bed(options, settings={"worker_processes": 2}) as bed:
        await _slow_providers(bed)
        telling = asyncio.create_task(load.report(bed.producer, load.numbered(load.payment, count=events), rate))
        kills = []
        while not (await asyncio.wait([telling], timeout=every))[0]:
            kills.append(await _kill(bed))
        seen = await look(bed, await telling, each=3)
    in_flight = sum(len(kill.in_hand) for kill in kills)
    recovered = _recovered(seen.ledger, kills)
    return ScenarioOutcome(
        seen.figures | {"kills": len(kills), "in_flight_at_kills": in_flight, "recovered_s": recovered},
        demands(seen.findings, in_flight)
        | {
            "workers were killed with messages in hand": in_flight > 0,
            f"everything that they held was done in {RECOVERED} s": recovered <= RECOVERED,
        },
    )


async def worker_stopped(options: Options) -> ScenarioOutcome:
    """Stop half of the workers for longer than a lease, then let them continue."""
    seconds, rate = (LEASE / SECOND + AGAIN, 200) if options.short else (90, 200)
    settings: dict[str, object] = {"worker_processes": 2}
    async with make_bed(options, settings=settings, processes=("web", "worker", "worker-2", "clock")) as bed:
        await _slow_providers(bed, SLOW)
        enough = asyncio.Event()
        telling = asyncio.create_task(load.report(bed.producer, load.numbered(load.payment), rate, enough))
        async with AsyncExitStack() as stack:
            stood, held = await _stop_with_messages_in_hand(bed, stack, "worker-2")
            enough.set()
            accepted = await telling
            await asyncio.sleep(seconds - (bed.system.clock.now() - stood) / SECOND)
            await bed.quiet(BUSY)  # what the others still send must not be taken for the woken ones'
            quiet = await ledger.is_quiet(bed.system.database)
            went_on = bed.system.clock.now()
        await asyncio.sleep(WOKEN)
        seen = await look(bed, accepted, each=3)
    after = [arrival for arrival in seen.arrivals if arrival.received_at >= went_on]
    return ScenarioOutcome(
        seen.figures | {"stopped_s": seconds, "in_hand_at_stop": len(held), "sent_after_waking": len(after)},
        demands(seen.findings, len(held))
        | {
            "workers were stopped with messages in hand": len(held) > 0,
            "the others did everything before the stopped workers woke": quiet,
            "workers that woke after the lease sent nothing": not after,
        },
    )


async def rolling_sigterm(options: Options) -> ScenarioOutcome:
    """Stop and start workers, web and clock in turn under load."""
    turns, rate = (6, 50) if options.short else (50, 50)
    names = ("worker", "web", "worker-2", "clock")
    settings: dict[str, object] = {"worker_processes": 1}
    async with make_bed(options, settings=settings, processes=("web", "worker", "worker-2", "clock")) as bed:
        await _slow_providers(bed)
        enough = asyncio.Event()
        telling = asyncio.create_task(load.report(bed.producer, load.numbered(load.payment), rate, enough))
        exits = []
        for turn in range(turns):
            await asyncio.sleep(0.5)
            exits.append(await _restart(bed, names[turn % len(names)]))
        enough.set()
        seen = await look(bed, await telling, each=3)
    slowest = round(max(exits), 1)
    return ScenarioOutcome(
        seen.figures | {"restarts": turns, "slowest_exit_s": slowest, "quiet_after_s": seen.quiet_s},
        demands(seen.findings) | {f"every process ended in {ENDED} s": slowest < ENDED},
    )


async def _stop_with_messages_in_hand(bed: Bed, stack: AsyncExitStack, name: str) -> tuple[int, set[tuple[str, str]]]:
    """Stop workers while they hold messages and no lasting lock; return the time and the messages held."""
    for _ in range(STOPS):
        await asyncio.sleep(random.uniform(0.5, 1))  # noqa: S311 (no secret)
        async with AsyncExitStack() as attempt:
            await attempt.enter_async_context(stopped(bed.system, name))
            stood = bed.system.clock.now()
            await asyncio.sleep(MOMENT)
            if await holds_for_good(bed.system):
                continue
            await asyncio.sleep(SETTLED)
            held = await in_hand(bed.system.database, until=stood)
            if held:
                stack.push_async_exit(attempt.pop_all())
                return stood, held
    return stood, set()


async def _slow_providers(bed: Bed, seconds: float = PROVIDER_DELAY) -> None:
    rules = [{"channel": channel, "action": "delay", "seconds": seconds} for channel in stand_ins()]
    await bed.witness.order(*rules)


async def _kill(bed: Bed) -> Kill:
    """Kill a stopped worker process, so that the deliveries it holds can be counted."""
    pid = random.choice(prompt_workers_of(bed.system))  # noqa: S311 (no secret)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
        held = frozenset(await in_hand(bed.system.database))
        os.kill(pid, signal.SIGKILL)
        return Kill(bed.system.clock.now(), held)
    return Kill(bed.system.clock.now(), frozenset())


def _recovered(kept: LedgerSnapshot, kills: list[Kill]) -> float:
    """The longest time from a kill to the end of a delivery that was in hand at it and at no later one, in seconds."""
    last = {key: kill.at for kill in kills for key in kill.in_hand}
    rows = {row.key: row for row in kept.deliveries.values()}
    return round(max((rows[key].updated_at - at for key, at in last.items()), default=0) / SECOND, 1)


async def _restart(bed: Bed, name: str) -> float:
    """Restart a process; return the seconds that it took to end."""
    began = time.monotonic()
    await bed.system.stop(name)
    seconds = time.monotonic() - began
    await bed.system.start(name)
    if name == "web":
        await bed.system.ready()
    return seconds
