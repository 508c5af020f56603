"""Scenarios of API keys with limits, and of a sender in a loop that has none."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from notifier.chaos import load
from notifier.chaos.bed import ACCEPTED, QUIET_TIMEOUT, Bed, make_bed
from notifier.chaos.clusters.server import free_ports
from notifier.chaos.ledger import p99, percentile
from notifier.chaos.options import Options
from notifier.chaos.outcome import Observation, ScenarioOutcome, demands, look
from notifier.domain.clock import SECOND
from notifier.domain.keys import make_key
from notifier.domain.limits import BURST
from notifier.runtime.settings import to_environment
from notifier.store.console import keys

REFUSED: Final = 429
RATE: Final = 20.0  # events a second of a key that is limited so
DAILY: Final = 200  # events a day of a key that is limited so
CALLERS: Final = 3  # connections of each key to each web process
PAUSE: Final = 0.02  # seconds between two requests of a connection
FEW: Final = 5  # events in each of these requests: the one that exceeds a rate is still accepted whole
EXACT: Final = 0.01  # the share by which what is accepted may exceed a rate
OTHERS: Final = 10  # events a second of everybody else
TOGETHER: Final = 100  # events in each request of the sender in a loop
SLOWER: Final = 2  # times the baseline that others may take beside a loop whose key has a rate
NOISE: Final = 0.5  # seconds: half is noise, as beside a campaign, and half the work on one request of the loop
HELD_UP: Final = 5.0  # seconds that others may take beside a loop without a limit, however much it reports
PATIENCE: Final = 5  # times as long as the loop has reported, for what it left behind


@dataclass
class _Loop:
    """A sender in a loop: its key, and the answers that it got."""

    key: str
    numbers: Iterator[int]
    statuses: Counter[int] = field(default_factory=Counter)
    accepted: list[str] = field(default_factory=list)


@dataclass
class _Others:
    """What everybody else reported: the ids, and how many seconds each answer took."""

    accepted: list[str]
    waits: list[float]

    def figures(self, seen: Observation) -> dict[str, float]:
        """Return the 99th percentiles of the seconds to the answer, and from acceptance to a message's arrival."""
        sent = p99(seen.ledger, seen.arrivals, self.accepted)
        return {"answer": round(percentile(self.waits, 0.99), 3), "sent": round(max(sent.values(), default=0.0), 3)}


async def runaway_key(options: Options) -> ScenarioOutcome:
    """Report alone, then beside a sender in a loop whose key has a rate, then beside one whose key has none."""
    seconds, rate = (10, 300) if options.short else (30, 1000)
    phases: dict[str, _Others] = {}
    async with make_bed(options) as bed:
        warm = await load.warm_up(bed.producer)
        loops = {"limited": await _loop(bed, 0, rate=RATE), "unlimited": await _loop(bed, load.FAR)}
        for number, name in enumerate(("alone", *loops)):
            own = asyncio.create_task(_report_others(bed, number * seconds * OTHERS, seconds * OTHERS))
            if name in loops:
                await _report_batches(bed, loops[name], rate, seconds)
            phases[name] = await own
            await bed.quiet(QUIET_TIMEOUT + PATIENCE * seconds)
        reported: list[_Others | _Loop] = [*phases.values(), *loops.values()]
        accepted = [id_ for each in reported for id_ in each.accepted]
        seen = await look(bed, [*warm, *accepted])
    told = {name: each.figures(seen) for name, each in phases.items()}
    slower = {name: each - SLOWER * told["alone"][name] for name, each in told["limited"].items()}
    return ScenarioOutcome(
        seen.figures
        | {f"p99_s_{name}": each for name, each in told.items()}
        | {f"{name}_accepted": len(each.accepted) for name, each in loops.items()}
        | {f"{name}_statuses": dict(each.statuses) for name, each in loops.items()},
        demands(seen.findings)
        | {
            "everybody else is answered 202": all(len(each.accepted) == seconds * OTHERS for each in phases.values()),
            f"others take no more than {SLOWER} × the baseline and {NOISE} s beside a key with a rate": (
                max(slower.values()) <= NOISE
            ),
            f"others take no more than {HELD_UP:g} s beside a key without": max(told["unlimited"].values()) <= HELD_UP,
            "a key without limits is refused nothing": set(loops["unlimited"].statuses) == {ACCEPTED},
        },
    )


