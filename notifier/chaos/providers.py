"""Scenarios of one channel's provider failing in every way while others work, and returning to a backlog."""

import asyncio
import contextlib
from bisect import bisect_left
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import accumulate

import msgspec

from notifier.chaos import ledger, load
from notifier.chaos.bed import Bed, make_bed, until
from notifier.chaos.ledger import p99
from notifier.chaos.options import Options
from notifier.chaos.outcome import Observation, ScenarioOutcome, demands, look
from notifier.chaos.witness import Arrival
from notifier.domain.clock import SECOND
from notifier.domain.deliveries import OPEN, Channel, State
from notifier.providers.breaker import BreakerState as Breaker
from notifier.providers.pacing import BURST
from notifier.store.core.status import rendered as delivery

RATE = 10  # events a second: SQLite takes them without a queue
HANGS = 30  # seconds that the provider says nothing, when it hangs: longer than anybody waits for it
ASKED = 5  # seconds of the provider's Retry-After
UNDER_WAY = 300  # milliseconds: calls that were made before the first refusal had been read, in whatever process
REFUSED = 10  # texts that the provider will never take
TOO_LONG, TOO_MANY = 21617, 20429  # Twilio's codes for such a text, and for one too many
SLOWER = 0.1  # of what the other channels took before
NOISE = 0.25
"""Seconds of measurement noise: the p99 of some hundred messages is its third-worst, and on two cores that also run
the provider and the producer one wait for the disk or for a turn is as long."""
OPENED = 20  # seconds from a fault's beginning until the breaker is open: what the first calls wait, and as long again
CLOSED = 60  # seconds after a fault for the provider to be in use again: a rest, probes, and what they time out

BACKLOG_RATE = 100  # texts a second that the provider permits
REPORTED = 400  # events a second until there is a backlog
URGENT = 5  # urgent texts a second while it drains
PROMPT = 10  # seconds in which an urgent text goes out
WINDOWS = (1, 10)  # seconds
LATE = 100
"""Milliseconds that a text may take longer than the one before it from its slot to the provider's records: so much
later one may arrive, and so much closer together the next ones."""
DRAINED = 300  # seconds for the longest backlog

FAULTS: dict[str, dict[str, object] | None] = {
    "throttles": {"action": "fail", "status": 429, "code": TOO_MANY, "retry_after": ASKED},
    "fails": {"action": "fail", "status": 500, "code": 20500},
    "hangs": {"action": "hang", "seconds": HANGS},
    "half-open": None,  # the connections are there, and nothing passes
}


class Phase(msgspec.Struct, frozen=True):
    """A time with one fault: events reported in it, seconds until the breaker opened, or None where it did not, and
    from the fault's end until it was closed again."""

    events: list[str]
    opened_s: float | None = None
    closed_s: float = 0.0


async def provider_faults(options: Options) -> ScenarioOutcome:
    """Let texts meet one fault after another; pushes and mails of the same events must not be affected."""
    seconds = 12 if options.short else 14
    names = [name for name in FAULTS if name != "hangs" or not options.short]  # to the sender the two are alike
    phases: dict[str, Phase] = {}
    async with make_bed(options, providers={"sms": ""}) as bed:
        warm = await load.warm_up(bed.producer)
        phases["well"] = Phase(await _report(bed, 0, seconds))
        for name in names:
            phases[name] = await _phase(bed, name, len(phases) * seconds * RATE, seconds)
        await bed.witness.order({"channel": "sms", "action": "fail", "code": TOO_LONG, "times": REFUSED})
        phases["refuses"] = Phase(await _report(bed, len(phases) * seconds * RATE, 2))
        seen = await look(bed, [*warm, *(id_ for phase in phases.values() for id_ in phase.events)], each=3)
    took = {name: p99(seen.ledger, seen.arrivals, phase.events) for name, phase in phases.items()}
    others = {name: {each: waits[each] for each in (Channel("push"), Channel("email"))} for name, waits in took.items()}
    slower = max(
        waits[each] - before * (1 + SLOWER) for waits in others.values() for each, before in others["well"].items()
    )
    early, again, rows = _early(seen.arrivals), _again(seen.arrivals), seen.ledger.deliveries.values()
    failed = sum(row.state == State.FAILED for row in rows)
    closed = max(phase.closed_s for phase in phases.values())
    return ScenarioOutcome(
        seen.figures
        | {
            "others_p99_s": others, "opened_s": {name: phases[name].opened_s for name in names},
            "calls_before_retry_after": early, "refused": failed, "recovered_s": closed,
        },
        demands(seen.findings)
        | {
            f"other channels are slower by no more than {SLOWER:.0%} and {NOISE} s": slower <= NOISE,
            f"the breaker opens within {OPENED} s": all(phases[name].opened_s is not None for name in names),
            f"it is closed again within {CLOSED} s": closed <= CLOSED,
            "no call is made before Retry-After has run out": early == 0,
            "a permanent refusal is tried once": failed == REFUSED and again == 0,
            "every other text arrives": all(row.state in (State.SENT, State.FAILED) for row in rows),
        },
    )  # fmt: skip


