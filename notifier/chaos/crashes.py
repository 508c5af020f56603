"""Crashes at the worst moments: between two steps that can't be atomic."""

import asyncio
import contextlib
import tempfile
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import msgspec

from notifier.chaos import load
from notifier.chaos.bed import Bed, hooked, make_bed, until
from notifier.chaos.options import Options
from notifier.chaos.outcome import Observation, ScenarioOutcome, demands, look
from notifier.domain.clock import SECOND

ACCEPTED = "after notifier.store.delivery.events.add"  # the event is written, no worker was signalled
CLAIMED = "before notifier.pipeline.deliver.hand_over"  # the provider has nothing yet, and the ledger can't know
TAKEN = "before notifier.store.delivery.leases.settle"  # the provider accepted it, the ledger doesn't say so
SETTLED = "after notifier.store.delivery.leases.settle"  # the ledger says so, the broker has no answer
IN_HAND = [(point, channel) for point in (CLAIMED, TAKEN) for channel in load.CHANNELS] + [(SETTLED, "push")]
"""Consecutive crashes, all before the first one's lease ends, so that each has one message in hand."""
CRASHED = 20  # seconds for a process to come to the point; a worker that ended starts again meanwhile
SWEPT = 30  # seconds in which what a crash left behind must be done
USEFUL = timedelta(seconds=10)  # that a message which must not be sent late is still of use when it is reported
TIME_TO_LIVE = timedelta(minutes=30)  # of charging.complete


class Crash(msgspec.Struct, frozen=True):
    """A process's crash at a point: its time in epoch milliseconds, and the source's id of the event in hand."""

    point: str
    at: int
    source_id: str


async def crash_points(options: Options) -> ScenarioOutcome:
    """Crash at every point with a message on each channel in hand, and with one that expires before it can resume."""
    people = {id_: person for name in load.CHANNELS for id_, person in load.people([name], name).items()}
    with tempfile.TemporaryDirectory(prefix="notifier-chaos-") as folder:
        armed = Path(folder)
        environments = {
            "web": hooked(crash=ACCEPTED, armed=folder),
            "worker": hooked(crash="; ".join((CLAIMED, TAKEN, SETTLED)), armed=folder),
        }
        settings: dict[str, object] = {"worker_processes": 1}
        async with make_bed(options, settings=settings, environments=environments, people=people) as bed:
            report = load.payment(0, "push")
            crashes = [await _crash_web(bed, armed / ACCEPTED, report)]
            await bed.quiet()  # or its delivery would come to the next point
            expiring = [await _crash_worker(bed, armed / point, _soon_useless(point)) for point in (CLAIMED, TAKEN)]
            for point, channel in IN_HAND[::2] if options.short else IN_HAND:
                crashes.append(await _crash_worker(bed, armed / point, load.payment(len(crashes), channel)))
            await bed.quiet()
            status, _ = await bed.post(report)  # the producer reports an event again that got no answer
            seen = await _look(bed, expiring + crashes)
    times = _times(seen)
    swept = _swept(seen, crashes)
    taken = sum(crash.point == TAKEN for crash in expiring + crashes)
    return ScenarioOutcome(
        seen.figures
        | {
            "crashes": len(expiring + crashes),
            "recovered_s": swept,
            "expired_sent_again": sum(times[crash.source_id] - (crash.point == TAKEN) for crash in expiring),
        },
        demands(seen.findings, taken)
        | {
            f"what a crash left behind is done in {SWEPT} s": swept <= SWEPT,
            "no crash makes more than one duplicate": max(times.values()) <= 2,
            "only messages that the provider had accepted are duplicated": all(
                times[crash.source_id] == 1 for crash in crashes if crash.point != TAKEN
            ),
            "the crashed report is accepted when it is repeated": status == 202,
            "expired messages are not sent": all(
                times[crash.source_id] == (crash.point == TAKEN) for crash in expiring
            ),
        },
    )


async def _crash_worker(bed: Bed, armed: Path, event: load.Event) -> Crash:
    """Report one event whose message ends the worker that has it in hand."""
    _arm(armed)
    await bed.producer.send_many([event])
    return await _crashed(bed, armed, event)


async def _crash_web(bed: Bed, armed: Path, event: load.Event) -> Crash:
    """Report one event to a web process that ends before it answers, and start the process again."""
    _arm(armed)
    with contextlib.suppress(aiohttp.ClientError):
        await bed.post(event)
    crash = await _crashed(bed, armed, event)
    await asyncio.to_thread(bed.system.running["web"].wait, CRASHED)
    await bed.system.start("web")
    await bed.system.ready()
    return crash


async def _crashed(bed: Bed, armed: Path, event: load.Event) -> Crash:
    async def has_crashed() -> bool:
        return not _is_armed(armed)

    await until(has_crashed, CRASHED)
    return Crash(armed.name, bed.system.clock.now(), event["id"])


def _arm(armed: Path) -> None:
    armed.touch()


def _is_armed(armed: Path) -> bool:
    return armed.exists()


async def _look(bed: Bed, crashes: list[Crash]) -> Observation:
    """Return the observation; every event that was in hand at a crash counts as accepted."""
    seen = await look(bed, [])
    ids = {told.source_id: told.id for told in seen.ledger.events.values()}
    return await look(bed, [ids.get(crash.source_id, crash.source_id) for crash in crashes])


def _times(seen: Observation) -> Counter[str]:
    """Count the arrivals of each event's messages, by the source's id of the event."""
    rows = {row.key: row for row in seen.ledger.deliveries.values()}
    return Counter(seen.ledger.events[rows[arrival.key].event_id].source_id for arrival in seen.arrivals)


def _swept(seen: Observation, crashes: list[Crash]) -> float:
    """Return the longest time from a crash to the end of the delivery it interrupted, in seconds."""
    ended = {
        seen.ledger.events[row.event_id].source_id: row.updated_at
        for row in sorted(seen.ledger.deliveries.values(), key=lambda row: row.updated_at)
    }
    return round(max(ended[crash.source_id] - crash.at for crash in crashes) / SECOND, 1)


def _soon_useless(point: str) -> load.Event:
    """Make an event of one push that expires long before a lease does."""
    event = load.complete(int(point == TAKEN), "push")
    return event | {"time": datetime.now(UTC) - TIME_TO_LIVE + USEFUL}
