"""Partitions of what is over: on PostgreSQL the large tables are divided by the instants with which their ids begin, so
that a stretch of days goes by dropping its tables, whatever number of rows they have.

A range of instants is made ahead, for all tables of a group at once; the default partition takes what lies in none, so
that a row always has a place. Nothing but this module and what drops stretches knows of it: rows are written and looked
up by the tables' own names. MariaDB's look-ups by a second index become 2 to 10 times slower with forty partitions, and
SQLite has none; there rows are removed in chunks, as all over where a stretch isn't as a whole too old.
"""

import asyncio
import random
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple, TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.clock import DAY
from notifier.domain.errors import StoreUnavailable
from notifier.domain.ids import first_id, instant_of
from notifier.domain.retention import Part
from notifier.store.core.database import Database
from notifier.store.core.schema import decision, delivery, delivery_note, event, outcome, plan

GROUPS: Final[Mapping[Part, Sequence[sa.Table]]] = {
    Part.DECISIONS: (decision,), Part.DELIVERIES: (delivery, outcome, delivery_note), Part.EVENTS: (event, plan)
}  # fmt: skip
"""The tables that are divided, by the part of the policy that says for how long they are kept."""

AHEAD: Final = 7 * DAY
"""Milliseconds for which partitions are there beforehand: for so long the clock may be away."""
MOST: Final = 10
"""Stretches into which a period is divided at most: a statement that may find its rows in all of them is planned for
each, in 0.1 to 0.2 ms."""
FOREVER: Final = 365 * DAY
"""Milliseconds of a stretch of what is kept for ever: few partitions, and yet a default one that stays small, which is
read whole when another is made."""

LOCK_TIMEOUT: Final = 50
"""Milliseconds to wait for a lock on a whole table: everybody who comes meanwhile waits behind it."""
LOCK_TRIES: Final = 20
LOCK_PAUSE: Final = 1.0
"""Seconds between two attempts at such a lock at most: others go first."""
_LOCKED: Final = "55P03"
"""SQLSTATE of a lock that wasn't to be had in time."""

_BOUND: Final = re.compile(r"FOR VALUES FROM \((?:'([0-9a-f-]+)'|MINVALUE)\) TO \('([0-9a-f-]+)'\)")
_STRETCHES: Final = sa.text(
    "SELECT c.relname AS name, pg_get_expr(c.relpartbound, c.oid) AS bound FROM pg_inherits i"
    " JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = to_regclass(:table)"
)
T = TypeVar("T")


class Stretch(NamedTuple):
    """A range of instants in epoch milliseconds, the last one not included, with the partitions that hold it by table.
    The first stretch of an upgraded database begins at 0."""

    begins: int
    ends: int

    @property
    def bounds(self) -> tuple[str, str]:
        """The least id that lies in it, and the least one behind it."""
        return first_id(self.begins), first_id(self.ends)


def length(period: int | None) -> int:
    """Milliseconds of a stretch of what is kept so long, in whole days; None is for ever."""
    return FOREVER if period is None else max(period // MOST // DAY, 1) * DAY


def name_of(table: sa.Table, stretch: Stretch) -> str:
    """The name of the partition of a table that holds a stretch made by `make_ahead`."""
    return f"{table.name}_{datetime.fromtimestamp(stretch.begins // 1000, UTC):%Y%m%d}"


async def stretches(connection: AsyncConnection, table: sa.Table) -> dict[Stretch, str]:
    """The names of a table's partitions by what they hold, in order, without the default one."""
    found: dict[Stretch, str] = {}
    for row in await connection.execute(_STRETCHES, {"table": table.name}):
        if bound := _BOUND.fullmatch(row.bound or ""):  # none of one that another clock drops at this moment
            begins, ends = (0 if each is None else instant_of(each.replace("-", "")) for each in bound.groups())
            found[Stretch(begins, ends)] = row.name
    return dict(sorted(found.items()))


async def make_ahead(database: Database, part: Part, period: int | None, now: int) -> list[Stretch]:
    """Make what is missing of the partitions of a part that is kept so long; returns all stretches, the oldest
    first."""
    table = GROUPS[part][0]

    async def look(connection: AsyncConnection) -> list[Stretch]:
        return list(await stretches(connection, table))

    async def work(connection: AsyncConnection) -> list[Stretch]:
        # Another clock may be at it: whoever has the table looks, and then makes what is missing still.
        await connection.execute(sa.text(f"LOCK TABLE {table.name} IN ACCESS EXCLUSIVE MODE"))
        there = await look(connection)
        made = _missing(there, length(period), now)
        await make(connection, part, made)
        return there + made

    there = await database.read(look)
    return await briefly(database, work) if _missing(there, length(period), now) else there


async def make(connection: AsyncConnection, part: Part, new: Iterable[Stretch]) -> None:
    """Make partitions of a part. Nothing that lies in them may be there yet."""
    for stretch in new:
        first, last = stretch.bounds
        for table in GROUPS[part]:
            name = name_of(table, stretch)
            ddl = f"CREATE TABLE {name} PARTITION OF {table.name} FOR VALUES FROM ('{first}') TO ('{last}')"
            await connection.execute(sa.text(ddl))


async def briefly(database: Database, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
    """The result of `work`, which locks whole tables, in a transaction; it is tried again where others hold them.

    Raises StoreUnavailable where they never let go of them.
    """

    async def impatient(connection: AsyncConnection) -> T:
        await connection.execute(sa.text(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT}"))
        return await work(connection)

    for left in reversed(range(LOCK_TRIES)):
        try:
            return await database.write(impatient)
        except StoreUnavailable as error:
            if not left or getattr(getattr(error.__cause__, "orig", None), "sqlstate", None) != _LOCKED:
                raise
        await asyncio.sleep(random.uniform(0, LOCK_PAUSE))  # noqa: S311 (jitter is no secret)
    raise AssertionError  # pragma: no cover (the last attempt returns or raises)


def _missing(there: Sequence[Stretch], long: int, now: int) -> list[Stretch]:
    """The stretches to be made, so that those that there are reach far enough ahead. The first one begins with the
    next day: what is there of this one lies in the default partition."""
    begins = max(there[-1].ends if there else 0, (now // DAY + 1) * DAY)
    made: list[Stretch] = []
    while begins < now + AHEAD:
        made.append(Stretch(begins, (begins // long + 1) * long))
        begins = made[-1].ends
    return made


def _divide(table: sa.Table) -> None:
    """Have the table's default partition made with it."""
    ddl = sa.DDL(f"CREATE TABLE {table.name}_default PARTITION OF {table.name} DEFAULT")  # type: ignore[no-untyped-call]
    sa.event.listen(table, "after_create", ddl.execute_if(dialect="postgresql"))


for _group in GROUPS.values():
    for _table in _group:
        _divide(_table)
