"""How far the log of changes of a bucket has been counted, and what is counted of the deliveries in it."""

from collections.abc import Collection, Iterable
from functools import cache
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.deliveries import State
from notifier.domain.effects import Effect, What, hour_of
from notifier.store.core import effect_sums, rows
from notifier.store.core.database import Database
from notifier.store.core.effects import effect_place
from notifier.store.core.schema import delivery, outcome
from notifier.store.delivery.changes import BEGINNING

_PLACE: Final = 1
"""The id of the only row."""


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """What a delivery is counted by. `was_sent` says that its provider's taking it was told by itself: where a receipt
    came sooner, that it is delivered is the first that is told."""

    id: str
    event_id: str
    created_at: int
    type: str
    channel: str
    locale: str | None = None
    variant: str | None = None
    was_sent: bool = False

    def effect(self, what: str) -> Effect:
        """What the delivery did, or what was done to it."""
        return Effect(
            hour=hour_of(self.created_at), type=self.type, channel=self.channel, locale=self.locale or "",
            variant=self.variant or "", what=what,
        )  # fmt: skip


async def read(database: Database) -> int:
    """The position of the first change that isn't counted."""

    async def work(connection: AsyncConnection) -> int:
        return int(await connection.scalar(_READ) or BEGINNING)

    return await database.read(work)


async def move(connection: AsyncConnection, dialect: str, before: int, after: int) -> bool:
    """Move the place; False where somebody else has moved it meanwhile."""
    new = {"id": _PLACE, "position": BEGINNING}
    held = await rows.hold(connection, dialect, effect_place, _READ, new)
    if (BEGINNING if held is None else held.position) != before:
        return False
    await connection.execute(sa.update(effect_place).values(position=after))
    return True


async def counted(database: Database, ids: Collection[str]) -> dict[str, Counted]:
    """What deliveries are counted by; those that aren't kept any more are left out."""
    if not ids:
        return {}

    async def work(connection: AsyncConnection) -> dict[str, Counted]:
        return await _known(connection, database.dialect, ids)

    return await database.read(work)


async def add_deeds(connection: AsyncConnection, dialect: str, deeds: Iterable[tuple[str, What]]) -> int:
    """Count what people did with deliveries, by their ids, in the transaction that writes it down; returns how much,
    for some may not be kept any more."""
    done = list(deeds)
    known = await _known(connection, dialect, {id_ for id_, _ in done}) if done else {}
    counted = [known[id_].effect(what) for id_, what in done if id_ in known]
    await effect_sums.add(connection, dialect, counted)
    return len(counted)


async def _known(connection: AsyncConnection, dialect: str, ids: Collection[str]) -> dict[str, Counted]:
    found = await connection.execute(_counted(dialect), {"rows": rows.ids(ids)})
    return {row.id: rows.read(row, Counted) for row in found}


_READ: Final = sa.select(effect_place.c.position)


@cache
def _counted(dialect: str) -> sa.Select[Any]:
    wanted = rows.batch(dialect, [delivery.c.id])
    there = rows.lookup(wanted, delivery, delivery.c.id == wanted.c.id)
    told = sa.and_(outcome.c.delivery_id == delivery.c.id, outcome.c.locale.is_not(None))
    last = outcome.c.number.desc()
    locale = sa.select(outcome.c.locale).where(told).order_by(last).limit(1).correlate(delivery).scalar_subquery()
    sent = sa.exists().where(outcome.c.delivery_id == delivery.c.id, outcome.c.state == State.SENT).correlate(delivery)
    own = (delivery.c[name] for name in ("id", "event_id", "created_at", "type", "channel", "variant"))
    return sa.select(*own, locale.label("locale"), sent.label("was_sent")).select_from(there)