async def backlog(options: Options) -> ScenarioOutcome:
    """Let texts pile up while a provider with a rate limit is down; they drain at that rate, urgent texts first."""
    size = 500 if options.short else 6_000
    people = load.people(["sms"])
    async with make_bed(options, providers={"sms": f"rate={BACKLOG_RATE}"}, people=people) as bed:
        async with bed.providers["sms"].away():
            waiting = await load.report(bed.producer, load.numbered(load.complete, count=size), REPORTED)
            await until(partial(_waits, bed, size), DRAINED)
        back = bed.system.clock.now()
        enough = asyncio.Event()
        urgent = asyncio.create_task(load.report(bed.producer, load.numbered(load.idle), URGENT, enough))
        await until(partial(_drained, bed), DRAINED)
        drained = bed.system.clock.now()
        enough.set()
        seen = await look(bed, [*waiting, *await urgent], each=2)
    prompt = p99(seen.ledger, seen.arrivals, await urgent)[Channel("sms")]
    most = {window: _most(seen, window) for window in WINDOWS}
    permitted = {window: round(BACKLOG_RATE * (window + (BURST + LATE) / SECOND)) + 1 for window in WINDOWS}
    return ScenarioOutcome(
        seen.figures
        | {
            "backlog": size, "rate": BACKLOG_RATE, "most_in_s": most, "permitted_in_s": permitted,
            "urgent": len(await urgent), "urgent_p99_s": prompt, "recovered_s": (drained - back) / SECOND,
        },
        demands(seen.findings)
        | {
            "the set rate is never passed": all(most[window] <= permitted[window] for window in WINDOWS),
            f"urgent texts go out within {PROMPT} s": prompt <= PROMPT,
        },
    )  # fmt: skip


async def _report(bed: Bed, first: int, seconds: int) -> list[str]:
    return await load.report(bed.producer, load.numbered(load.payment, first, seconds * RATE), RATE)


async def _phase(bed: Bed, name: str, first: int, seconds: int) -> Phase:
    """Report during a fault, then wait until the provider is in use again."""

    async def is_(state: Breaker) -> bool:
        return await bed.metric("notifier_breaker_state", provider="twilio") == state

    opened = None
    began = bed.system.clock.now()
    async with _fault(bed, name):
        telling = asyncio.create_task(_report(bed, first, seconds))
        with contextlib.suppress(TimeoutError):
            await until(partial(is_, Breaker.OPEN), OPENED)
            opened = (bed.system.clock.now() - began) / SECOND
        events = await telling
    over = bed.system.clock.now()
    await until(partial(is_, Breaker.CLOSED), 2 * CLOSED)
    return Phase(events, opened, (bed.system.clock.now() - over) / SECOND)


@asynccontextmanager
async def _fault(bed: Bed, name: str) -> AsyncIterator[None]:
    rule = FAULTS[name]
    if rule is None:
        async with bed.providers["sms"].silent():
            yield
        return
    await bed.witness.order({"channel": "sms", **rule})
    yield
    await bed.witness.calm()


def _early(arrivals: Sequence[Arrival]) -> int:
    """Count the calls within the provider's Retry-After, from the first refusal on, without calls that were under way
    then."""
    early, asked_at = 0, -ASKED * SECOND
    for arrival in arrivals:
        if arrival.channel == Channel("sms"):
            since = arrival.received_at - asked_at
            early += UNDER_WAY < since < ASKED * SECOND
            if arrival.code == str(TOO_MANY) and since >= ASKED * SECOND:
                asked_at = arrival.received_at
    return early


def _again(arrivals: Sequence[Arrival]) -> int:
    """Count the calls about texts that had been refused for good."""
    again, refused = 0, set()
    for arrival in arrivals:
        again += arrival.key in refused
        if arrival.code == str(TOO_LONG):
            refused.add(arrival.key)
    return again


async def _waits(bed: Bed, size: int) -> bool:
    waiting = (delivery.c.channel == Channel("sms"), delivery.c.state == State.PENDING)
    return await ledger.count(bed.system.database, *waiting) > size * 0.9  # some are in hand at any moment


async def _drained(bed: Bed) -> bool:
    waiting = (delivery.c.type == "charging-complete", delivery.c.state.in_(OPEN | {State.UNKNOWN}))
    return await ledger.count(bed.system.database, *waiting) == 0


def _most(seen: Observation, seconds: int) -> int:
    """Return the most segments that arrived in any window of so many seconds."""
    texts = [arrival for arrival in seen.arrivals if arrival.channel == Channel("sms")]
    ends = [arrival.received_at for arrival in texts]
    before = [0, *accumulate(arrival.segments for arrival in texts)]
    return max(
        before[number + 1] - before[bisect_left(ends, end - seconds * SECOND + 1)] for number, end in enumerate(ends)
    )
