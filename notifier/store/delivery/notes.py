"""Notes: what people did with messages shown in an app. The delivery itself says only that it reached them."""

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.effects import What
from notifier.store.core import rows
from notifier.store.core.schema import delivery_note
from notifier.store.delivery import effect_places
from notifier.store.people import locking

Deed = Literal["seen", "read", "archived"]

IMPLIES: Final[dict[Deed, tuple[Deed, ...]]] = {
    "seen": ("seen",),
    "read": ("seen", "read"),
    "archived": ("seen", "archived"),
}
"""What each note implies: who reads a message has seen it."""

COUNTED: Final[Mapping[str, What]] = {"seen_at": What.OPENED, "read_at": What.READ}
"""What is counted of the notes."""

_DEEDS: Final = ("seen_at", "read_at", "archived_at")


async def write(
    connection: AsyncConnection, dialect: str, recipient_id: str, ids: Collection[str], deed: Deed, now: int
) -> bool:
    """Note what a person did to these deliveries of theirs, and count it; whether there is such a person.

    The first time stands: the same again changes nothing.
    """
    if not await locking.lock(connection, dialect, [recipient_id]):
        return False
    wanted = [{"delivery_id": id_} for id_ in sorted(set(ids))]
    found = await connection.execute(_held(dialect), {"rows": wanted}) if wanted else ()
    held = {row.delivery_id: row._asdict() for row in found}
    noted = {f"{each}_at": now for each in IMPLIES[deed]}
    new: list[dict[str, Any]] = []
    deeds: list[tuple[str, What]] = []
    for each in wanted:
        id_ = each["delivery_id"]
        before = held.get(id_) or {**each, **dict.fromkeys(_DEEDS)}
        first = {name: at for name, at in noted.items() if before[name] is None}
        if first:
            new.append({**before, **first, "recipient_id": recipient_id, "updated_at": now})
            deeds += [(id_, COUNTED[name]) for name in first if name in COUNTED]
    if new:
        await connection.execute(_write(dialect), {"rows": new})
        await effect_places.add_deeds(connection, dialect, deeds)
    return True


@cache
def _held(dialect: str) -> sa.Select[Any]:
    wanted = rows.batch(dialect, [delivery_note.c.delivery_id])
    there = rows.lookup(wanted, delivery_note, delivery_note.c.delivery_id == wanted.c.delivery_id)
    return sa.select(delivery_note.c.delivery_id, *(delivery_note.c[name] for name in _DEEDS)).select_from(there)


@cache
def _write(dialect: str) -> sa.Insert:
    return rows.upsert(dialect, delivery_note, list(delivery_note.c), kept=["recipient_id"])
