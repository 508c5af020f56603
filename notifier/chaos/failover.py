"""What all fail-overs have in common: a load, a leader killed in the middle of it, and what was answered meanwhile."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Protocol

import aiohttp
import msgspec

from notifier.chaos import load
from notifier.chaos.bed import Bed, make_bed, until
from notifier.chaos.options import Options
from notifier.chaos.outcome import Observation, ScenarioOutcome, demands, look
from notifier.domain.clock import SECOND
from notifier.domain.deliveries import OPEN
from notifier.store.reading import ledger as books

RESUMED = 30  # seconds after the part's own recovery in which reports are taken again, and messages go out
DONE = 60  # seconds after it in which all is done that was there: on a busy machine a backlog, too
ELECTED = 90  # seconds for the part itself to have a new leader
BATCH = 10  # events in one report
AFTER = 5  # seconds of load once the part has recovered


class Cluster(Protocol):
    """A cluster of several servers, one of which leads."""

    async def kill_leader(self) -> None:
        """Kill the server that leads, or one of them (`kill -9`)."""

    async def has_leader(self) -> bool:
        """Whether another server leads in the dead one's place."""

    async def rejoin(self) -> None:
        """Start the dead server again, and wait until it follows."""


class Load(msgspec.Struct, frozen=True):
    """Events a second, and the seconds of load before and, at the least, after the kill."""

    rate: int
    before: float
    after: float


SHORT = Load(50, 5, 5)
LONG = Load(200, 20, 40)


class BatchAnswer(msgspec.Struct, frozen=True):
    """The answer to a report of several events, status 0 for none; times in seconds of the monotonic clock."""

    events: list[load.Event]
    asked: float
    answered: float
    status: int
    ids: list[str]


class FailOver(msgspec.Struct, frozen=True):
    """Everything observed of a fail-over; times in seconds of the monotonic clock.

    `repeated` are ids of events that were reported again, since they had no 202. `again` is what was seen once all had
    been reported again, None where they weren't.
    """

    servers: str
    seen: Observation
    answers: list[BatchAnswer]
    repeated: list[str]
    killed: float
    elected: float
    elected_at: int
    backlog: int
    balanced: bool
    again: Observation | None

    @property
    def accepted(self) -> list[str]:
        """Return the ids of the events answered 202 at their first report."""
        return [id_ for answer in self.answers for id_ in answer.ids]

    @property
    def without_202_s(self) -> float:
        """Return the longest time between two reports that were answered 202, one after the other."""
        taken = sorted(answer.answered for answer in self.answers if answer.status == 202)
        return round(max((after - before for before, after in itertools.pairwise(taken)), default=0), 1)

    @property
    def taken_again_s(self) -> float:
        """Return the seconds from the part's recovery to the next 202; infinite where there was none."""
        taken = [answer.answered for answer in self.answers if answer.status == 202 and answer.asked > self.killed]
        first = min((each for each in taken if each > self.elected), default=float("inf"))
        return round(first - self.elected, 1)

    @property
    def sent_again_s(self) -> float:
        """Return the seconds from the part's recovery to the next message that arrived; infinite without one."""
        later = (each.received_at for each in self.seen.arrivals if each.received_at >= self.elected_at)
        return round((min(later, default=float("inf")) - self.elected_at) / SECOND, 1)

    @property
    def statuses(self) -> dict[int, int]:
        """Count the answers to reports made between the kill and the part's recovery."""
        return dict(Counter(each.status for each in self.answers if self.killed <= each.asked < self.elected))

    @property
    def done_s(self) -> float:
        """Return the seconds from the part's recovery to the end of the last delivery of events from before it."""
        before = {row.id for row in self.seen.ledger.events.values() if row.accepted_at < self.elected_at}
        rows = self.seen.ledger.deliveries.values()
        last = max((row.updated_at for row in rows if row.event_id in before), default=0)
        return round(max(0, last - self.elected_at) / SECOND, 1)

    @property
    def figures(self) -> dict[str, Any]:
        return self.seen.figures | {
            "servers": self.servers,
            "answered_202": len(self.accepted),
            "repeated": len(self.repeated),
            "answers_during": self.statuses,
            "backlog_at_kill": self.backlog,
            "part_recovered_s": round(self.elected - self.killed, 1),
            "without_202_s": self.without_202_s,
            "taken_again_s": self.taken_again_s,
            "sent_again_s": self.sent_again_s,
            "recovered_s": self.done_s,
        }


