"""The number that every change of a station raises: whoever writes holds it until the transaction ends."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.store.core import rows
from notifier.store.core.database import Database
from notifier.store.core.stations import station_revision

_ONE: Final = 1
_READ: Final = sa.select(station_revision.c.number).where(station_revision.c.id == _ONE)


async def hold(connection: AsyncConnection, dialect: str) -> int:
    """Wait for whoever writes, and return the number that this transaction's changes are to have."""
    held = await rows.hold(connection, dialect, station_revision, _READ, {"id": _ONE, "number": 0})
    return 1 if held is None else int(held.number) + 1


async def put(connection: AsyncConnection, number: int) -> None:
    """Write the number down with the changes that have it."""
    statement = sa.update(station_revision).where(station_revision.c.id == _ONE).values(number=number)
    await connection.execute(statement)


async def newest(database: Database) -> int:
    """The number of the newest change; 0 before the first."""

    async def work(connection: AsyncConnection) -> int:
        found: int | None = await connection.scalar(_READ)
        return found or 0

    return await database.read(work)
