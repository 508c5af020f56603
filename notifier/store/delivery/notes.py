"""Notes: what people did with messages. The delivery itself says only that it reached them."""

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any, Final, Literal

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.effects import What
from notifier.store.core import rows
from notifier.store.core.schema import delivery_note
from notifier.store.delivery import effect_places
from notifier.store.people import locking

Deed = Literal["seen", "read", "archived", "clicked"]

IMPLIES: Final[dict[Deed, tuple[Deed, ...]]] = {
    "seen": ("seen",),
    "read": ("seen", "read"),
    "archived": ("seen", "archived"),
    "clicked": ("clicked",),
}
"""What each note implies: who reads a message in the app has seen it there."""

COUNTED: Final[Mapping[Deed, What]] = {"seen": What.OPENED, "read": What.READ, "clicked": What.CLICKED}
"""What is counted of the notes."""


class Note(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a person did with a delivery of theirs at an instant."""

    delivery_id: str
    recipient_id: str
    deed: Deed
    at: int


async def write(
    connection: AsyncConnection, dialect: str, recipient_id: str, ids: Collection[str], deed: Deed, now: int
) -> bool:
    """Note what a person did to these deliveries of theirs, and count it; whether there is such a person."""
    notes = [Note(delivery_id=id_, recipient_id=recipient_id, deed=deed, at=now) for id_ in ids]
    if not notes:
        return bool(await locking.lock(connection, dialect, [recipient_id]))
    return recipient_id in await add(connection, dialect, notes)


async def add(connection: AsyncConnection, dialect: str, notes: Collection[Note]) -> set[str]:
    """Note what people did, one thing for each delivery, and count it; returns those of them who exist.

    The first time stands: the same again changes nothing.
    """
    if not notes:
        return set()
    people = await locking.lock(connection, dialect, {each.recipient_id for each in notes})
    wanted = {each.delivery_id: each for each in notes if each.recipient_id in people}
    found = await connection.execute(_held(dialect), {"rows": [{"delivery_id": id_} for id_ in wanted]})
    held = {row.delivery_id: row._asdict() for row in found}
    new: list[dict[str, Any]] = []
    deeds: list[tuple[str, What]] = []
    for id_, note in wanted.items():
        before = held.get(id_, _NOTHING)
        first = [deed for deed in IMPLIES[note.deed] if before[f"{deed}_at"] is None]
        if first:
            own = {"delivery_id": id_, "recipient_id": note.recipient_id, "updated_at": note.at}
            new.append({**before, **own, **{f"{deed}_at": note.at for deed in first}})
            deeds += [(id_, COUNTED[deed]) for deed in first if deed in COUNTED]
    if new:
        await connection.execute(_write(dialect), {"rows": new})
        await effect_places.add_deeds(connection, dialect, deeds)
    return people


_NOTHING: Final[Mapping[str, Any]] = {f"{deed}_at": None for deed in IMPLIES}


@cache
def _held(dialect: str) -> sa.Select[Any]:
    wanted = rows.batch(dialect, [delivery_note.c.delivery_id])
    there = rows.lookup(wanted, delivery_note, delivery_note.c.delivery_id == wanted.c.delivery_id)
    return sa.select(delivery_note.c.delivery_id, *(delivery_note.c[name] for name in _NOTHING)).select_from(there)


@cache
def _write(dialect: str) -> sa.Insert:
    return rows.upsert(dialect, delivery_note, list(delivery_note.c), kept=["recipient_id"])
