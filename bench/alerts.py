"""Alerts under a campaign: urgent events at a steady rate, alone, then beside so many bulk messages, all due."""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bench.bed import Bed, make_bed
from bench.load import PEOPLE, report_at
from bench.options import Options
from bench.steady import latencies, percentiles
from notifier import chaos
from notifier.clock import DAY
from notifier.deliveries import Channel, Lane, State, make_id
from notifier.messages import Device
from notifier.recipients import device_id
from notifier.settings import Settings
from notifier.store import deliveries, events
from notifier.store.deliveries import NewDelivery
from notifier.store.events import NewEvent
from notifier.store.schema import delivery, event

ANNOUNCEMENT = Path(chaos.__file__).with_name("announcement")  # bulk, and at any hour
RATE = 20  # alerts a second
SLICE = 10_000  # rows in one transaction


async def alerts(options: Options) -> dict[str, Any]:
    """The latency of alerts without and with a campaign of `rows` messages; what is left of it is called off."""
    with tempfile.TemporaryDirectory(prefix="notifier-bench-") as folder:
        settings = {"templates": _templates(Path(folder))}
        async with make_bed(database=options.database, settings=settings, sinking=False) as bed:
            count = RATE * options.seconds
            alone, beside = range(count), range(count, 2 * count)
            await report_at(bed.producer, alone, RATE)
            await bed.quiet()
            campaign = await _begin(bed, options.rows)
            await report_at(bed.producer, beside, RATE)
            await _handed_over(bed)
            left = await _call_off(bed, campaign)
            await bed.quiet()
            told = [percentiles(await latencies(bed, numbers)) for numbers in (alone, beside)]
            books = await bed.books(2 * count)
    return {
        "scenario": "alerts", "database": options.database, "events": 2 * count, "campaign": options.rows,
        "campaign_sent_meanwhile": options.rows - left, "alone_ms": told[0], "beside_ms": told[1],
        "p99_ratio": round(told[1]["p99"] / max(told[0]["p99"], 1), 2), **books,
    }  # fmt: skip


def _templates(folder: Path) -> Path:
    """The product's types, and the announcement beside them."""
    templates = folder / "templates"
    shutil.copytree(Settings().templates, templates)
    shutil.copytree(ANNOUNCEMENT, templates / "announcement")
    return templates


async def _begin(bed: Bed, size: int) -> str:
    """Write a campaign as `decide` would, slice by slice and due at once; its event's id."""
    database, now, id_ = bed.system.database, bed.system.clock.now(), make_id("bench", "campaign")
    told = NewEvent(
        id=id_, source="bench", source_id="campaign", type="announcement.made", subject=None, occurred_at=now,
        accepted_at=now, digest=id_, data=msgspec.Raw(b'{"driver_id": "everybody", "offer_id": "nights"}'),
        signal_at=now + DAY,
    )  # fmt: skip

    async def decided(connection: AsyncConnection) -> None:
        await events.insert(connection, database.dialect, [told])
        await events.mark_decided(connection, database.dialect, {id_: size}, now)

    await database.write(decided)
    messages = _messages(id_, size, now)
    while part := list(islice(messages, SLICE)):
        await database.write(partial(deliveries.add, dialect=database.dialect, deliveries=part))
    return id_


def _messages(event_id: str, size: int, now: int) -> Iterator[NewDelivery]:
    targets = [(f"driver-{number}", device_id(Device(value=f"token-{number}"))) for number in range(PEOPLE)]
    for number in range(size):
        person, target = targets[number % PEOPLE]
        yield NewDelivery(
            id=make_id("campaign", str(number)), event_id=event_id, recipient_id=person, type="announcement",
            channel=Channel.PUSH, target=target, lane=Lane.BULK, about=make_id("campaign"), state=State.PENDING,
            reason=None, created_at=now, updated_at=now, due_at=now, expires_at=now + DAY, signal_at=now,
        )  # fmt: skip


async def _handed_over(bed: Bed) -> None:
    """Wait until nothing but the campaign is left to do."""
    waits = sa.select(
        sa.or_(
            sa.exists().where(delivery.c.signal_at.is_not(None), delivery.c.lane != Lane.BULK),
            sa.exists().where(event.c.signal_at.is_not(None), event.c.decided_at.is_(None)),
        )
    )

    async def work(connection: AsyncConnection) -> bool:
        return bool((await connection.execute(waits)).scalar_one())

    async with asyncio.timeout(60):
        while await bed.system.database.read(work):  # noqa: ASYNC110 (it is other processes that are waited for)
            await asyncio.sleep(0.2)


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
