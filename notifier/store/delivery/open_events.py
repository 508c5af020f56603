"""Open events: when the clock looks at them next, how often they were tried, and which were put aside."""

from collections.abc import Sequence
from functools import cache

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.selectable import NamedFromClause

from notifier.store.core import rows
from notifier.store.core.database import Database
from notifier.store.core.schema import open_event


async def looks(database: Database) -> tuple[int, int] | None:
    """The instants at which the clock looks at the first and at the last of the undecided events; None where there is
    none."""
    at = open_event.c.next_check_at
    # One by one: only of a single extreme does SQLite look no further than the end of the index.
    ends = [sa.select(end(at)).where(at.is_not(None)).scalar_subquery() for end in (sa.func.min, sa.func.max)]

    async def work(connection: AsyncConnection) -> tuple[int, int] | None:
        first, last = (await connection.execute(sa.select(*ends))).one()
        return None if first is None else (first, last)

    return await database.read(work)


async def look_again(connection: AsyncConnection, dialect: str, ids: Sequence[str], at: int) -> None:
    """Keep the clock from signalling undecided events until an instant: a worker has them."""
    if ids:
        await connection.execute(_look_again(dialect), {"rows": rows.ids(ids), "look_at": at})


async def put_off(database: Database, ids: Sequence[str], at: int) -> None:
    """Have the clock signal undecided events at an instant. Their tries are counted anew: what they wait for is not
    what ends workers."""

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(_put_off(database.dialect), {"rows": rows.ids(ids), "look_at": at})

    if ids:
        await database.write(work)


async def due(database: Database, now: int, again_at: int, limit: int) -> dict[str, int]:
    """Undecided events that are due for a signal, with the number of careful tries of each.

    Nobody looks at them again before `again_at`, but for another clock that looks at the same moment: it signals them
    too, which does no harm. While nothing is due nothing is locked and nothing written.
    """
    own = open_event.c
    query = sa.select(own.id, own.tries).where(own.next_check_at <= now).order_by(own.next_check_at)

    async def look(connection: AsyncConnection) -> dict[str, int]:
        return {row.id: row.tries for row in await connection.execute(query.limit(limit))}

    async def mark(connection: AsyncConnection) -> None:
        given = {"rows": rows.ids(found), "again_at": again_at, "now": now}
        await connection.execute(_signalled(database.dialect), given)

    if found := await database.read(look):
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


def _batch(dialect: str) -> NamedFromClause:
    return rows.batch(dialect, [open_event.c.id])


@cache
def _untried(dialect: str) -> sa.Select[str]:
    wanted = _batch(dialect)
    query = (
        sa.select(open_event.c.id)
        .select_from(rows.lookup(wanted, open_event, open_event.c.id == wanted.c.id))
        .where(open_event.c.quarantined_at.is_(None), open_event.c.tries == sa.bindparam("tries"))
    )
    return rows.locking(query, dialect, open_event, skip_locked=True)


@cache
def _tried(dialect: str) -> sa.Update:
    tried = {"tries": open_event.c.tries + 1, "next_check_at": sa.bindparam("look_at")}
    return rows.update(open_event, _batch(dialect)).values(tried)


@cache
def _look_again(dialect: str) -> sa.Update:
    return rows.update(open_event, _batch(dialect)).values(next_check_at=sa.bindparam("look_at"))


@cache
def _put_off(dialect: str) -> sa.Update:
    return rows.update(open_event, _batch(dialect)).values(tries=0, next_check_at=sa.bindparam("look_at"))


@cache
def _quarantine(dialect: str) -> sa.Update:
    return rows.update(open_event, _batch(dialect)).values(quarantined_at=sa.bindparam("now"), next_check_at=None)


@cache
def _signalled(dialect: str) -> sa.Update:
    is_due = open_event.c.next_check_at <= sa.bindparam("now")
    return rows.update(open_event, _batch(dialect), is_due).values(next_check_at=sa.bindparam("again_at"))
