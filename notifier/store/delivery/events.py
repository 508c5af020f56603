"""Events: the outbox that `accept` writes and `decide` empties."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.events import Event
from notifier.store.core import rows
from notifier.store.core.database import Database
from notifier.store.core.schema import event

_COLUMNS = (
    event.c.id, event.c.source, event.c.source_id, event.c.type, event.c.subject, event.c.occurred_at,
    event.c.accepted_at, event.c.digest, event.c.data, event.c.signal_at,
)  # fmt: skip
_OPEN = (event.c.decided_at.is_(None), event.c.quarantined_at.is_(None))


class NewEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event to be written; `data` is its JSON, `signal_at` when the clock signals it if nobody else has."""

    id: str
    source: str
    source_id: str
    type: str
    subject: str | None
    occurred_at: int
    accepted_at: int
    digest: str
    data: msgspec.Raw
    signal_at: int


async def add(database: Database, events: Sequence[NewEvent]) -> dict[str, str]:
    """Write events in one transaction; events whose id exists stay as they are.

    Returns the digest stored for each id: a digest that differs from the one given means that another event has that
    id.
    """

    async def work(connection: AsyncConnection) -> dict[str, str]:
        return await insert(connection, database.dialect, events)

    return await database.write(work)


async def insert(connection: AsyncConnection, dialect: str, events: Sequence[NewEvent]) -> dict[str, str]:
    """Write events inside the caller's transaction, as `add` does."""
    encoded = rows.encode(events)
    if (await connection.execute(_insert(dialect), {"rows": encoded})).rowcount == len(events):
        return {new.id: new.digest for new in events}
    found = await connection.execute(_digests(dialect), {"rows": encoded})
    return {row.id: row.digest for row in found}


async def take_undecided(connection: AsyncConnection, dialect: str, ids: Sequence[str]) -> list[Event]:
    """Lock undecided events that nobody else is deciding, until the transaction ends."""
    found = await connection.execute(_undecided(dialect), {"rows": rows.ids(ids)})
    return [_event(row) for row in found]


async def get(database: Database, id_: str) -> Event | None:
    """An event; None where there is none."""

    async def work(connection: AsyncConnection) -> Event | None:
        row = (await connection.execute(sa.select(event).where(event.c.id == id_))).first()
        return None if row is None else _event(row)

    return await database.read(work)


async def mark_decided(connection: AsyncConnection, dialect: str, deliveries: dict[str, int], now: int) -> None:
    """Mark events as decided, with the number of deliveries made of each."""
    encoded = rows.encode([{"id": id_, "deliveries": count} for id_, count in deliveries.items()])
    await connection.execute(_decided(dialect), {"rows": encoded, "now": now})


async def advance(
    connection: AsyncConnection, id_: str, deliveries: int, cursor: str | None, now: int, again_at: int | None
) -> None:
    """Note a chunk of an event's audience: so many deliveries more, and up to which recipient. It is closed where there
    is no `again_at`, at which the clock signals it if nobody else does.

    What gets on is not what ends workers: its tries are counted anew.
    """
    more = {"deliveries": sa.func.coalesce(event.c.deliveries, 0) + deliveries, "cursor": cursor, "tries": 0}
    closed = {"decided_at": now if again_at is None else None, "signal_at": again_at}
    await connection.execute(sa.update(event).where(event.c.id == id_).values(**more, **closed))


async def look_again(connection: AsyncConnection, dialect: str, ids: Sequence[str], at: int) -> None:
    """Keep the clock from signalling undecided events until an instant: a worker has them."""
    if ids:
        await connection.execute(_look_again(dialect), {"rows": rows.ids(ids), "look_at": at})


async def due(database: Database, now: int, again_at: int, limit: int) -> dict[str, int]:
    """Undecided events that are due for a signal, with the number of careful tries of each.

    Nobody looks at them again before `again_at`, but for another clock that looks at the same moment: it signals them
    too, which does no harm. While nothing is due nothing is locked and nothing written.
    """
    query = sa.select(event.c.id, event.c.tries).where(event.c.signal_at <= now).order_by(event.c.signal_at)

    async def look(connection: AsyncConnection) -> dict[str, int]:
        return {row.id: row.tries for row in await connection.execute(query.limit(limit))}

    found = await database.read(look)

    async def mark(connection: AsyncConnection) -> None:
        parameters = {"rows": rows.ids(list(found)), "again_at": again_at, "now": now}
        await connection.execute(_signalled(database.dialect), parameters)

    if found:
        await database.write(mark)
    return found


