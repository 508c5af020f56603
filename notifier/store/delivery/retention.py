"""Find what is over and too old, and remove it: a chunk of one part in a transaction of its own.

A walk goes from the oldest row on, by an index that is there anyway, and never comes back to a row. What is still open
when its turn comes is noted (`retention_late`), and looked at again from there. A table without such an index is walked
by its ids, once a day.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.clock import DAY, HOUR
from notifier.domain.retention import BY_CLASS, Part
from notifier.policy.retention import Removal
from notifier.store.core import ageing, rows
from notifier.store.core.ageing import BEGINNING, CHUNK, Place, Step
from notifier.store.core.change_log import delivery_change
from notifier.store.core.database import Database
from notifier.store.core.removal import retention_late
from notifier.store.core.schema import charging_session, delivery, event, identity, preference_change
from notifier.store.core.staff import audit
from notifier.store.core.stations import evse_status
from notifier.store.delivery import removing
from notifier.store.delivery.removing import Act, Acted, Chunk

LATE_AGAIN: Final = HOUR
"""Milliseconds between two looks at the rows that were open when their turn came."""
SHARED: Final = frozenset({Part.AUDIT, Part.STATUSES})
"""Parts whose table all buckets share, so that one walks over it."""
IDS_AGAIN: Final = DAY
"""Milliseconds between two walks by ids: each reads its whole table."""


class Walk(NamedTuple):
    """A walk of one part: over the rows of one removal, or `late` over those that all of its removals left open."""

    part: Part
    removals: Sequence[Removal]
    late: bool = False

    @property
    def name(self) -> str:
        """The name under which its place is kept."""
        return f"late/{self.part}" if self.late else self.removals[0].name

    @property
    def again(self) -> int | None:
        """Milliseconds after which it begins anew; None where it never comes back."""
        return LATE_AGAIN if self.late else IDS_AGAIN if _TABLES[self.part].order == "id" else None


class _Table(NamedTuple):
    """How a part's rows are found and removed: their instants, their types, and in which order the walk is."""

    at: sa.Column[int]
    act: Act
    type: sa.Column[str] | None = None
    order: Literal["age", "date", "id", "position"] = "age"

    async def next(self, connection: AsyncConnection, place: Place, before: int, limit: int = CHUNK) -> Sequence[Any]:
        """The next rows of the walk."""
        if self.order == "id":
            return await ageing.by_id(connection, self.at, place)
        if self.order == "position":
            return await ageing.by_position(connection, place, before, limit)
        find = ageing.by_date if self.order == "date" else ageing.by_age
        return await find(connection, self.at, self.type, place, before, limit)


_TABLES: Final[Mapping[Part, _Table]] = {
    Part.DATA: _Table(event.c.accepted_at, removing.blank_events, event.c.type, "date"),
    Part.DECISIONS: _Table(event.c.accepted_at, removing.remove_decisions, event.c.type, "date"),
    Part.DELIVERIES: _Table(delivery.c.created_at, removing.remove_deliveries, delivery.c.type),
    Part.EVENTS: _Table(event.c.accepted_at, removing.remove_events, event.c.type, "date"),
    Part.REPEATS: _Table(identity.c.first_at, removing.remove_identities, order="id"),
    Part.SESSIONS: _Table(charging_session.c.updated_at, removing.remove_sessions, order="id"),
    Part.PREFERENCES: _Table(preference_change.c.at, removing.remove_preferences, order="id"),
    Part.AUDIT: _Table(audit.c.at, removing.remove_audit),
    Part.CHANGES: _Table(delivery_change.c.at, removing.remove_changes, order="position"),
    Part.STATUSES: _Table(evse_status.c.at, removing.remove_statuses, order="date"),
}


def walks(removals: Iterable[Removal]) -> list[Walk]:
    """The walks of removals, in their order; after each part's comes the one over what they left open."""
    every = list(removals)
    found: list[Walk] = []
    for part in Part:
        own = [each for each in every if each.part == part]
        found += [Walk(part, [each]) for each in own]
        if own and part in BY_CLASS:
            found.append(Walk(part, own, late=True))
    return found


