"""The log of changes: each transaction that moves deliveries appends a row of its own, and nobody waits for another.

A row gets its position only once it is committed, from whoever reads next or the clock, under a lock and in the order
of ids. Ids alone won't do: they are given out before the commit, and a reader that goes by them misses what is
committed late. Of one delivery ids have the order of its moves, since each move is written under the delivery's lock;
so have positions, for a row that is seen was written after those before it had been committed.
"""

from collections.abc import Iterable
from functools import cache
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.changes import TOLD, Change
from notifier.domain.deliveries import State
from notifier.store.core import rows
from notifier.store.core.change_log import change_order, delivery_change
from notifier.store.core.database import Database

IN_A_ROW: Final = 500
"""Changes in a row of the log at most, so that a reader finds the row of a position near by."""

TOGETHER: Final = 1_000
"""Rows that get their positions in one transaction: some 20 ms."""

BEGINNING: Final = 1
"""The position of the first change."""

_ORDER: Final = 1
"""The id of the only row of `change_order`."""


async def add(connection: AsyncConnection, changes: Iterable[Change]) -> None:
    """Append those of some moves that are told; the caller has locked or written their deliveries."""
    told = [each for each in changes if each.state in TOLD]
    for start in range(0, len(told), IN_A_ROW):
        part = told[start : start + IN_A_ROW]
        at = max(each.at for each in part)
        await connection.execute(_APPEND, {"at": at, "number": len(part), "changes": write(part, at)})


def write(changes: Iterable[Change], at: int) -> str:
    """The document of a row's changes, of which the last was at an instant."""
    return msgspec.json.encode([_short(each, at) for each in changes]).decode()


def read(document: str, at: int) -> list[Change]:
    """The changes of a row."""
    return [_long(each, at) for each in _DECODER.decode(document)]


async def put_in_order(database: Database) -> None:
    """Give every committed change of a bucket its position."""
    while await _is_unordered(database) and await _number(database) == TOGETHER:
        pass


async def end(database: Database) -> int:
    """The position that the next change of a bucket will get."""

    async def work(connection: AsyncConnection) -> int:
        return int(await connection.scalar(_NEXT) or BEGINNING)

    return await database.read(work)


async def _is_unordered(database: Database) -> bool:
    async def work(connection: AsyncConnection) -> bool:
        return (await connection.execute(_UNORDERED, {"limit": 1})).first() is not None

    return await database.read(work)


async def _number(database: Database) -> int:
    """Give the first rows without a position theirs; returns how many there were."""

    async def work(connection: AsyncConnection) -> int:
        new = {"id": _ORDER, "next": BEGINNING}
        held = await rows.hold(connection, database.dialect, change_order, _NEXT, new)
        position = BEGINNING if held is None else held.next
        given = []
        for row in await connection.execute(_UNORDERED, {"limit": TOGETHER}):
            given.append({"id": row.id, "position": position})
            position += row.number
        if given:
            await connection.execute(_place(database.dialect), {"rows": given})
            await connection.execute(sa.update(change_order).values(next=position))
        return len(given)

    return await database.write(work)


def _short(change: Change, at: int) -> list[Any]:
    """A change in short, as decisions are kept: how long before the row's instant, and without what isn't there."""
    told = [change.delivery_id, change.state, at - change.at, change.attempts, change.reason, change.code]
    while told[-1] is None:
        told.pop()
    return told


class _Short(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A change as `_short` writes it."""

    delivery_id: str
    state: State
    before: int
    attempts: int
    reason: str | None = None
    code: str | None = None


_DECODER: Final = msgspec.json.Decoder(list[_Short])


def _long(short: _Short, at: int) -> Change:
    return Change(
        delivery_id=short.delivery_id, state=short.state, at=at - short.before, attempts=short.attempts,
        reason=short.reason, code=short.code,
    )  # fmt: skip


_APPEND: Final = sa.insert(delivery_change).inline()  # nobody wants to know the id
_NEXT: Final = sa.select(change_order.c.next)
_UNORDERED: Final = (
    sa.select(delivery_change.c.id, delivery_change.c.number)
    .where(delivery_change.c.position.is_(None))
    .order_by(delivery_change.c.position, delivery_change.c.id)  # as its index has them
    .limit(sa.bindparam("limit"))
)


@cache
def _place(dialect: str) -> sa.Update:
    given = rows.batch(dialect, [delivery_change.c.id, delivery_change.c.position])
    return rows.update(delivery_change, given).values(position=given.c.position)
