"""How far the log of changes of a bucket has been counted, and what is counted of the deliveries in it."""

from collections.abc import Collection, Iterable, Iterator
from functools import cache
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.clock import HOUR
from notifier.domain.deliveries import State
from notifier.domain.effects import ARRIVED, Effect, What, hour_of
from notifier.domain.ids import is_id
from notifier.store.core import effect_sums, rows
from notifier.store.core.database import Database
from notifier.store.core.effects import effect_place
from notifier.store.core.schema import delivery, outcome
from notifier.store.delivery.changes import BEGINNING

_PLACE: Final = 1
"""The id of the only row."""


class Counted(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """So many deliveries to which the same happened, and which are the same in all that they are counted by.

    `since` is the instant at which the hour began in which they were decided; `what` a state or a deed. Of `untold` of
    them that they were sent was never told by itself: a receipt came sooner. `event_id` is there of campaigns alone.
    """

    since: int
    type: str
    channel: str
    locale: str
    variant: str
    what: str
    event_id: str | None = None
    number: int
    untold: int

    def effects(self) -> Iterator[Effect]:
        """What is counted of them: what happened, and that they were sent, where nothing else says so."""
        yield self._effect(self.what, self.number)
        if self.untold:
            yield self._effect(State.SENT, self.untold)

    def _effect(self, what: str, number: int) -> Effect:
        return Effect(
            hour=hour_of(self.since), type=self.type, channel=self.channel, locale=self.locale, variant=self.variant,
            what=what, number=number,
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


async def counted(
    connection: AsyncConnection, dialect: str, done: Iterable[tuple[str, str]], campaigns: Collection[str] = ()
) -> list[Counted]:
    """What happened to deliveries, told by their ids, as it is counted; those that aren't kept any more are left out.

    Those of the types of `campaigns` are told apart by their events. The database sums: a row for each delivery would
    take the clock longer to read than the database to find.
    """
    given: dict[str, Any] = {"rows": [{"id": id_, "state": what} for id_, what in done]}
    if not given["rows"]:
        return []
    found = await connection.execute(_counted(dialect), given | {"campaigns": list(campaigns)})
    return rows.read_all(found, Counted)


async def add_deeds(connection: AsyncConnection, dialect: str, deeds: Iterable[tuple[str, What]]) -> int:
    """Count what people did with deliveries, by their ids, in the transaction that writes it down; returns how much,
    for some may not be kept any more."""
    found = await counted(connection, dialect, ((id_, what) for id_, what in deeds if is_id(id_)))
    await effect_sums.add(connection, dialect, (effect for each in found for effect in each.effects()))
    return sum(each.number for each in found)


_READ: Final = sa.select(effect_place.c.position)
_UNSAID: Final = ""
"""The locale of what was never put into words, and the variant of what no experiment tries."""


@cache
def _counted(dialect: str) -> sa.Select[Any]:
    done = rows.batch(dialect, [delivery.c.id, delivery.c.state])
    what, of = done.c.state, outcome.c.delivery_id == delivery.c.id
    told = sa.select(outcome.c.locale).where(of, outcome.c.locale.is_not(None)).order_by(outcome.c.number.desc())
    was_sent = sa.exists().where(of, outcome.c.state == State.SENT).correlate(delivery)
    of_campaign = delivery.c.type.in_(sa.bindparam("campaigns", expanding=True))
    each = (
        sa.select(
            (delivery.c.created_at - delivery.c.created_at % HOUR).label("since"), delivery.c.type, delivery.c.channel,
            sa.func.coalesce(told.limit(1).correlate(delivery).scalar_subquery(), _UNSAID).label("locale"),
            sa.func.coalesce(delivery.c.variant, _UNSAID).label("variant"), what.label("what"),
            sa.case((of_campaign, delivery.c.event_id), else_=None).label("event_id"),
            sa.case((sa.and_(what.in_(sorted(ARRIVED)), ~was_sent), 1), else_=0).label("untold"),
        )
        .select_from(rows.lookup(done, delivery, delivery.c.id == done.c.id))
        .subquery()
    )  # fmt: skip
    key = [column for column in each.c if column.name != "untold"]
    return sa.select(
        *key, sa.func.count().label("number"), sa.cast(sa.func.sum(each.c.untold), sa.BigInteger).label("untold")
    ).group_by(*key)