async def is_due(database: Database, walk: Walk, now: int) -> bool:
    """Whether a walk has anything to look at; for the answer nothing is locked or written."""
    place = await ageing.place_of(database, walk.name)
    if walk.again is not None:
        return bool(place.id) or now - place.at >= walk.again

    async def work(connection: AsyncConnection) -> bool:
        return bool(await _TABLES[walk.part].next(connection, place, walk.removals[0].before, 1))

    return await database.read(work)


async def step(database: Database, walk: Walk, now: int) -> Step:
    """Remove the next chunk of what may go."""

    async def work(connection: AsyncConnection) -> Step:
        place = await ageing.hold(connection, database.dialect, walk.name)
        made = await _step(connection, database.dialect, walk, place, now, go=True)
        await ageing.put(connection, walk.name, made.place)
        return made

    return await database.write(work)


async def look(database: Database, walk: Walk, now: int, place: Place | None) -> Step:
    """Count the next chunk of what may go, and change nothing. The first one begins where removals have come to (None),
    each other at the place of the one before."""
    if place is None:
        place = BEGINNING if walk.again is not None else await ageing.place_of(database, walk.name)
    begin = place

    async def work(connection: AsyncConnection) -> Step:
        return await _step(connection, database.dialect, walk, begin, now, go=False)

    return await database.look(work)


async def _step(connection: AsyncConnection, dialect: str, walk: Walk, place: Place, now: int, *, go: bool) -> Step:
    if walk.late:
        return await _late_step(connection, dialect, walk, place, now, go=go)
    table, removal = _TABLES[walk.part], walk.removals[0]
    found = await table.next(connection, place, removal.before)
    mine = [
        row for row in found if row.at < removal.before and (table.type is None or removal.takes(row.type))
    ]  # fmt: skip
    acted = await _act(connection, dialect, walk, Chunk([row.id for row in mine], removal.before, now, go))
    if go and acted.open:
        late = [{"part": walk.part, "id": id_} for id_ in acted.open]
        await connection.execute(rows.insert(dialect, retention_late, list(retention_late.c)), {"rows": late})
    return _made(walk, acted, mine, found, place, now)


async def _late_step(
    connection: AsyncConnection, dialect: str, walk: Walk, place: Place, now: int, *, go: bool
) -> Step:
    table = _TABLES[walk.part]
    noted = sa.select(retention_late.c.id).where(retention_late.c.part == walk.part, retention_late.c.id > place.id)
    listed = list(await connection.execute(noted.order_by(retention_late.c.id).limit(CHUNK)))
    ids = [row.id for row in listed]
    found = await ageing.these(connection, dialect, table.at, table.type, ids) if ids else []
    due = [row for row in found if any(each.takes(row.type) and row.at < each.before for each in walk.removals)]
    acted = await _act(connection, dialect, walk, Chunk([row.id for row in due], now, now, go))
    settled = {*ids} - {row.id for row in found}  # another part took them along
    settled |= {row.id for row in due} - acted.open if acted.whole else set()
    if go and settled:
        own = (retention_late.c.part == walk.part, retention_late.c.id.in_(sorted(settled)))
        await connection.execute(sa.delete(retention_late).where(*own))
    return _made(walk, acted, due, listed, place, now)


async def _act(connection: AsyncConnection, dialect: str, walk: Walk, chunk: Chunk) -> Acted:
    return await _TABLES[walk.part].act(connection, dialect, chunk) if chunk.ids else Acted(0)


def _made(walk: Walk, acted: Acted, due: Sequence[Any], found: Sequence[Any], place: Place, now: int) -> Step:
    """What came of a chunk of these rows, of which some were due."""
    oldest = min((row.at for row in due if row.id not in acted.open), default=None) if acted.number else None
    if not acted.whole:
        return Step(number=acted.number, oldest=oldest, place=place, ended=False)
    ended = len(found) < CHUNK
    if walk.again is not None:
        place = Place(now, "") if ended else Place(place.at, found[-1].id)
    elif found:
        place = Place(found[-1].at, found[-1].id)
    return Step(number=acted.number, oldest=oldest, place=place, ended=ended)
