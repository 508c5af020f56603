"""Digests: deliveries whose content is that of others, which are collected and never sent themselves.

A digest accepts items while it waits for its first send. Its claim fixes its items: in the same transaction, items that
are superseded or too late end. So each item is in one digest, and told once.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.deliveries import Reason, State
from notifier.store.core import rows
from notifier.store.core.schema import STOPPABLE, delivery, event, supersession
from notifier.store.delivery.supersessions import STARTS_AT, Supersession


class OpenDigest(msgspec.Struct, frozen=True, kw_only=True):
    """A digest that accepts items: its id, group (in `delivery.about`), due time and expiry."""

    id: str
    about: str
    due_at: int
    expires_at: int


async def take_open(connection: AsyncConnection, dialect: str, groups: Iterable[str], now: int) -> list[OpenDigest]:
    """Lock the unclaimed digests of these groups until the transaction ends, so that none is claimed meanwhile."""
    wanted = rows.encode([{"about": group} for group in groups])
    found = await connection.execute(_open(dialect), {"rows": wanted, "now": now})
    return [rows.read(row, OpenDigest, strict=True) for row in found]


async def settle_items(connection: AsyncConnection, dialect: str, digests: Sequence[str], now: int) -> None:
    """End items of claimed digests that are superseded or too late."""
    if not digests:
        return
    found = await connection.execute(_outdated(dialect), {"rows": rows.ids(digests), "now": now})
    ended = [
        {"id": row.id, "state": State.EXPIRED, "reason": Reason.EXPIRED}
        if row.until is None or row.starts_at > row.until
        else _ended(row)
        for row in found
    ]
    if ended:
        await connection.execute(_end(dialect), {"rows": rows.encode(ended), "now": now})


async def items(connection: AsyncConnection, dialect: str, digests: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The data (JSON) of digests' items by the digest's id, in the order in which their events happened."""
    held: dict[str, tuple[str, ...]] = {}
    for row in await connection.execute(_items(dialect), {"rows": rows.ids(digests)}):
        held[row.digest_id] = (*held.get(row.digest_id, ()), row.data)
    return held


def _ended(row: Any) -> dict[str, str]:
    supersession = Supersession(about=row.about, until=row.until, reason=Reason(row.mark), event_id="")
    return {"id": row.id, "state": supersession.state, "reason": supersession.reason}


@cache
def _open(dialect: str) -> sa.Select[Any]:
    wanted = rows.batch(dialect, [delivery.c.about])
    query = (
        sa.select(*(delivery.c[name] for name in OpenDigest.__struct_fields__))
        .select_from(wanted)
        .join(delivery, delivery.c.about == wanted.c.about)
        .where(
            sa.text(STOPPABLE),
            delivery.c.state == State.PENDING,
            delivery.c.digest_id == delivery.c.id,
            delivery.c.due_at > sa.bindparam("now"),
            # Tried before, it may be with its provider.
            delivery.c.attempts == 0,
            delivery.c.crashes == 0,
        )
        .order_by(delivery.c.id)
    )
    return rows.locking(query, dialect, delivery)


def _held(dialect: str, *columns: sa.ColumnElement[Any]) -> tuple[sa.Select[Any], sa.FromClause]:
    wanted = rows.batch(dialect, [delivery.c.id])
    joined = wanted.join(delivery, delivery.c.digest_id == wanted.c.id).join(event, event.c.id == delivery.c.event_id)
    return sa.select(*columns).where(delivery.c.state == State.COLLECTED), joined


@cache
def _outdated(dialect: str) -> sa.Select[Any]:
    query, joined = _held(
        dialect, delivery.c.id, delivery.c.about, STARTS_AT.label("starts_at"), supersession.c.until,
        supersession.c.reason.label("mark"),
    )  # fmt: skip
    return query.select_from(joined.outerjoin(supersession, supersession.c.about == delivery.c.about)).where(
        sa.or_(delivery.c.expires_at <= sa.bindparam("now"), supersession.c.until >= STARTS_AT)
    )


@cache
def _items(dialect: str) -> sa.Select[Any]:
    query, joined = _held(dialect, delivery.c.digest_id, event.c.data)
    return query.select_from(joined).order_by(delivery.c.digest_id, event.c.occurred_at, event.c.id)


@cache
def _end(dialect: str) -> sa.Update:
    ended = rows.batch(dialect, [delivery.c.id, delivery.c.state, delivery.c.reason])
    return (
        sa.update(delivery)
        .where(delivery.c.id == ended.c.id, delivery.c.state == State.COLLECTED)
        .values(state=ended.c.state, reason=ended.c.reason, updated_at=sa.bindparam("now"))
    )
