"""The last real payloads of a notification type, for previews and checks."""

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.events import BLANK
from notifier.domain.trace_context import parted
from notifier.store.core.buckets import in_each
from notifier.store.core.database import Database
from notifier.store.core.schema import delivery, event

LOOKED_AT = 1_000  # newest events of all types: read from the end of one index, whatever the size of the table

Payloads = dict[str, dict[str, Any]]
"""The data of events by their ids, newest first."""


async def last(database: Database, type_: str, limit: int) -> Payloads:
    """The data, as far as they are kept, of the newest events that made deliveries of a type, by the event's id, newest
    first.

    Only the newest events of all types are scanned: a type that occurs once a year has none, and its samples will do.
    """
    found = await in_each(database, lambda bucket: _last(bucket, type_, limit))
    return found[0] if len(found) == 1 else _newest(found, limit)


def _newest(found: Sequence[Payloads], limit: int) -> Payloads:
    whole = {id_: data for part in found for id_, data in part.items()}
    return {id_: whole[id_] for id_ in sorted(whole, reverse=True)[:limit]}


async def _last(database: Database, type_: str, limit: int) -> Payloads:
    share = LOOKED_AT // len(database.whole.buckets)
    newest = sa.select(event.c.id, event.c.data).order_by(event.c.id.desc()).limit(share).subquery()
    told = sa.exists().where(delivery.c.event_id == newest.c.id, delivery.c.type == type_)
    query = (
        sa.select(newest.c.id, newest.c.data)
        .where(told, newest.c.data != BLANK)
        .order_by(newest.c.id.desc())
        .limit(limit)
    )

    async def work(connection: AsyncConnection) -> Payloads:
        return {row.id: msgspec.json.decode(parted(row.data)[0]) for row in await connection.execute(query)}

    return await database.read(work)
