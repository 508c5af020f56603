"""Segments: saved, counted, and read in chunks, so that a million people are never in memory at once."""

from functools import cache
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.recipients import Recipient
from notifier.domain.segments import Segment
from notifier.store.core import rows
from notifier.store.core.buckets import over, total
from notifier.store.core.database import Database
from notifier.store.core.schema import device, recipient, segment
from notifier.store.people import recipients
from notifier.store.people.conditions import belongs
from notifier.store.people.locking import Check, anything


class Chunk(msgspec.Struct, frozen=True):
    """The members of a segment among the next recipients. `last` is the last recipient scanned, None where none was
    left; `more` says whether there may be others behind."""

    people: list[Recipient]
    last: str | None
    more: bool


NO_CHUNK = Chunk([], None, False)


async def put(database: Database, id_: str, given: Segment, now: int, check: Check[Segment] = anything) -> None:
    """Write a segment, replacing it whole."""
    told = msgspec.to_builtins(given)
    row = {"id": id_, "name": told.pop("name"), "conditions": told, "updated_at": now}

    async def work(connection: AsyncConnection) -> None:
        held = await rows.hold(connection, database.dialect, segment, _one(id_), row)
        check(None if held is None else _segment(held))
        await connection.execute(_upsert(database.dialect), {"rows": [row]})

    await database.write(work)


async def get(database: Database, id_: str) -> Segment | None:
    """A segment; None where there is none with this id."""

    async def work(connection: AsyncConnection) -> Segment | None:
        return await read(connection, id_)

    return await database.read(work)


async def read(connection: AsyncConnection, id_: str, *, hold: bool = False) -> Segment | None:
    """A segment, inside the caller's transaction; with `hold` it is locked until that ends."""
    query = _one(id_)
    row = (await connection.execute(query.with_for_update() if hold else query)).first()
    return None if row is None else _segment(row)


def _one(id_: str) -> sa.Select[Any]:
    return sa.select(segment).where(segment.c.id == id_)


async def find(database: Database, after: str, limit: int) -> dict[str, Segment]:
    """Segments ordered by id, from the one behind `after` on."""
    query = sa.select(segment).where(segment.c.id > after).order_by(segment.c.id).limit(limit)

    async def work(connection: AsyncConnection) -> dict[str, Segment]:
        return {row.id: _segment(row) for row in await connection.execute(query)}

    return await database.read(work)


async def delete(database: Database, id_: str, check: Check[Segment] = anything) -> bool:
    """Delete a segment; False where there was none. A campaign under way reaches nobody more."""

    async def work(connection: AsyncConnection) -> bool:
        check(await read(connection, id_, hold=True))
        return (await connection.execute(sa.delete(segment).where(segment.c.id == id_))).rowcount > 0

    return await database.write(work)


@over(total)
async def count(database: Database, wanted: Segment) -> int:
    """Count the people who belong to a segment now."""
    query = sa.select(sa.func.count()).select_from(recipient).where(belongs(database.dialect, wanted))

    async def work(connection: AsyncConnection) -> int:
        return int((await connection.execute(query)).scalar_one())

    return await database.read(work)


async def chunk(connection: AsyncConnection, dialect: str, wanted: Segment, after: str, limit: int) -> Chunk:
    """The members of a segment among the next `limit` recipients behind `after`, in the order of their ids.

    The limit counts recipients scanned, not members found, so that a chunk costs the same however few belong.
    """
    window = sa.select(recipient.c.id).where(recipient.c.id > after).order_by(recipient.c.id).limit(limit).subquery()
    found = await connection.execute(sa.select(sa.func.max(window.c.id), sa.func.count()).select_from(window))
    last, looked_at = found.one()
    if last is None:
        return NO_CHUNK
    between = (recipient.c.id > after, recipient.c.id <= last)
    people = await connection.execute(_people().where(*between, belongs(dialect, wanted)))
    members = await recipients.make_people(connection, dialect, list(people))
    return Chunk(list(members.values()), last, looked_at == limit)


def _segment(row: Any) -> Segment:
    return msgspec.convert({"name": row.name, **msgspec.json.decode(row.conditions)}, Segment)


@cache
def _upsert(dialect: str) -> sa.Insert:
    return rows.upsert(dialect, segment, list(segment.c))


@cache
def _people() -> sa.Select[Any]:
    people = recipients.with_addresses(recipient)
    return sa.select(*recipients.PERSON).select_from(people).order_by(recipient.c.id, device.c.id)
