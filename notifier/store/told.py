"""Whether people were told of a thing: for messages that close it, which nobody else is to get."""

from collections.abc import Collection
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.deliveries import TOLD, State
from notifier.store import rows
from notifier.store.database import Database
from notifier.store.schema import delivery

Thing = tuple[str, str]
"""A recipient's id, and the id of what a notification is about."""


async def told(database: Database, things: Collection[Thing]) -> set[Thing]:
    """Those of the things of which the recipient has heard, or may have: by a delivery or by a digest that held it.

    It waits for claims that are under way: they see no mark that came after them.
    """

    async def work(connection: AsyncConnection) -> set[Thing]:
        dialect = database.dialect
        wanted = rows.encode([{"recipient_id": recipient, "about": about} for recipient, about in sorted(things)])
        found = list(await connection.execute(_about(dialect), {"rows": wanted}))
        digests = sorted({row.digest_id for row in found if row.state == State.COLLECTED})
        sent: set[str] = set()
        if digests:
            answered = await connection.execute(
                _digests(dialect), {"rows": rows.encode([{"digest_id": id_} for id_ in digests])}
            )
            sent = {row.digest_id for row in answered if row.state in TOLD}
        return {
            (row.recipient_id, row.about)
            for row in found
            if row.state in TOLD or (row.state == State.COLLECTED and row.digest_id in sent)
        }

    return await database.write(work) if things else set()


@cache
def _about(dialect: str) -> sa.Select[Any]:
    wanted = rows.batch(dialect, [delivery.c.recipient_id, delivery.c.about])
    query = sa.select(delivery.c.recipient_id, delivery.c.about, delivery.c.state, delivery.c.digest_id).join(
        wanted, sa.and_(delivery.c.recipient_id == wanted.c.recipient_id, delivery.c.about == wanted.c.about)
    )
    return query.order_by(delivery.c.id).with_for_update(read=True, of=delivery if dialect == "postgresql" else None)


@cache
def _digests(dialect: str) -> sa.Select[Any]:
    wanted = rows.batch(dialect, [delivery.c.digest_id])
    query = (
        sa.select(delivery.c.digest_id, delivery.c.state)
        .join(wanted, delivery.c.digest_id == wanted.c.digest_id)
        .where(delivery.c.state != State.COLLECTED)
    )
    return query.order_by(delivery.c.id).with_for_update(read=True, of=delivery if dialect == "postgresql" else None)
