"""Leases on what a worker took as it decided it: one row for all of a queue, and none for each delivery.

A delivery under such a lease has neither an open row nor an outcome. Whoever gives it one takes it off the lease's
count, under the lease's lock; the last one takes the row away.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from functools import cache
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.deliveries import Reason, State
from notifier.store.core import rows
from notifier.store.core.database import Database
from notifier.store.core.schema import delivery, lease
from notifier.store.core.status import NOW, status_of
from notifier.store.delivery import outcomes
from notifier.store.delivery.outcomes import Opened


class BatchLease(msgspec.Struct, frozen=True, kw_only=True):
    """A lease on deliveries by one channel until an instant; `waiting` of them have no outcome yet."""

    token: str
    channel: str
    ends_at: int
    waiting: int
    deliveries: list[str]


async def add(connection: AsyncConnection, dialect: str, leases: Iterable[BatchLease]) -> None:
    """Write leases on deliveries that this transaction has written."""
    if new := list(leases):
        await connection.execute(_insert(dialect), {"rows": new})


async def take_off(connection: AsyncConnection, dialect: str, tokens: Iterable[str]) -> bool:
    """Take deliveries off the leases with these tokens, a token for each; whether all were on a lease still.

    The leases are locked until the transaction ends. Who hasn't locked them before may be told no where others take
    deliveries off at the same moment.
    """
    counts = Counter(tokens)
    taken = {"rows": [{"token": token, "waiting": counts[token]} for token in sorted(counts)]}
    found = (await connection.execute(_end(dialect), taken)).rowcount
    if found < len(counts):
        found += (await connection.execute(_take_off(dialect), taken)).rowcount
    return found == len(counts)


async def renew(connection: AsyncConnection, dialect: str, tokens: Collection[str], ends_at: int) -> set[str]:
    """Extend leases to an instant; returns the tokens of those that there are still."""
    wanted = {"rows": _tokens(tokens)}
    if (await connection.execute(_renew(dialect), wanted | {"ends_at": ends_at})).rowcount == len(set(tokens)):
        return set(tokens)
    return set((await connection.execute(_there(dialect), wanted)).scalars())


async def lock(connection: AsyncConnection, dialect: str, ids: Collection[str]) -> None:
    """Lock the leases on these deliveries, which the caller has locked, until the transaction ends."""
    found = await connection.execute(_on(dialect), {"rows": rows.ids(ids)})
    if tokens := set(found.scalars()):
        await connection.execute(_lock(dialect), {"rows": _tokens(tokens)})


async def waiting(connection: AsyncConnection) -> list[str]:
    """The ids of all deliveries under leases; some may have an outcome already."""
    found = await connection.execute(sa.select(lease.c.deliveries))
    return [id_ for document in found.scalars() for id_ in msgspec.json.decode(document, type=list[str])]


async def end_expired(database: Database, now: int, limit: int) -> int:
    """Make deliveries unknown whose lease expired, since the provider may have them; returns how many there were."""
    expired = sa.select(lease.c.token).where(lease.c.ends_at <= now).order_by(lease.c.ends_at).limit(limit)

    async def look(connection: AsyncConnection) -> Sequence[str]:
        return (await connection.execute(expired)).scalars().all()

    async def work(connection: AsyncConnection) -> int:
        ended = {"rows": _tokens(found)}
        held = list(await connection.execute(_ended(database.dialect), ended | {"now": now}))
        ids = [id_ for row in held for id_ in msgspec.json.decode(row.deliveries, type=list[str])]
        lost = list((await connection.execute(_unsettled(database.dialect), {"rows": rows.ids(ids)})).scalars())
        unknown = [
            Opened(
                id=id_, state=State.UNKNOWN, reason=Reason.LEASE_EXPIRED, next_check_at=now, attempts=1, crashes=1
            )
            for id_ in lost
        ]  # fmt: skip
        await connection.execute(_delete(database.dialect), {"rows": _tokens(row.token for row in held)})
        await outcomes.lose(connection, dict.fromkeys(lost, 1), now)
        return await outcomes.open_(connection, database.dialect, unknown, now)

    found = await database.read(look)
    return await database.write(work) if found else 0


def _tokens(tokens: Iterable[str]) -> list[dict[str, str]]:
    return [{"token": token} for token in sorted(set(tokens))]


@cache
def _insert(dialect: str) -> sa.Insert:
    return rows.append(dialect, lease, list(lease.c))


@cache
def _take_off(dialect: str) -> sa.Update:
    taken = rows.batch(dialect, [lease.c.token, lease.c.waiting])
    left = lease.c.waiting - taken.c.waiting
    return rows.update(lease, taken, lease.c.waiting > taken.c.waiting).values(waiting=left)


@cache
def _end(dialect: str) -> sa.Delete:
    taken = rows.batch(dialect, [lease.c.token, lease.c.waiting])
    return rows.delete(dialect, lease, taken, lease.c.waiting == taken.c.waiting)


@cache
def _renew(dialect: str) -> sa.Update:
    return rows.update(lease, rows.batch(dialect, [lease.c.token])).values(ends_at=sa.bindparam("ends_at"))


@cache
def _there(dialect: str) -> sa.Select[str]:
    wanted = rows.batch(dialect, [lease.c.token])
    return sa.select(lease.c.token).select_from(rows.lookup(wanted, lease, lease.c.token == wanted.c.token))


@cache
def _lock(dialect: str) -> sa.Select[str]:
    return rows.locking(_there(dialect).order_by(lease.c.token), dialect, lease)


@cache
def _on(dialect: str) -> sa.Select[Any]:
    wanted = rows.batch(dialect, [delivery.c.id])
    return sa.select(delivery.c.lease_token).join(wanted, wanted.c.id == delivery.c.id).where(
        delivery.c.lease_token.is_not(None)
    )  # fmt: skip


@cache
def _ended(dialect: str) -> sa.Select[Any]:
    wanted = rows.batch(dialect, [lease.c.token])
    query = (
        sa.select(lease.c.token, lease.c.deliveries)
        .select_from(rows.lookup(wanted, lease, lease.c.token == wanted.c.token))
        .where(lease.c.ends_at <= sa.bindparam("now"))
    )
    return rows.locking(query, dialect, lease, skip_locked=True)


@cache
def _unsettled(dialect: str) -> sa.Select[str]:
    """Which of a batch of deliveries nobody has moved on."""
    return status_of(dialect, ("id",)).where(NOW["batch_token"].is_not(None))


@cache
def _delete(dialect: str) -> sa.Delete:
    return rows.delete(dialect, lease, rows.batch(dialect, [lease.c.token]))
