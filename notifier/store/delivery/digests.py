"""Digests: deliveries whose content is that of others, which are collected and never sent themselves.

A digest accepts items while it waits for its first send. Its claim fixes its items: in the same transaction, items that
are superseded or too late end. So each item is in one digest, and told once.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.deliveries import Reason, State
from notifier.domain.trace_context import TraceContext, parted
from notifier.store.core import rows
from notifier.store.core.schema import delivery, event, open_delivery, outcome, supersession
from notifier.store.delivery import outcomes
from notifier.store.delivery.outcomes import End
from notifier.store.delivery.supersessions import STARTS_AT, Supersession


class OpenDigest(msgspec.Struct, frozen=True, kw_only=True):
    """A digest that accepts items: its id, group (in `delivery.subject_key`), due time and expiry."""

    id: str
    subject_key: str
    due_at: int
    expires_at: int


class Item(NamedTuple):
    """The data (JSON) of an item's event, and the context of its acceptance, where that is traced."""

    data: str
    trace: TraceContext | None


async def take_open(connection: AsyncConnection, dialect: str, groups: Iterable[str], now: int) -> list[OpenDigest]:
    """Lock the unclaimed digests of these groups until the transaction ends, so that none is claimed meanwhile."""
    wanted = [{"subject_key": group} for group in groups]
    found = await connection.execute(_open(dialect), {"rows": wanted, "now": now})
    return [rows.read(row, OpenDigest, strict=True) for row in found]


async def settle_items(connection: AsyncConnection, dialect: str, digests: Sequence[str], now: int) -> None:
    """Close the items of claimed digests: those that are superseded or too late end, the others go out with them."""
    if not digests:
        return
    mine = [row.id for row in await connection.execute(_open_items(dialect), {"rows": rows.ids(digests)})]
    if not mine:
        return
    held = await outcomes.lock(connection, dialect, mine)
    found = await connection.execute(_outdated(dialect), {"rows": rows.ids(held), "now": now})
    ended = {
        row.id: End(State.EXPIRED, Reason.EXPIRED)
        if row.until is None or row.starts_at > row.until
        else _superseded(row)
        for row in found
    }
    await outcomes.end(connection, dialect, ended, held, now)
    await outcomes.retire(connection, dialect, [each for id_, each in held.items() if id_ not in ended])


async def items(connection: AsyncConnection, dialect: str, digests: Iterable[str]) -> dict[str, tuple[Item, ...]]:
    """The items of digests by the digest's id, in the order in which their events happened."""
    held: dict[str, tuple[Item, ...]] = {}
    for row in await connection.execute(_items(dialect), {"rows": rows.ids(digests)}):
        held[row.digest_id] = (*held.get(row.digest_id, ()), Item(*parted(row.data)))
    return held


def _superseded(row: Any) -> End:
    supersession = Supersession(subject_key=row.subject_key, until=row.until, reason=Reason(row.mark), event_id="")
    return End(supersession.state, supersession.reason)


@cache
def _open(dialect: str) -> sa.Select[Any]:
    wanted = rows.batch(dialect, [open_delivery.c.subject_key])
    there = rows.lookup(wanted, open_delivery, open_delivery.c.subject_key == wanted.c.subject_key)
    query = (
        sa.select(*(open_delivery.c[name] for name in ("id", "subject_key", "due_at")), delivery.c.expires_at)
        .select_from(rows.lookup(there, delivery, delivery.c.id == open_delivery.c.id))
        .where(
            open_delivery.c.state == State.PENDING,
            delivery.c.digest_id == delivery.c.id,
            open_delivery.c.due_at > sa.bindparam("now"),
            # It was attempted before, so its provider may have it.
            open_delivery.c.attempts == 0,
            open_delivery.c.crashes == 0,
        )
        .order_by(open_delivery.c.id)
    )
    return rows.locking(query, dialect, open_delivery)


@cache
def _open_items(dialect: str) -> sa.Select[Any]:
    wanted = rows.batch(dialect, [delivery.c.id])
    return (
        sa.select(open_delivery.c.id)
        .select_from(wanted)
        .join(delivery, delivery.c.digest_id == wanted.c.id)
        .join(open_delivery, open_delivery.c.id == delivery.c.id)
        .where(open_delivery.c.state == State.COLLECTED)
    )


@cache
def _outdated(dialect: str) -> sa.Select[Any]:
    wanted = rows.batch(dialect, [delivery.c.id])
    return (
        sa.select(
            delivery.c.id, delivery.c.subject_key, STARTS_AT.label("starts_at"), supersession.c.until,
            supersession.c.reason.label("mark"),
        )
        .select_from(wanted)
        .join(delivery, delivery.c.id == wanted.c.id)
        .join(event, event.c.id == delivery.c.event_id)
        .outerjoin(supersession, supersession.c.subject_key == delivery.c.subject_key)
        .where(sa.or_(delivery.c.expires_at <= sa.bindparam("now"), supersession.c.until >= STARTS_AT))
    )  # fmt: skip


@cache
def _items(dialect: str) -> sa.Select[Any]:
    """What became of an item instead of going out is an outcome; what goes out has none."""
    wanted = rows.batch(dialect, [delivery.c.id])
    return (
        sa.select(delivery.c.digest_id, event.c.data)
        .select_from(wanted)
        .join(delivery, delivery.c.digest_id == wanted.c.id)
        .join(event, event.c.id == delivery.c.event_id)
        .where(delivery.c.state == State.COLLECTED, ~sa.exists().where(outcome.c.delivery_id == delivery.c.id))
        .order_by(delivery.c.digest_id, event.c.occurred_at, event.c.id)
    )
