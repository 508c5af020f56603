"""The log of changes as it is read: forward from a place, in the order of positions, with what each change is about.

What a change is about is joined as it is read, so that an erasure needs nothing of the log. Each bucket has positions
of its own; a place has one for each, and changes of different buckets come in the order of their instants.
"""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.changes import Change, Place
from notifier.domain.deliveries import HeldChannel
from notifier.store.core import rows
from notifier.store.core.buckets import in_each
from notifier.store.core.change_log import delivery_change
from notifier.store.core.database import Database
from notifier.store.core.schema import delivery, event
from notifier.store.delivery import changes as log
from notifier.store.delivery.changes import IN_A_ROW

ROWS: Final = 100
"""Rows of the log that are read in one statement: in quiet hours each has one change, in busy ones some hundred."""


class PastRetention(Exception):
    """A place whose changes are not kept any more, or not there yet."""


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What a change is about: the delivery's notification type, channel and recipient, and its event as its source
    named it."""

    id: str
    type: str
    channel: HeldChannel
    recipient_id: str
    event_id: str
    event_type: str
    source: str
    source_id: str


class LoggedChange(msgspec.Struct, frozen=True, kw_only=True):
    """A change at its position in a bucket's log."""

    bucket: int
    position: int
    change: Change


class Stretch(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of the log: its changes in order, the place behind them, and whether there are more behind that."""

    changes: Sequence[LoggedChange]
    end: Place
    more: bool


async def read(database: Database, place: Place, limit: int, until: Place | None = None) -> Stretch:
    """Read the `limit` changes that follow a place, up to another one where that is given. Raises PastRetention."""

    async def look(bucket: Database) -> list[LoggedChange]:
        at = place[bucket.bucket]
        found = await _read(bucket, at, limit, None if until is None else until[bucket.bucket])
        return [
            LoggedChange(bucket=bucket.bucket, position=position, change=each)
            for position, each in enumerate(found, at)
        ]

    found = await in_each(database, look)
    taken = list(islice(heapq.merge(*found, key=lambda each: each.change.at), limit))
    after = {each.bucket: each.position + 1 for each in taken}
    end = tuple(after.get(bucket, position) for bucket, position in enumerate(place))
    return Stretch(changes=taken, end=end, more=sum(map(len, found)) > len(taken) or len(taken) == limit)


async def of_bucket(bucket: Database, position: int, limit: int) -> tuple[list[Change], int]:
    """The `limit` changes of a bucket that follow a position, and the one behind them. Raises PastRetention."""
    found = await _read(bucket, position, limit, None)
    return found, position + len(found)


async def oldest(database: Database) -> Place:
    """The place of the oldest changes that are kept."""
    return tuple(await in_each(database, oldest_of_bucket))


async def newest(database: Database) -> Place:
    """The place behind all changes so far."""
    return tuple(await in_each(database, _newest))


async def since(database: Database, instant: int) -> Place:
    """The place of the first kept changes of an instant or later. It reads the log up to there."""

    async def find(bucket: Database) -> int:
        end = await _newest(bucket)

        async def work(connection: AsyncConnection) -> int:
            return int(await connection.scalar(_SINCE, {"at": instant}) or end)

        return await bucket.read(work)

    return tuple(await in_each(database, find))


async def subjects(database: Database, changes: Iterable[LoggedChange]) -> dict[str, Subject]:
    """What changes are about, by the delivery's id; deliveries that are not kept any more are left out."""
    ids: defaultdict[int, list[str]] = defaultdict(list)
    for each in changes:
        ids[each.bucket].append(each.change.delivery_id)

    async def look(bucket: Database) -> dict[str, Subject]:
        async def work(connection: AsyncConnection) -> dict[str, Subject]:
            wanted = {"rows": rows.ids(sorted({*ids[bucket.bucket]}))}
            found = await connection.execute(_subjects(bucket.dialect), wanted)
            return {row.id: rows.read(row, Subject) for row in found}

        return await bucket.read(work) if ids[bucket.bucket] else {}

    found: Sequence[Mapping[str, Subject]] = await in_each(database, look)
    return {id_: subject for part in found for id_, subject in part.items()}


async def _read(database: Database, position: int, limit: int, until: int | None) -> list[Change]:
    """The changes of a bucket from a position on, and before another one."""
    end = await _newest(database)
    if position > end:  # of a log that there was before a backup was restored
        raise PastRetention
    end = end if until is None else min(end, until)
    found: list[Change] = []
    while len(found) < limit and (at := position + len(found)) < end:
        part = await _rows(database, at)
        if not part or part[0].position > at:
            raise PastRetention
        for row in part:
            found += log.read(row.changes, row.at)[position + len(found) - row.position :]
    return found[: min(limit, max(end - position, 0))]


async def _rows(database: Database, position: int) -> Sequence[Any]:
    """The rows that have changes from a position on."""

    async def work(connection: AsyncConnection) -> Sequence[Any]:
        places = {"from": position - IN_A_ROW, "position": position, "limit": ROWS}
        return list(await connection.execute(_ROWS, places))

    return await database.read(work)


async def _newest(database: Database) -> int:
    await log.put_in_order(database)
    return await log.end(database)


async def oldest_of_bucket(database: Database) -> int:
    """The position of the oldest change of a bucket that is kept."""
    end = await _newest(database)

    async def work(connection: AsyncConnection) -> int:
        return int(await connection.scalar(_OLDEST) or end)

    return await database.read(work)


_position = delivery_change.c.position
_ROWS: Final = (
    sa.select(*(delivery_change.c[name] for name in ("position", "number", "at", "changes")))
    .where(_position > sa.bindparam("from"), _position + delivery_change.c.number > sa.bindparam("position"))
    .order_by(_position)
    .limit(sa.bindparam("limit"))
)
_OLDEST: Final = sa.select(sa.func.min(_position))
_SINCE: Final = (
    sa.select(_position)
    .where(_position >= log.BEGINNING, delivery_change.c.at >= sa.bindparam("at"))
    .order_by(_position)
    .limit(1)
)


@cache
def _subjects(dialect: str) -> sa.Select[Any]:
    wanted = rows.batch(dialect, [delivery.c.id])
    of_event = (event.c.type.label("event_type"), event.c.source, event.c.source_id)
    return (
        sa.select(*(delivery.c[name] for name in ("id", "type", "channel", "recipient_id", "event_id")), *of_event)
        .select_from(rows.lookup(wanted, delivery, delivery.c.id == wanted.c.id))
        .join(event, event.c.id == delivery.c.event_id)
    )
