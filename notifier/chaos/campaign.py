"""A campaign beside alerts: what is bulk never stands before what is urgent."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.chaos import load
from notifier.chaos.bed import Bed, make_bed
from notifier.chaos.books import p99
from notifier.chaos.options import Options
from notifier.chaos.outcome import Outcome, demands, look
from notifier.clock import DAY
from notifier.deliveries import Channel, Lane, State, make_id
from notifier.recipients import RecipientDetails, device_id
from notifier.settings import Settings
from notifier.store import deliveries, events
from notifier.store.deliveries import NewDelivery
from notifier.store.events import NewEvent
from notifier.store.schema import delivery, event

ANNOUNCEMENT = Path(__file__).parent / "announcement"  # bulk, and at any hour: an offer would wait for the morning
RATE = 10  # alerts a second
SLOWER = 2  # times the baseline that alerts may take beside the campaign
NOISE = 0.25
"""Seconds that are nobody's fault: on two cores that send, render and receive a campaign at once, an alert passes five
processes that each wait for their turn. It is a quarter of what a person would notice."""
SLICE = 5_000  # rows in one transaction: some 50 ms, so that workers get their turn


async def campaign(options: Options) -> Outcome:
    """Alerts alone, then the same beside a campaign that is due all at once."""
    size, seconds = (20_000, 8) if options.short else (1_000_000, 20)
    people = load.people()
    with tempfile.TemporaryDirectory(prefix="notifier-chaos-") as folder:
        async with make_bed(options, settings={"templates": _templates(Path(folder))}, people=people) as bed:
            warm = await load.warm_up(bed.producer)
            alone = await load.report(bed.producer, load.numbered(load.payment, count=seconds * RATE), RATE)
            await bed.quiet()
            began = time.monotonic()
            offer = await _begin(bed, people, size)
            written = time.monotonic() - began
            more = load.numbered(load.payment, seconds * RATE, seconds * RATE)
            beside = await load.report(bed.producer, more, RATE)
            left = await _call_off(bed, offer)
            seen = await look(bed, [*warm, *alone, *beside, offer])
    before, during = (p99(seen.books, seen.arrivals, ids) for ids in (alone, beside))
    slower = {channel: during[channel] - SLOWER * before[channel] for channel in before}
    return Outcome(
        seen.figures
        | {
            "campaign": size, "written_s": round(written, 1), "campaign_sent": size - left, "called_off": left,
            "alone_p99_s": before, "beside_p99_s": during,
        },
        demands(seen.findings)
        | {
            "the campaign was under way all the time": 0 < left < size,
            f"alerts take no more than {SLOWER} × the baseline and {NOISE} s": max(slower.values()) <= NOISE,
        },
    )  # fmt: skip


def _templates(folder: Path) -> Path:
    """The product's types, and the announcement beside them."""
    templates = folder / "templates"
    shutil.copytree(Settings().templates, templates)
    shutil.copytree(ANNOUNCEMENT, templates / "announcement")
    return templates


async def _begin(bed: Bed, people: dict[str, RecipientDetails], size: int) -> str:
    """Write a campaign as `decide` would: one event, and a message to each of so many; the event's id."""
    now, id_ = bed.system.clock.now(), make_id("chaos", "offer")
    told = NewEvent(
        id=id_, source="chaos", source_id="offer", type="announcement.made", subject=None, occurred_at=now,
        accepted_at=now, digest=id_, data=msgspec.Raw(b'{"driver_id": "everybody", "offer_id": "nights"}'),
        signal_at=now + DAY,
    )  # fmt: skip

    async def decided(connection: AsyncConnection) -> None:
        await events.insert(connection, bed.system.database.dialect, [told])
        await events.mark_decided(connection, bed.system.database.dialect, {id_: size}, now)

    await bed.system.database.write(decided)
    messages = _messages(id_, people, size, now)
    while part := list(islice(messages, SLICE)):
        await bed.system.database.write(partial(deliveries.add, dialect=bed.system.database.dialect, deliveries=part))
    return id_


def _messages(event_id: str, people: dict[str, RecipientDetails], size: int, now: int) -> Iterator[NewDelivery]:
    targets = [(person, device_id(details.devices[0])) for person, details in people.items()]
    for number in range(size):
        person, target = targets[number % len(targets)]
        yield NewDelivery(
            id=make_id("offer", str(number)), event_id=event_id, recipient_id=person, type="announcement",
            channel=Channel.PUSH, target=target, lane=Lane.BULK, about=make_id("offer"), state=State.PENDING,
            reason=None, created_at=now, updated_at=now, due_at=now, expires_at=now + DAY, signal_at=now,
        )  # fmt: skip


async def _call_off(bed: Bed, event_id: str) -> int:
    """Take back what has not gone out, as if it had never been planned; how many messages that were."""
    waiting = (
        sa.select(delivery.c.id).where(delivery.c.event_id == event_id, delivery.c.state == State.PENDING).limit(SLICE)
    )

    async def work(connection: AsyncConnection) -> int:
        ids = list((await connection.execute(waiting.with_for_update(skip_locked=True))).scalars())
        if ids:
            await connection.execute(sa.delete(delivery).where(delivery.c.id.in_(ids)))
            fewer = event.c.deliveries - len(ids)
            await connection.execute(sa.update(event).where(event.c.id == event_id).values(deliveries=fewer))
        return len(ids)

    left = 0
    while taken := await bed.system.database.write(work):
        left += taken
    return left
