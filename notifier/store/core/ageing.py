"""Walks over old rows, and how far they have come. Each goes through a table in an order of its own, a chunk in a
transaction, which keeps the place too: a process that is killed repeats nothing and leaves nothing out, and of several
at once each goes on where the other was."""

from collections.abc import Iterable
from itertools import takewhile
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.ids import first_id
from notifier.store.core import rows
from notifier.store.core.change_log import delivery_change
from notifier.store.core.database import Database
from notifier.store.core.removal import retention_mark

CHUNK = 500
"""Rows looked at in one transaction: some 40 ms, for which SQLite's other writers wait."""


class Place(NamedTuple):
    """How far a walk has come: the instant and the id of the last row in its order. A walk by ids alone keeps the
    instant at which it began, and no id once it has ended."""

    at: int
    id: str


BEGINNING = Place(0, "")


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A chunk of a walk: how many rows went (or would go), the instant of the oldest of them, where the next chunk
    begins, and whether the walk has come to its end."""

    number: int = 0
    oldest: int | None = None
    place: Place = BEGINNING
    ended: bool = True


async def place_of(database: Database, name: str) -> Place:
    """How far a walk has come."""

    async def work(connection: AsyncConnection) -> Place:
        row = (await connection.execute(_mark(name))).first()
        return BEGINNING if row is None else Place(row.at, row.id)

    return await database.read(work)


async def hold(connection: AsyncConnection, dialect: str, name: str) -> Place:
    """How far a walk has come, locked until the transaction ends: another process waits for this chunk."""
    new = {"name": name, "at": BEGINNING.at, "id": BEGINNING.id}
    row = await rows.hold(connection, dialect, retention_mark, _mark(name), new)
    return BEGINNING if row is None else Place(row.at, row.id)


async def put(connection: AsyncConnection, name: str, place: Place) -> None:
    """Keep how far a walk has come, which this transaction has locked."""
    mark = sa.update(retention_mark).where(retention_mark.c.name == name)
    await connection.execute(mark.values(at=place.at, id=place.id))


async def by_age(
    connection: AsyncConnection, at: sa.Column[int], type_: sa.Column[str] | None, place: Place, before: int,
    limit: int = CHUNK,
) -> list[Any]:  # fmt: skip
    """The next rows of a walk from the oldest on, by a column of instants that has an index: instant, id and type."""
    id_ = at.table.c.id
    later = (at >= place.at, sa.or_(at > place.at, id_ > place.id))
    query = sa.select(*_columns(at, type_)).where(*later, at < before).order_by(at, id_).limit(limit)
    return list(await connection.execute(query))


async def by_date(
    connection: AsyncConnection, at: sa.Column[int], type_: sa.Column[str] | None, place: Place, before: int,
    limit: int = CHUNK,
) -> list[Any]:  # fmt: skip
    """The next rows of a walk by dated ids, the oldest first: instant, id and type."""
    id_ = at.table.c.id
    query = sa.select(*_columns(at, type_)).where(id_ > place.id, id_ < first_id(before))
    return list(await connection.execute(query.order_by(id_).limit(limit)))


async def by_id(connection: AsyncConnection, at: sa.Column[int], place: Place) -> list[Any]:
    """The next rows of a walk by ids, for a table whose instants have no index: instant and id."""
    id_ = at.table.c.id
    query = sa.select(*_columns(at, None)).where(id_ > place.id).order_by(id_).limit(CHUNK)
    return list(await connection.execute(query))


async def by_position(connection: AsyncConnection, place: Place, before: int, limit: int = CHUNK) -> list[Any]:
    """The next rows of the log of changes, as far as they are older than an instant: that and the position, as text."""
    position = delivery_change.c.position
    query = sa.select(delivery_change.c.at, sa.cast(position, sa.String(20)).label("id"))
    after = query.where(position > int(place.id or "0")).order_by(position).limit(limit)
    return list(takewhile(lambda row: row.at < before, await connection.execute(after)))


async def these(
    connection: AsyncConnection, dialect: str, at: sa.Column[int], type_: sa.Column[str] | None, ids: Iterable[str]
) -> list[Any]:
    """Rows by their ids: instant, id and type of each that is there."""
    wanted = rows.batch(dialect, [at.table.c.id])
    query = sa.select(*_columns(at, type_)).join(wanted, wanted.c.id == at.table.c.id)
    return list(await connection.execute(query, {"rows": rows.ids(ids)}))


def _columns(at: sa.Column[int], type_: sa.Column[str] | None) -> list[sa.ColumnElement[Any]]:
    return [at.label("at"), at.table.c.id, *([] if type_ is None else [type_])]


def _mark(name: str) -> sa.Select[Any]:
    return sa.select(retention_mark.c.at, retention_mark.c.id).where(retention_mark.c.name == name)
