"""Notes: what people did with messages shown in an app. The delivery itself says only that it reached them."""

from collections.abc import Collection
from functools import cache
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.store.core import rows
from notifier.store.core.schema import delivery_note
from notifier.store.people import locking

Deed = Literal["seen", "read", "archived"]

IMPLIES: Final[dict[Deed, tuple[Deed, ...]]] = {
    "seen": ("seen",),
    "read": ("seen", "read"),
    "archived": ("seen", "archived"),
}
"""What each note implies: who reads a message has seen it."""

_COLUMNS: Final = ("delivery_id", "recipient_id", "updated_at")


async def write(
    connection: AsyncConnection, dialect: str, recipient_id: str, ids: Collection[str], deed: Deed, now: int
) -> bool:
    """Note what a person did to these deliveries of theirs; whether there is such a person.

    The first time stands: the same again changes nothing.
    """
    if not await locking.lock(connection, dialect, [recipient_id]):
        return False
    new = [{"delivery_id": id_, "recipient_id": recipient_id, "updated_at": now} for id_ in sorted(ids)]
    if new:
        await connection.execute(_insert(dialect), {"rows": new})
        await connection.execute(_note(dialect, deed), {"rows": new, "now": now})
    return True


@cache
def _insert(dialect: str) -> sa.Insert:
    return rows.insert(dialect, delivery_note, [delivery_note.c[name] for name in _COLUMNS])


@cache
def _note(dialect: str, deed: Deed) -> sa.Update:
    noted = rows.batch(dialect, [delivery_note.c.delivery_id])
    columns = [delivery_note.c[f"{each}_at"] for each in IMPLIES[deed]]
    now: Any = sa.bindparam("now", type_=sa.BigInteger())
    return (
        sa.update(delivery_note)
        .where(delivery_note.c.delivery_id == noted.c.delivery_id, sa.or_(*(each.is_(None) for each in columns)))
        .values({each.name: sa.func.coalesce(each, now) for each in columns} | {"updated_at": now})
    )
