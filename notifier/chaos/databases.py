"""Scenario of an unavailable database: nothing is accepted meanwhile, and nothing needs a restart afterwards."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress

import aiohttp
import msgspec

from notifier.chaos import faults, load
from notifier.chaos.bed import Bed, make_bed
from notifier.chaos.options import Options
from notifier.chaos.outcome import ScenarioOutcome, demands, look

RESUMED = 60  # seconds in which reports are taken again and everything is done
EVERY = 0.1  # seconds between two reports
BEFORE = 2  # seconds of reports before the first outage


class ReportAnswer(msgspec.Struct, frozen=True):
    """The answer to one report, status 0 for none; times in seconds of the monotonic clock."""

    asked: float
    answered: float
    status: int


class Outage(msgspec.Struct, frozen=True):
    """A time without the database, in seconds of the monotonic clock."""

    kind: str
    began: float
    ended: float

    def holds(self, answer: ReportAnswer) -> bool:
        """Whether a report was made and answered inside it."""
        return self.began < answer.asked and answer.answered < self.ended


async def database_down(options: Options) -> ScenarioOutcome:
    """Make the database unavailable in every way, with a report every tenth of a second."""
    seconds = 7 if options.short else 12
    async with make_bed(options, proxied=["database"]) as bed:
        enough = asyncio.Event()
        events: list[load.Event] = []
        posting = asyncio.create_task(_post_on(bed, events, enough))
        await asyncio.sleep(BEFORE)
        outages = []
        for kind, away in _ways(bed).items():
            async with away():
                began = time.monotonic()
                await asyncio.sleep(seconds)
                ended = time.monotonic()
            outages.append(Outage(kind, began, ended))
            await asyncio.sleep(seconds)
        enough.set()
        answers = await posting
        quiet = await bed.quiet()
        # A producer without a 202 reports again, and one with a 202 may: the same id is the same event.
        accepted = await load.report(bed.producer, events, len(events))
        seen = await look(bed, accepted, each=3)
    inside = {outage.kind: [answer for answer in answers if outage.holds(answer)] for outage in outages}
    statuses = {kind: dict(Counter(answer.status for answer in found)) for kind, found in inside.items()}
    resumed = {outage.kind: _resumed(outage, answers) for outage in outages}
    # A message that a provider accepted while its outcome couldn't be written is unknown, and resent if its type says
    # so.
    in_hand = sum(row.crashes for row in seen.ledger.deliveries.values())
    taken = sum(answer.status == 202 for answer in answers)
    return ScenarioOutcome(
        seen.figures
        | {
            "reports": len(answers),
            "in_hand_too_long": in_hand,
            "answered_202": taken,
            "answers_during": statuses,
            "taken_again_after_s": resumed,
            "recovered_s": max(*resumed.values(), round(quiet, 1)),
        },
        demands(seen.findings, in_hand)
        | {
            "no 202 while it can't be written": not any(202 in found for found in statuses.values()),
            "reports were made meanwhile": all(found or kind == "silent" for kind, found in statuses.items()),
            f"everything resumes within {RESUMED} s": max(*resumed.values(), quiet) <= RESUMED,
        },
    )


def _ways(bed: Bed) -> dict[str, Callable[[], AbstractAsyncContextManager[None]]]:
    """Return the ways in which this bed's database can be unavailable."""
    if bed.database_proxy is not None:
        return {"refused": bed.database_proxy.away, "silent": bed.database_proxy.silent}
    return {
        "locked": lambda: faults.sqlite_locked(bed.system),
        "disk_full": lambda: faults.disk_full(bed.system),
    }


async def _post_on(bed: Bed, events: list[load.Event], enough: asyncio.Event) -> list[ReportAnswer]:
    """Report events at intervals until `enough` is set, each once; append them to `events`."""
    posts = []
    while not enough.is_set():
        events.append(load.payment(len(events)))
        posts.append(asyncio.create_task(_post(bed, events[-1])))
        await asyncio.sleep(EVERY)
    return await asyncio.gather(*posts)


async def _post(bed: Bed, event: load.Event) -> ReportAnswer:
    asked, status = time.monotonic(), 0
    with suppress(aiohttp.ClientError, TimeoutError):
        status, _ = await bed.post(event)
    return ReportAnswer(asked, time.monotonic(), status)


def _resumed(outage: Outage, answers: list[ReportAnswer]) -> float:
    """Return the seconds from an outage's end to the first report accepted again."""
    taken = [answer.answered for answer in answers if answer.status == 202 and answer.answered > outage.ended]
    return round(min(taken) - outage.ended, 1) if taken else float("inf")
