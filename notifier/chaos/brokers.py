"""Scenarios of the broker going down, losing its content, filling up and hanging: they may cost only time."""

import asyncio
import time

from notifier.chaos import faults, ledger, load
from notifier.chaos.bed import Bed, make_bed, until
from notifier.chaos.options import Options
from notifier.chaos.outcome import Observation, ScenarioOutcome, demands, look
from notifier.domain.clock import SECOND
from notifier.domain.deliveries import State
from notifier.store.core.status import rendered as delivery

DUE_LATER = 1_000  # rows that fall due while the broker is away
RESUMED = 60  # seconds in which everything must be done once it is due and the broker is back
FAILED = 30  # seconds for every row to have met the provider's failure, or its breaker
ANSWERED = 1  # seconds within which a report is answered, whatever the broker does
RATE = 100  # events a second


async def redis_down(options: Options) -> ScenarioOutcome:
    """The broker is down for a while, again and again, with rows that fall due meanwhile."""
    outages = (1, 5) if options.short else (1, 15, 120)
    accepted: list[str] = []
    late: list[float] = []
    async with make_bed(options, proxied=["broker"], people=load.people(["sms"])) as bed:
        for number, seconds in enumerate(outages):
            accepted += await _due_later(bed, number * 2 * DUE_LATER)
            async with bed.broker_away():
                accepted += await load.report(
                    bed.producer, load.numbered(load.complete, number * 2 * DUE_LATER + DUE_LATER, 20), 20
                )
                await asyncio.sleep(max(0, seconds - 1))
            back = bed.system.clock.now()
            seen = await look(bed, accepted, each=2)
            late.append(_longest_wait(seen, back))
    figures = {"outages_s": list(outages), "done_after_s": late, "recovered_s": max(late)}
    return ScenarioOutcome(
        seen.figures | figures,
        demands(seen.findings) | {f"all ran within {RESUMED} s": max(late) <= RESUMED},
    )


async def flushall(options: Options) -> ScenarioOutcome:
    """Everything in the broker is gone, several times in mid-run."""
    seconds, times = (4, 3) if options.short else (15, 10)
    async with make_bed(options) as bed:
        events = load.numbered(load.payment, count=seconds * RATE)
        telling = asyncio.create_task(load.report(bed.producer, events, RATE))
        for _ in range(times):
            await asyncio.sleep(seconds / (times + 1))
            await bed.empty_broker()
            emptied = bed.system.clock.now()
        accepted = await telling
        seen = await look(bed, accepted, each=3)
    recovered = _longest_wait(seen, emptied)
    waited = [wait for waits in ledger.handoff(seen.ledger, seen.arrivals).values() for wait in waits]
    return ScenarioOutcome(
        seen.figures | {"flushes": times, "longest_handoff_s": max(waited) / SECOND, "recovered_s": recovered},
        demands(seen.findings) | {f"all ran within {RESUMED} s": recovered <= RESUMED},
    )


async def redis_full(options: Options) -> ScenarioOutcome:
    """Redis has no room for another signal (`maxmemory` with `noeviction`): always on a Redis of its own."""
    seconds = 4 if options.short else 10
    async with make_bed(Options(options.short, options.database)) as bed:
        events = load.numbered(load.payment, count=seconds * 2 * RATE)
        telling = asyncio.create_task(load.report(bed.producer, events, RATE))
        await asyncio.sleep(seconds / 2)
        async with faults.redis_full(bed.system):
            await asyncio.sleep(seconds)
        back = bed.system.clock.now()
        seen = await look(bed, await telling, each=3)
    recovered = _longest_wait(seen, back)
    return ScenarioOutcome(
        seen.figures | {"full_s": seconds, "recovered_s": recovered},
        demands(seen.findings) | {f"all ran within {RESUMED} s": recovered <= RESUMED},
    )


async def broker_silent(options: Options) -> ScenarioOutcome:
    """The broker hangs (SIGSTOP, or nothing passes between): reports are answered all the same."""
    seconds = 12 if options.short else 90
    async with make_bed(options, proxied=["broker"]) as bed:
        accepted = await load.report(bed.producer, load.numbered(load.payment, count=RATE), RATE)
        async with bed.broker_silent():
            slowest = 0.0
            for number in range(RATE, RATE + seconds):
                asked = time.monotonic()
                accepted.append(await bed.producer.send(**load.payment(number)))
                slowest = max(slowest, time.monotonic() - asked)
                await asyncio.sleep(1)
        back = bed.system.clock.now()
        seen = await look(bed, accepted, each=3)
    recovered = _longest_wait(seen, back)
    return ScenarioOutcome(
        seen.figures
        | {
            "silent_s": seconds,
            "slowest_answer_s": round(slowest, 2),
            "recovered_s": recovered,
        },
        demands(seen.findings)
        | {
            f"all ran within {RESUMED} s": recovered <= RESUMED,
            f"every report was answered in {ANSWERED} s": slowest <= ANSWERED,
        },
    )


async def _due_later(bed: Bed, first: int) -> list[str]:
    """Report texts while the provider fails, so that they are due again in some seconds; then end the fault."""
    await bed.witness.order({"channel": "sms", "action": "fail", "status": 503, "code": 20503})
    accepted = await load.report(bed.producer, load.numbered(load.complete, first, DUE_LATER), DUE_LATER)

    async def all_wait() -> bool:
        waiting = (delivery.c.state == State.PENDING, delivery.c.reason.is_not(None))
        return await ledger.count(bed.system.database, *waiting) > DUE_LATER * 0.9  # some are in hand at any moment

    await until(all_wait, FAILED)
    await bed.witness.calm()
    return accepted


def _longest_wait(seen: Observation, back: int) -> float:
    """Return the seconds from the broker's return to the last delivery's end."""
    return round(max((row.updated_at - back for row in seen.ledger.deliveries.values()), default=0) / SECOND, 1)