async def begin_try(database: Database, ids: Sequence[str], tries: int, look_at: int) -> list[str]:
    """Count a try before it is made, so that a try which ends the process is counted too; returns the events to try.

    Those are left out that are decided, or that have not been tried `tries` times: the signal is a repeat, and another
    worker's try is under way or over. The clock doesn't judge the others before `look_at`.
    """

    async def work(connection: AsyncConnection) -> list[str]:
        found = await connection.execute(_untried(database.dialect), {"rows": rows.ids(ids), "tries": tries})
        own = list(found.scalars())
        if own:
            await connection.execute(_tried(database.dialect), {"rows": rows.ids(own), "look_at": look_at})
        return own

    return await database.write(work)


async def quarantine(database: Database, ids: Sequence[str], now: int) -> None:
    """Put undecided events aside: nobody signals them until a person redrives them."""

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(_quarantine(database.dialect), {"rows": rows.ids(ids), "now": now})

    await database.write(work)


def _event(row: Any) -> Event:
    return Event(
        id=row.id, source=row.source, source_id=row.source_id, type=row.type, subject=row.subject,
        occurred_at=row.occurred_at, accepted_at=row.accepted_at, digest=row.digest,
        data=msgspec.json.decode(row.data), cursor=row.cursor,
    )  # fmt: skip


@cache
def _insert(dialect: str) -> sa.Insert:
    return rows.insert(dialect, event, _COLUMNS)


@cache
def _digests(dialect: str) -> sa.Select[tuple[str, str]]:
    wanted = rows.batch(dialect, [event.c.id])
    return sa.select(event.c.id, event.c.digest).join(wanted, wanted.c.id == event.c.id)


@cache
def _undecided(dialect: str) -> sa.Select[tuple[str, ...]]:
    wanted = rows.batch(dialect, [event.c.id])
    query = sa.select(event).join(wanted, wanted.c.id == event.c.id).where(*_OPEN)
    return rows.locking(query, dialect, event, skip_locked=True)


@cache
def _decided(dialect: str) -> sa.Update:
    done = rows.batch(dialect, [event.c.id, event.c.deliveries])
    return (
        sa.update(event)
        .where(event.c.id == done.c.id)
        .values(decided_at=sa.bindparam("now"), deliveries=done.c.deliveries, signal_at=None)
    )


@cache
def _untried(dialect: str) -> sa.Select[str]:
    wanted = rows.batch(dialect, [event.c.id])
    query = (
        sa.select(event.c.id)
        .join(wanted, wanted.c.id == event.c.id)
        .where(*_OPEN, event.c.tries == sa.bindparam("tries"))
    )
    return rows.locking(query, dialect, event, skip_locked=True)


@cache
def _tried(dialect: str) -> sa.Update:
    wanted = rows.batch(dialect, [event.c.id])
    return (
        sa.update(event)
        .where(event.c.id == wanted.c.id)
        .values(tries=event.c.tries + 1, signal_at=sa.bindparam("look_at"))
    )


@cache
def _look_again(dialect: str) -> sa.Update:
    wanted = rows.batch(dialect, [event.c.id])
    return sa.update(event).where(event.c.id == wanted.c.id).values(signal_at=sa.bindparam("look_at"))


@cache
def _quarantine(dialect: str) -> sa.Update:
    wanted = rows.batch(dialect, [event.c.id])
    return (
        sa.update(event)
        .where(event.c.id == wanted.c.id, event.c.decided_at.is_(None))
        .values(quarantined_at=sa.bindparam("now"), signal_at=None)
    )


@cache
def _signalled(dialect: str) -> sa.Update:
    wanted = rows.batch(dialect, [event.c.id])
    return (
        sa.update(event)
        .where(event.c.id == wanted.c.id, event.c.decided_at.is_(None), event.c.signal_at <= sa.bindparam("now"))
        .values(signal_at=sa.bindparam("again_at"))
    )