async def key_limits(options: Options) -> ScenarioOutcome:
    """Report in a loop at two webs with a key that has a rate and with one that has a limit a day; meanwhile the broker
    goes away and comes back."""
    third = 3 if options.short else 10
    (port,) = free_ports(1)
    other = {"web-2": to_environment({"port": port})}
    processes = ("web", "web-2", "worker", "clock")
    async with make_bed(options, processes=processes, environments=other, proxied=("broker",)) as bed:
        urls = (bed.system.settings.public_url, f"http://127.0.0.1:{port}")
        await bed.system.answer(f"{urls[1]}/readyz", "web-2")
        rated, daily = await _loop(bed, 0, rate=RATE), await _loop(bed, load.FAR, daily=DAILY)
        began = time.monotonic()
        ends = began + 3 * third
        async with asyncio.TaskGroup() as group:
            for loop, url in itertools.product((rated, daily), urls * CALLERS):
                group.create_task(_report(bed, loop, url, ends))
            await asyncio.sleep(third)
            async with bed.broker_away():
                await asyncio.sleep(third)
        most = RATE * (time.monotonic() - began + BURST / SECOND) + FEW
        seen = await look(bed, [*rated.accepted, *daily.accepted])
    return ScenarioOutcome(
        seen.figures
        | {
            "rate": dict(rated.statuses),
            "day": dict(daily.statuses),
            "share_of_rate": round(len(rated.accepted) / most, 3),
        },
        demands(seen.findings)
        | {
            "nothing but 202 and 429 is answered": {*rated.statuses, *daily.statuses} <= {ACCEPTED, REFUSED},
            "at most 1 % more than the rate is accepted": len(rated.accepted) <= most * (1 + EXACT),
            "at least half of the rate is used": len(rated.accepted) >= most / 2,
            "of a day exactly its events are accepted": len(daily.accepted) == DAILY,
        },
    )


async def _loop(bed: Bed, first: int, **limits: Any) -> _Loop:
    text, kept = make_key("loop", frozenset({"events:write"}), bed.system.clock.now(), **limits)
    await keys.add(bed.system.database, kept)
    return _Loop(text, itertools.count(first))


async def _report(bed: Bed, loop: _Loop, url: str, ends: float) -> None:
    """Report a few events at a time until then, whatever is answered."""
    while time.monotonic() < ends:
        await _post(bed, loop, url, FEW)
        await asyncio.sleep(PAUSE)


async def _report_batches(bed: Bed, loop: _Loop, rate: float, seconds: float) -> None:
    """Report batches at a rate for so long, whatever is answered and however late."""
    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(round(seconds * rate / TOGETHER)):
            await asyncio.sleep(max(0.0, began + number * TOGETHER / rate - time.monotonic()))
            group.create_task(_post(bed, loop, bed.system.settings.public_url, TOGETHER))


async def _post(bed: Bed, loop: _Loop, url: str, size: int) -> None:
    """Report the loop's next events in one request."""
    events = [{"specversion": "1.0", "source": "loop", **load.complete(next(loop.numbers))} for _ in range(size)]
    headers = {"Content-Type": "application/cloudevents-batch+json", "Authorization": f"Bearer {loop.key}"}
    async with bed.session.post(f"{url}/v1/events", data=msgspec.json.encode(events), headers=headers) as response:
        loop.statuses[response.status] += 1
        if response.status == ACCEPTED:
            loop.accepted += _ids(msgspec.json.decode(await response.read())["results"])


def _ids(results: Sequence[dict[str, Any]]) -> list[str]:
    return [each["event"] for each in results]


async def _report_others(bed: Bed, first: int, count: int) -> _Others:
    """Report events at their rate, each in a request of its own, whatever the answers to those before."""
    began = time.monotonic()

    async def report(number: int) -> tuple[float, list[str]]:
        await asyncio.sleep(max(0.0, began + number / OTHERS - time.monotonic()))
        asked = time.monotonic()
        status, ids = await bed.post_many([load.payment(first + number)])
        return time.monotonic() - asked, ids if status == ACCEPTED else []

    answered = await asyncio.gather(*map(report, range(count)))
    return _Others([id_ for _, ids in answered for id_ in ids], [wait for wait, _ in answered])
