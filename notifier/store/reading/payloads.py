"""The last real payloads of a notification type, for previews and checks."""

from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.events import BLANK
from notifier.store.core.database import Database
from notifier.store.core.schema import delivery, event

LOOKED_AT = 1_000  # newest events of all types: read from the end of one index, whatever the size of the table


async def last(database: Database, type_: str, limit: int) -> dict[str, dict[str, Any]]:
    """The data, as far as they are kept, of the newest events that made deliveries of a type, by the event's id, newest
    first.

    Only the newest events of all types are scanned: a type that occurs once a year has none, and its samples will do.
    """
    newest = (
        sa.select(event.c.id, event.c.data).order_by(event.c.id.desc()).limit(LOOKED_AT).subquery()
    )  # fmt: skip
    told = sa.exists().where(delivery.c.event_id == newest.c.id, delivery.c.type == type_)
    query = (
        sa.select(newest.c.id, newest.c.data)
        .where(told, newest.c.data != BLANK)
        .order_by(newest.c.id.desc())
        .limit(limit)
    )

    async def work(connection: AsyncConnection) -> dict[str, dict[str, Any]]:
        return {row.id: msgspec.json.decode(row.data) for row in await connection.execute(query)}

    return await database.read(work)
