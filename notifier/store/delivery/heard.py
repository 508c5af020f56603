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
from notifier.store.core.schema import delivery, open_delivery
from notifier.store.core.status import status

Thing = tuple[str, str]
"""A recipient's id, and the id of a notification's subject."""


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that reached its recipient, or may have, on its own or in a digest."""

    id: str
    event_id: str
    recipient_id: str
    subject_key: str
    created_at: int


async def heard(database: Database, things: Collection[Thing]) -> list[Heard]:
    """Every delivery about these subjects that was sent or may have been.

    It waits for claims that are under way, which may not have seen the supersession that this call's message came with.
    """

    async def work(connection: AsyncConnection) -> list[Heard]:
        dialect = database.dialect
        wanted = {"rows": [{"recipient_id": who, "subject_key": key} for who, key in sorted(things)]}
        await connection.execute(_hold(dialect), wanted)
        found = list(await connection.execute(_about(dialect), wanted))
        digests = [{"digest_id": id_} for id_ in sorted({row.digest_id for row in found if _collected(row)})]
        sent: set[str] = set()
        if digests:
            await connection.execute(_hold_digests(dialect), {"rows": digests})
            answered = await connection.execute(_digests(dialect), {"rows": digests})
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
def _hold(dialect: str) -> sa.Select[Any]:
    wanted = rows.batch(dialect, [open_delivery.c.subject_key, delivery.c.recipient_id])
    there = rows.lookup(wanted, open_delivery, open_delivery.c.subject_key == wanted.c.subject_key)
    query = (
        sa.select(open_delivery.c.id)
        .select_from(rows.lookup(there, delivery, delivery.c.id == open_delivery.c.id))
        .where(delivery.c.recipient_id == wanted.c.recipient_id)
    )
    return rows.locking(query.order_by(open_delivery.c.id), dialect, open_delivery, read=True)


@cache
def _about(dialect: str) -> sa.Select[Any]:
    wanted = rows.batch(dialect, [delivery.c.recipient_id, delivery.c.subject_key])
    names = (*Heard.__struct_fields__, "state", "digest_id")
    return sa.select(*(status.c[name] for name in names)).join(
        wanted, sa.and_(status.c.recipient_id == wanted.c.recipient_id, status.c.subject_key == wanted.c.subject_key)
    )


@cache
def _hold_digests(dialect: str) -> sa.Select[Any]:
    wanted = rows.batch(dialect, [delivery.c.digest_id])
    found = rows.lookup(wanted, open_delivery, open_delivery.c.id == wanted.c.digest_id)
    query = sa.select(open_delivery.c.id).select_from(found)
    return rows.locking(query.order_by(open_delivery.c.id), dialect, open_delivery, read=True)


@cache
def _digests(dialect: str) -> sa.Select[Any]:
    wanted = rows.batch(dialect, [delivery.c.digest_id])
    return (
        sa.select(status.c.digest_id, status.c.state)
        .join(wanted, status.c.digest_id == wanted.c.digest_id)
        .where(status.c.state != State.COLLECTED)
    )
