"""Drop a stretch of what is over and too old: its partitions, whatever number of rows they have, and in a moment.

The few rows of it that stay (what is open, what was made later under an older id) are copied to the default partition
in the same transaction, which is also that of all tables of the part: a clock that is killed leaves all of it or none.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.clock import elapsed
from notifier.domain.ids import next_id
from notifier.domain.retention import Part
from notifier.store.core import partitions, rows
from notifier.store.core.database import Database
from notifier.store.core.partitions import GROUPS, Stretch
from notifier.store.core.removal import retention_mark
from notifier.store.core.schema import delivery, earlier_delivery, open_delivery, open_event
from notifier.store.delivery import over

STAY_AT_MOST: Final = 10_000
"""Rows that are copied while everybody waits: in some 100 ms. With more of them a stretch is left for a later look."""

SLICE: Final = 10_000
"""Rows of which one statement looks what stays: in some 60 ms."""


class Dropped(NamedTuple):
    """How many rows of the part's first table went, and for how many seconds nobody else had the tables."""

    number: int
    held: float


async def begins(database: Database, part: Part, period: int, before: int) -> int:
    """The instant up to which what is older than another goes by itself: the beginning of the stretch that holds that
    one, where it is of the length that belongs to the period, for such a stretch is dropped soon."""
    found = await database.read(lambda connection: partitions.stretches(connection, GROUPS[part][0]))
    soon = (each.begins for each in found if each.begins <= before < each.ends)
    return next((at for at in soon if at > before - partitions.length(period)), before)


async def drop(database: Database, part: Part, stretch: Stretch, before: int, now: int) -> Dropped | None:
    """Remove what is over of a stretch.

    None where more has to stay than can be copied, or another clock was quicker. Raises StoreUnavailable where the
    tables can't be had for a moment.
    """
    looked = await _look(database, part, stretch, before, now)
    if looked is None:
        return None
    number, copied, staying = looked
    locked_at = 0.0

    async def work(connection: AsyncConnection) -> bool:
        nonlocal locked_at
        names = ", ".join(table.name for table in GROUPS[part])
        await connection.execute(sa.text(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE"))
        locked_at = elapsed()
        parts = {table: (await partitions.stretches(connection, table)).get(stretch) for table in GROUPS[part]}
        if None in parts.values():
            return False
        late = (await connection.execute(_late(part, stretch), {"now": now})).scalars()
        kept = [*staying, *late]
        for table, name in parts.items():
            await _replace(connection, table, str(name), kept)
        mark = {"name": f"{part}/dropped", "at": stretch.ends, "id": ""}
        await connection.execute(rows.upsert("postgresql", retention_mark, list(retention_mark.c)), {"rows": [mark]})
        return True

    if not await partitions.briefly(database, work):
        return None
    dropped = Dropped(number - copied, elapsed() - locked_at)
    if part == Part.DELIVERIES:
        await database.write(lambda connection: _forget_earlier(connection, stretch))
    return dropped


async def _look(
    database: Database, part: Part, stretch: Stretch, before: int, now: int
) -> tuple[int, int, Sequence[str]] | None:
    """How many rows a stretch has, how many of them stay, and the ids by which they do; None where those are too many.
    Nothing is locked, and others go first: after each slice comes a pause as long as it took."""
    number = copied = 0
    staying: list[str] = []
    first, end = stretch.bounds
    while first < end:
        began = elapsed()
        last, some, kept, ids = await database.look(
            partial(_staying, part=part, first=first, end=end, before=before, now=now)
        )
        first, number, copied = last, number + some, copied + kept
        staying += ids
        if copied > STAY_AT_MOST or len(staying) > STAY_AT_MOST:
            return None
        await asyncio.sleep(elapsed() - began)
    return number, copied, staying


async def _staying(
    connection: AsyncConnection, part: Part, first: str, end: str, before: int, now: int
) -> tuple[str, int, int, Sequence[str]]:
    """Where the slice that begins with `first` ends, how many rows it has, and which stay."""
    table = GROUPS[part][0]
    key = next(iter(table.primary_key))
    behind = sa.select(key).where(key >= first, key < end).order_by(key).offset(SLICE).limit(1)
    found = await connection.scalar(behind)
    last = end if found is None else next_id(found)
    count = sa.select(sa.func.count()).select_from(table).where(key >= first, key < last)
    if part == Part.DELIVERIES:
        query: sa.Select[Any] | sa.CompoundSelect[Any] = over.open_deliveries_between(first, last, before)
    else:
        between = over.open_events_between if part == Part.DECISIONS else over.wanted_events_between
        query = between(first, last)
    number = int((await connection.execute(count)).scalar_one())
    staying = (await connection.execute(query.limit(STAY_AT_MOST + 1), {"now": now})).scalars().all()
    some = count.where(key == sa.any_(sa.bindparam("staying", staying, type_=ARRAY(key.type))))
    return last, number, int((await connection.execute(some)).scalar_one()), staying


def _late(part: Part, stretch: Stretch) -> sa.CompoundSelect[Any]:
    """The ids that came since the instant `now` at which it was looked, or are open now: few, and found by an index."""
    first, last = stretch.bounds
    id_ = delivery.c.id if part == Part.DELIVERIES else delivery.c.event_id
    open_ = (open_delivery if part == Part.DELIVERIES else open_event).c.id
    return sa.union(
        sa.select(open_).where(open_ >= first, open_ < last),
        sa.select(id_).where(delivery.c.created_at >= sa.bindparam("now"), id_ >= first, id_ < last),
    )


async def _replace(connection: AsyncConnection, table: sa.Table, name: str, staying: Sequence[str]) -> None:
    """Drop a partition; what stays of it goes where there is none for it."""
    key = next(iter(table.primary_key))
    await connection.execute(sa.text(f"ALTER TABLE {table.name} DETACH PARTITION {name}"))
    if staying:
        columns = ", ".join(f'"{column.name}"' for column in table.columns)
        copy = sa.text(
            f"INSERT INTO {table.name} ({columns}) SELECT {columns} FROM {name} WHERE {key.name} = ANY(:staying)"  # noqa: S608 (our names)
        ).bindparams(sa.bindparam("staying", type_=ARRAY(key.type)))
        await connection.execute(copy, {"staying": list(staying)})
    await connection.execute(sa.text(f"DROP TABLE {name}"))


async def _forget_earlier(connection: AsyncConnection, stretch: Stretch) -> None:
    """Forget the ids of before of deliveries that are gone. They have no index by the present ones; where there never
    were any, there is nothing to look through."""
    first, last = stretch.bounds
    gone = ~sa.select(sa.literal(1)).where(delivery.c.id == earlier_delivery.c.id).exists()
    own = earlier_delivery.c.id >= first, earlier_delivery.c.id < last
    await connection.execute(sa.delete(earlier_delivery).where(*own, gone))
