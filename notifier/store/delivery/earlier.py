"""Ids of before ids were dated: what services, providers and people wrote down then, and name today."""

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.ids import DATE, LENGTH, dated, is_id
from notifier.store.core import rows
from notifier.store.core.buckets import joined, over
from notifier.store.core.database import Database
from notifier.store.core.schema import earlier_delivery
from notifier.store.delivery import identities

NEVER = -1
"""An instant at which nothing was seen."""


async def deliveries(connection: AsyncConnection, dialect: str, ids: Collection[str]) -> Mapping[str, str]:
    """The ids that deliveries have now, by those that they had; others are left out."""
    tails = {id_[: LENGTH - DATE]: id_ for id_ in ids if is_id(id_)}
    if not tails:
        return {}
    found = await connection.execute(_renamed(dialect), {"rows": [{"tail": tail} for tail in tails]})
    return {tails[row.tail]: row.id for row in found}


async def row_of_delivery(connection: AsyncConnection, dialect: str, query: sa.Select[Any], id_: str) -> Any:
    """The row that a query finds of a delivery (its parameter `id`), by its id or by the one that it had."""
    row = (await connection.execute(query, {"id": id_})).first()
    renamed = {} if row is not None else await deliveries(connection, dialect, [id_])
    return (await connection.execute(query, {"id": renamed[id_]})).first() if renamed else row


async def row_of_event(connection: AsyncConnection, dialect: str, query: sa.Select[Any], id_: str) -> Any:
    """The row that a query finds of an event (its parameter `id`), by its id or by the one that it had."""
    row = (await connection.execute(query, {"id": id_})).first()
    renamed = None if row is not None else await event(connection, dialect, id_)
    return row if renamed is None else (await connection.execute(query, {"id": renamed})).first()


async def event(connection: AsyncConnection, dialect: str, id_: str) -> str | None:
    """The id that an event has now whose id was this before it was dated; None where there is none."""
    first = await identities.known(connection, dialect, {id_: NEVER})
    return None if first[id_] == NEVER else dated(id_, first[id_])


@over(joined)
async def all_of(database: Database, id_: str) -> list[str]:
    """The ids that the delivery or event has now whose id was this; none where there was none."""

    async def work(connection: AsyncConnection) -> list[str]:
        found = await deliveries(connection, database.dialect, [id_])
        return [each for each in (*found.values(), await event(connection, database.dialect, id_)) if each is not None]

    return await database.read(work)


@cache
def _renamed(dialect: str) -> sa.Select[tuple[str, str]]:
    wanted = rows.batch(dialect, [earlier_delivery.c.tail])
    source = rows.lookup(wanted, earlier_delivery, earlier_delivery.c.tail == wanted.c.tail)
    return sa.select(earlier_delivery.c.tail, earlier_delivery.c.id).select_from(source)