async def fail_over(
    options: Options, cluster: Cluster, settings: Mapping[str, str], *, again: bool = False
) -> FailOver:
    """Report events at a rate, kill the cluster's leader, in the long form let it come back as a follower, and wait
    until all is done.

    `settings` are those by which the system uses the cluster. What had no 202 is reported once more at the end, as a
    producer does; of an event that was written all the same that makes no second one. With `again` everything is then
    reported again, as by a producer that doesn't trust the last 202s before a fail-over.
    """
    weight = SHORT if options.short else LONG
    async with make_bed(options, settings=settings) as bed:
        enough = asyncio.Event()
        reporting = asyncio.create_task(_report_on(bed, weight.rate, enough))
        await asyncio.sleep(weight.before)
        backlog = _waiting(await books.read(bed.system.database))
        await cluster.kill_leader()
        killed = time.monotonic()
        await until(cluster.has_leader, ELECTED)
        elected, elected_at = time.monotonic(), bed.system.clock.now()
        if not options.short:
            await cluster.rejoin()
        await asyncio.sleep(max(AFTER, weight.after - (time.monotonic() - killed)))
        enough.set()
        answers = await reporting
        refused = [event for answer in answers if answer.status != 202 for event in answer.events]
        repeated = await load.report(bed.producer, refused, max(len(refused), 1))
        accepted = [id_ for answer in answers for id_ in answer.ids] + repeated
        seen = await look(bed, accepted, each=3)
        balanced = (await books.read(bed.system.database)).balanced
        after = None
        if again:
            every = [event for answer in answers for event in answer.events]
            after = await look(bed, await load.report(bed.producer, every, len(every)), each=3)
    used = msgspec.structs.replace(
        options,
        database=settings.get("database_url", options.database),
        broker=settings.get("broker_url", options.broker),
    )
    return FailOver(used.servers, seen, answers, repeated, killed, elected, elected_at, backlog, balanced, after)


def outcome(found: FailOver) -> ScenarioOutcome:
    """Return the outcome of a fail-over that must lose nothing."""
    # A message whose outcome couldn't be written is unknown, and sent again if its type says so.
    in_hand = sum(row.crashes for row in found.seen.ledger.deliveries.values())
    return ScenarioOutcome(
        found.figures | {"in_hand": in_hand},
        demands(found.seen.findings, in_hand) | resumed(found),
    )


def resumed(found: FailOver) -> dict[str, bool]:
    """Return the demands of every fail-over, whatever it may lose."""
    return {
        "the ledger balances": found.balanced,
        "no answers but 202 and 503": {answer.status for answer in found.answers} <= {0, 202, 503},
        f"reports are taken again within {RESUMED} s": found.taken_again_s <= RESUMED,
        f"messages go out again within {RESUMED} s": found.sent_again_s <= RESUMED,
        f"what was there is done within {DONE} s": found.done_s <= DONE,
    }


def _waiting(told: books.Ledger) -> int:
    """Return how many events wait to be decided and deliveries to be over."""
    return told.undecided + sum(told.deliveries.get(state, 0) for state in OPEN)


async def _report_on(bed: Bed, rate: int, enough: asyncio.Event) -> list[BatchAnswer]:
    """Report batches at a rate until `enough` is set, each once and whatever became of the one before."""
    posts: list[asyncio.Task[BatchAnswer]] = []
    began = time.monotonic()
    for number in itertools.count():
        if enough.is_set():
            return await asyncio.gather(*posts)
        events = list(load.numbered(load.payment, number * BATCH, BATCH))
        posts.append(asyncio.create_task(_post(bed, events)))
        await asyncio.sleep(max(0.0, began + (number + 1) * BATCH / rate - time.monotonic()))
    raise AssertionError  # the numbers don't end


async def _post(bed: Bed, events: list[load.Event]) -> BatchAnswer:
    asked, status = time.monotonic(), 0
    ids: list[str] = []
    with suppress(aiohttp.ClientError, TimeoutError):
        status, ids = await bed.post_many(events)
    return BatchAnswer(events, asked, time.monotonic(), status, ids)
