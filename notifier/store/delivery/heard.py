"""What people have heard: for messages that close something, which go only to people who heard of it."""

from collections.abc import Collection
from functools import cache
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.deliveries import TOLD, State
from notifier.store.core import rows
from notifier.store.core.database import Database
from notifier.store.core.schema import delivery

Thing = tuple[str, str]
"""A recipient's id, and the id of a notification's subject."""


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that reached its recipient, or may have, on its own or in a digest."""

    id: str
    event_id: str
    recipient_id: str
    about: str
    created_at: int


async def heard(database: Database, things: Collection[Thing]) -> list[Heard]:
    """Every delivery about these subjects that was sent or may have been.

    It waits for claims that are under way, which may not have seen the supersession that this call's message came with.
    """

    async def work(connection: AsyncConnection) -> list[Heard]:
        dialect = database.dialect
        wanted = [{"recipient_id": recipient, "about": about} for recipient, about in sorted(things)]
        found = list(await connection.execute(_about(dialect), {"rows": rows.encode(wanted)}))
        digests = [{"digest_id": id_} for id_ in sorted({row.digest_id for row in found if _collected(row)})]
        sent: set[str] = set()
        if digests:
            answered = await connection.execute(_digests(dialect), {"rows": rows.encode(digests)})
            sent = {row.digest_id for row in answered if row.state in TOLD}
        return [
            Heard(**{name: getattr(row, name) for name in Heard.__struct_fields__})
            for row in found
            if row.state in TOLD or (_collected(row) and row.digest_id in sent)
        ]

    return await database.write(work) if things else []


def _collected(row: Any) -> bool:
    return bool(row.state == State.COLLECTED)


@cache
def _about(dialect: str) -> sa.Select[Any]:
    wanted = rows.batch(dialect, [delivery.c.recipient_id, delivery.c.about])
    names = (*Heard.__struct_fields__, "state", "digest_id")
    query = sa.select(*(delivery.c[name] for name in names)).join(
        wanted, sa.and_(delivery.c.recipient_id == wanted.c.recipient_id, delivery.c.about == wanted.c.about)
    )
    return rows.locking(query.order_by(delivery.c.id), dialect, delivery, read=True)


@cache
def _digests(dialect: str) -> sa.Select[Any]:
    wanted = rows.batch(dialect, [delivery.c.digest_id])
    query = (
        sa.select(delivery.c.digest_id, delivery.c.state)
        .join(wanted, delivery.c.digest_id == wanted.c.digest_id)
        .where(delivery.c.state != State.COLLECTED)
    )
    return rows.locking(query.order_by(delivery.c.id), dialect, delivery, read=True)
