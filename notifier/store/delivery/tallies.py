"""Tallies: how many events and deliveries there are, written down as they change, so that no audit counts what is over.

Each transaction that changes the books appends rows of its own, and nobody updates one: no transaction waits for
another. `fold` replaces rows by their sum from time to time. Once a day is sealed (`seals`), its rows are carried over:
they become rows of no day (`CARRIED`), so that an audit reads as many sums after years as after a month.
"""

import secrets
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from typing import Any, Final, Literal

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.clock import DAY, to_datetime
from notifier.store.core import rows
from notifier.store.core.books import tally
from notifier.store.core.database import Database

CARRIED: Final = -1
"""The day of what was carried over from sealed days."""

Kind = tuple[str, str, str, str]
"""What a sum is of: part, state, channel and reason."""

_KEY = (tally.c.day, tally.c.part, tally.c.state, tally.c.channel, tally.c.reason)


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """So many events or deliveries of a day more in a state; fewer where `number` is negative.

    An event is `accepted` and then `decided`, and `planned` are the deliveries made of it, all on the day of its
    acceptance (`day`). A delivery counts on the day with which its id is dated.
    """

    day: int
    part: Literal["event", "delivery"]
    state: str
    channel: str = ""
    reason: str = ""
    number: int


def day(instant: int) -> int:
    """The day of an instant: a number since 1970, in UTC."""
    return instant // DAY


def date_of(day: int) -> str:
    """A day as a date, such as 2026-03-09."""
    return to_datetime(day * DAY).date().isoformat()


async def add(connection: AsyncConnection, dialect: str, tallies: Sequence[Tally]) -> None:
    """Append tallies, those of one day, part, state, channel and reason as one row."""
    sums: dict[tuple[Any, ...], int] = defaultdict(int)
    for each in tallies:
        sums[each.day, each.part, each.state, each.channel, each.reason] += each.number
    made = [_row(key, number) for key, number in sums.items() if number]
    if made:
        await connection.execute(_insert(dialect), {"rows": made})


async def fold(database: Database, limit: int) -> int:
    """Replace rows of equal keys by their sum; returns how many rows fewer there are.

    At most `limit` rows are read, of the day that has most to merge: more than a day has different keys, some hundred.
    Whoever reads meanwhile has the same sums. Of two who fold at once each takes rows of its own.
    """

    async def look(connection: AsyncConnection) -> int | None:
        found: int | None = await connection.scalar(_FULLEST)
        return found

    fullest = await database.read(look)
    if fullest is None:
        return 0

    async def work(connection: AsyncConnection) -> int:
        of: dict[tuple[Any, ...], list[Any]] = defaultdict(list)
        for row in await connection.execute(_UNLOCKED_OF_A_DAY, {"day": fullest, "limit": limit}):
            of[row.day, row.part, row.state, row.channel, row.reason].append(row)
        merged = {key: same for key, same in of.items() if len(same) > 1}
        if not merged:
            return 0
        gone = [row.id for same in merged.values() for row in same]
        await connection.execute(_delete(database.dialect), {"rows": rows.ids(gone)})
        sums = {key: sum(row.number for row in same) for key, same in merged.items()}
        made = [_row(key, number) for key, number in sums.items() if number]
        if made:
            await connection.execute(_insert(database.dialect), {"rows": made})
        return len(gone) - len(made)

    return await database.write(work)


async def carry_over(connection: AsyncConnection, dialect: str, day: int, limit: int) -> dict[Kind, int]:
    """Make all rows of a day rows of no day, for whoever reads in one moment with the next; returns their sums.

    At most `limit` rows are read at once. Where somebody merges rows of the day meanwhile, this waits for their sum.
    """
    whole: dict[Kind, int] = defaultdict(int)
    while found := list(await connection.execute(_EACH_OF_A_DAY, {"day": day, "limit": limit})):
        await connection.execute(_delete(dialect), {"rows": rows.ids(row.id for row in found)})
        for row in found:
            whole[row.part, row.state, row.channel, row.reason] += row.number
    carried = {kind: number for kind, number in whole.items() if number}
    if carried:
        made = [_row((CARRIED, *kind), number) for kind, number in carried.items()]
        await connection.execute(_insert(dialect), {"rows": made})
    return carried


def sums() -> sa.Select[Any]:
    """The sum of all days for each part, state, channel and reason, as a query to be part of another one."""
    kinds = _KEY[1:]
    number = sa.cast(sa.func.sum(tally.c.number), sa.BigInteger)  # PostgreSQL sums to a decimal
    return sa.select(*kinds, number.label("number")).group_by(*kinds)


def _row(key: tuple[Any, ...], number: int) -> dict[str, Any]:
    return {"id": secrets.token_hex(16), **{c.name: each for c, each in zip(_KEY, key, strict=True)}, "number": number}


_same = sa.select(tally.c.day, sa.func.count().label("number")).group_by(*_KEY).having(sa.func.count() > 1).subquery()
_FULLEST = (
    sa.select(_same.c.day)
    .group_by(_same.c.day)
    .order_by((sa.func.sum(_same.c.number) - sa.func.count()).desc())
    .limit(1)
)  # fmt: skip
_OF_A_DAY = sa.select(tally).where(tally.c.day == sa.bindparam("day")).limit(sa.bindparam("limit"))
_UNLOCKED_OF_A_DAY = _OF_A_DAY.with_for_update(skip_locked=True)
_EACH_OF_A_DAY = _OF_A_DAY.with_for_update()


@cache
def _insert(dialect: str) -> sa.Insert:
    return rows.append(dialect, tally, list(tally.c))


@cache
def _delete(dialect: str) -> sa.Delete:
    return rows.delete(dialect, tally, rows.batch(dialect, [tally.c.id]))
