"""A campaign that is due all at once: written as `decide` would write it, and removed at the end."""

import shutil
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.chaos import load
from notifier.demo.local import LocalSystem
from notifier.domain.clock import DAY
from notifier.domain.deliveries import Channel, Lane, Reason, State
from notifier.domain.ids import dated, make_id
from notifier.store.core.schema import delivery, open_delivery
from notifier.store.delivery import deliveries, events
from notifier.store.delivery.deliveries import NewDelivery
from notifier.store.delivery.events import NewEvent

ANNOUNCEMENT = Path(__file__).parent / "announcement"  # bulk, and at any hour: an offer would wait for the morning
SLICE = 5_000  # rows in one transaction: some 50 ms, so that workers get their turn


def templates(folder: Path) -> Path:
    """Make a folder with the product's types and the announcement."""
    made = load.templates(folder)
    shutil.copytree(ANNOUNCEMENT, made / "announcement")
    return made


async def begin(
    system: LocalSystem, source: str, targets: Sequence[tuple[str, str]], size: int, *, over: bool = False
) -> str:
    """Write one event with `size` pushes, in turn to these pairs of recipient and device; return the event's id.

    They are due, or expired already where they are to be `over`.
    """
    database, now, undated = system.database, system.clock.now(), make_id(source, "campaign")
    id_ = dated(undated, now)
    told = NewEvent(
        id=undated, source=source, source_id="campaign", type="announcement.made", subject=None, occurred_at=now,
        accepted_at=now, digest=undated, data=msgspec.Raw(b'{"driver_id": "everybody", "offer_id": "nights"}'),
        next_check_at=now + DAY,
    )  # fmt: skip

    async def decided(connection: AsyncConnection) -> None:
        await events.insert(connection, database.dialect, [told])
        stored = msgspec.structs.replace(told, id=id_)
        await events.mark_decided(connection, database.dialect, [stored], {id_: size}, now)

    await database.write(decided)
    outcome = (State.EXPIRED, Reason.EXPIRED) if over else (State.PENDING, None)
    messages = _messages(id_, targets, size, now, *outcome)
    while part := list(islice(messages, SLICE)):
        await database.write(partial(deliveries.add, dialect=database.dialect, deliveries=part))
    return id_


def _messages(
    event_id: str, targets: Sequence[tuple[str, str]], size: int, now: int, state: State, reason: Reason | None
) -> Iterator[NewDelivery]:
    for number in range(size):
        person, target = targets[number % len(targets)]
        yield NewDelivery(
            id=dated(make_id("campaign", str(number)), now), event_id=event_id, recipient_id=person,
            type="announcement", channel=Channel("push"), target=target, lane=Lane.BULK,
            subject_key=make_id("campaign"), state=state, reason=reason, created_at=now, updated_at=now,
            due_at=now, expires_at=now + DAY, next_check_at=now,
        )  # fmt: skip


async def call_off(system: LocalSystem, event_id: str) -> int:
    """Remove unsent messages as if they had never been planned; return their number."""
    waiting = (
        sa.select(open_delivery.c.id)
        .join(delivery, delivery.c.id == open_delivery.c.id)
        .where(delivery.c.event_id == event_id, open_delivery.c.state == State.PENDING)
        .limit(SLICE)
    )

    async def work(connection: AsyncConnection) -> int:
        ids = list((await connection.execute(waiting.with_for_update(skip_locked=True))).scalars())
        if ids:
            await connection.execute(sa.delete(open_delivery).where(open_delivery.c.id.in_(ids)))
            await connection.execute(sa.delete(delivery).where(delivery.c.id.in_(ids)))
            await events.plan_more(connection, system.database.dialect, {event_id: -len(ids)})
        return len(ids)

    left = 0
    while taken := await system.database.write(work):
        left += taken
    return left
