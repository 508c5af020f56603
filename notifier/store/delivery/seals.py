"""Seals: what the books said of a day once all of it was over, written down once, and what was corrected since.

A day is over when none of its events waits for a decision or a person, and none of its deliveries is open. Sealing it
carries its tallies over (`tallies.CARRIED`) in one transaction. What comes later, such as a receipt, is told as tallies
of that day, as ever: corrections, which are carried over in the same way and added up beside the seal.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.clock import DAY
from notifier.domain.ids import first_id, instant_of
from notifier.store.core import rows
from notifier.store.core.books import seal, tally
from notifier.store.core.database import Database
from notifier.store.core.schema import open_delivery, open_event
from notifier.store.delivery import batch_leases, tallies
from notifier.store.delivery.tallies import Kind

AT_ONCE: Final = 5_000
"""Tallies of a day that are read at once: after a day's end they have been merged to some hundred."""

_Line = tuple[str, str, str, str, int]


class DayTold(NamedTuple):
    """A day of which there are tallies, and whether it is sealed."""

    day: int
    sealed: bool


async def told(database: Database, until: int) -> list[DayTold]:
    """The days up to and with one of which there are tallies: of those that are sealed, corrections."""
    query = (
        sa.select(tally.c.day, seal.c.day.is_not(None).label("sealed"))
        .distinct()
        .select_from(tally.outerjoin(seal, seal.c.day == tally.c.day))
        .where(tally.c.day > tallies.CARRIED, tally.c.day <= until)
        .order_by(tally.c.day)
    )

    async def work(connection: AsyncConnection) -> list[DayTold]:
        return [DayTold(row.day, bool(row.sealed)) for row in await connection.execute(query)]

    return await database.read(work)


async def open_days(database: Database, until: int) -> set[int]:
    """The days up to and with one of which something is open, at a look-up for each.

    An event that was put aside and discarded keeps no day open, though it stays among the open ones: nothing is to come
    of it. Events are looked at first and what is open of deliveries last, as they go that way themselves.
    """

    async def work(connection: AsyncConnection) -> set[int]:
        events = await _days_of(connection, open_event.c.id, until, open_event.c.handled_at.is_(None))
        leased = {tallies.day(instant_of(id_)) for id_ in await batch_leases.waiting(connection)}
        return events | leased | await _days_of(connection, open_delivery.c.id, until)

    return await database.read(work)


async def carry_over(database: Database, day: int, now: int) -> bool:
    """Seal a day with the sums of its tallies, or add them to the corrections of one that is sealed; whether it was
    sealed by this.

    Of two who do so at once the second waits, and finds what has come since.
    """
    dialect = database.dialect
    this = sa.select(seal.c.corrections).where(seal.c.day == day)

    async def work(connection: AsyncConnection) -> bool:
        before = await rows.hold(connection, dialect, seal, this, {"day": day, "sealed_at": now, "sums": "[]"})
        new = await tallies.carry_over(connection, dialect, day, AT_ONCE)
        if before is None:
            told = {"sums": written(new)}
        else:
            told = {"corrections": written(added(read(before.corrections), new))}
        if new or before is None:
            await connection.execute(sa.update(seal).where(seal.c.day == day).values(told))
        return before is None

    return await database.write(work)


def written(sums: Mapping[Kind, int]) -> str:
    """Sums as a document: part, state, channel, reason and number of each."""
    return msgspec.json.encode([[*kind, number] for kind, number in sorted(sums.items())]).decode()


def read(document: str | None) -> dict[Kind, int]:
    """The sums that a document holds; none where there is none."""
    lines = msgspec.json.decode(document, type=list[_Line]) if document else []
    return {(part, state, channel, reason): number for part, state, channel, reason, number in lines}


def added(*every: Mapping[Kind, int]) -> dict[Kind, int]:
    """The sum of sums, without what comes to nothing."""
    whole: Counter[Kind] = Counter()
    for each in every:
        whole.update(each)
    return {kind: number for kind, number in whole.items() if number}


async def _days_of(connection: AsyncConnection, id_: sa.Column[str], until: int, *conditions: Any) -> set[int]:
    """The days of the ids of a table: the first row of each is looked up by the key, from the end of the one before."""
    query = sa.select(id_).where(id_ >= sa.bindparam("first", type_=id_.type), *conditions).order_by(id_).limit(1)
    found: set[int] = set()
    last = first_id((until + 1) * DAY)
    first = first_id(0)
    while (next_ := await connection.scalar(query, {"first": first})) is not None and next_ < last:
        day = tallies.day(instant_of(next_))
        found.add(day)
        first = first_id((day + 1) * DAY)
    return found
