"""A past day's events and decisions, in pages: each goes on where the one before ended, and holds only so many rows."""

from collections.abc import Collection
from functools import cache
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.events import Event
from notifier.domain.ids import first_id
from notifier.domain.twins import is_test
from notifier.store.core import rows
from notifier.store.core.buckets import in_each
from notifier.store.core.database import Database
from notifier.store.core.schema import decision, event
from notifier.store.delivery.events import WITH_PROGRESS
from notifier.store.reading import merging
from notifier.store.reading.explaining import DecisionRecord, read_decision, read_event

EVENTS = 1000  # rows of `event` that a page reads, whatever their day: one statement takes milliseconds
DECISIONS = 2000  # decisions on a page


class DecisionKey(msgspec.Struct, frozen=True):
    """A decision's place in key order."""

    event_id: str = ""
    type: str = ""
    recipient_id: str = ""


DecidedEvent = tuple[Event, int]
"""An event, and when it was decided."""


async def walk(database: Database, after: str, since: int, until: int) -> tuple[list[DecidedEvent], str | None]:
    """The events decided from `since` to before `until` among the next `EVENTS` of all that were accepted before that,
    without tests; and the last id scanned, None at the end. One that is in several buckets is told once."""
    found = await in_each(database, lambda bucket: _walk(bucket, after, since, until))
    if len(found) == 1:
        return found[0]
    events, end = merging.merge([page for page, _ in found], [last for _, last in found], lambda each: each[0].id)
    # What is blank in one bucket is told as blank.
    ordered = sorted(events, key=lambda each: (each[0].is_blank, each[1]))
    once = {event.id: (event, at) for event, at in ordered}
    return [once[id_] for id_ in sorted(once)], end


async def _walk(database: Database, after: str, since: int, until: int) -> tuple[list[DecidedEvent], str | None]:
    limit = merging.share(database, EVENTS)
    parameters = {"after": after, "until": first_id(until), "limit": limit}

    async def work(connection: AsyncConnection) -> tuple[list[DecidedEvent], str | None]:
        found = list(await connection.execute(_WALK, parameters))
        wanted = [
            row
            for row in found
            if row.decided_at is not None and since <= row.decided_at < until and not is_test(row.type)
        ]
        return [(read_event(row), row.decided_at) for row in wanted], found[-1].id if len(found) == limit else None

    return await database.look(work)


async def decisions(
    database: Database, events: Collection[str], after: DecisionKey
) -> tuple[list[DecisionRecord], bool]:
    """The next decisions about these events, by event, type and recipient, and whether there are more."""
    found = await in_each(database, lambda bucket: _decided(bucket, events, after))
    if len(found) == 1:
        return found[0][0], found[0][1] is not None
    made, end = merging.merge([page for page, _ in found], [last for _, last in found], _place)
    return merging.told_once(made, more=end is not None), end is not None


async def _decided(
    database: Database, events: Collection[str], after: DecisionKey
) -> tuple[list[DecisionRecord], tuple[str, ...] | None]:
    limit = merging.share(database, DECISIONS)
    wanted = rows.ids(id_ for id_ in events if id_ >= after.event_id)
    parameters = {"rows": wanted, "limit": limit, **msgspec.structs.asdict(after)}

    async def work(connection: AsyncConnection) -> list[DecisionRecord]:
        return [read_decision(row) for row in await connection.execute(_decisions(database.dialect), parameters)]

    made = await database.look(work)
    return made, _place(made[-1]) if len(made) == limit else None


def _place(made: DecisionRecord) -> tuple[str, ...]:
    return made.event_id, made.type, made.recipient_id


_WALK = (
    WITH_PROGRESS.where(event.c.id > sa.bindparam("after"), event.c.id < sa.bindparam("until"))
    .order_by(event.c.id)
    .limit(sa.bindparam("limit"))
)


@cache
def _decisions(dialect: str) -> sa.Select[Any]:
    wanted = rows.batch(dialect, [event.c.id])
    same_event = decision.c.event_id == sa.bindparam("event_id")
    same_type = decision.c.type == sa.bindparam("type")
    later = sa.or_(
        decision.c.event_id > sa.bindparam("event_id"),
        sa.and_(same_event, decision.c.type > sa.bindparam("type")),
        sa.and_(same_event, same_type, decision.c.recipient_id > sa.bindparam("recipient_id")),
    )
    query = sa.select(decision).join(wanted, wanted.c.id == decision.c.event_id).where(later)
    return query.order_by(decision.c.event_id, decision.c.type, decision.c.recipient_id).limit(sa.bindparam("limit"))
