"""A past day's events and decisions, in pages: each goes on where the one before ended, and holds only so many rows."""

from collections.abc import Iterable
from functools import cache
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.events import Event
from notifier.domain.ids import first_id
from notifier.store.core import rows
from notifier.store.core.schema import decision, event
from notifier.store.delivery.events import WITH_PROGRESS
from notifier.store.reading.explaining import DecisionRecord, read_decision, read_event

EVENTS = 1000  # rows of `event` that a page reads, whatever their day: one statement takes milliseconds
DECISIONS = 2000  # decisions on a page


class DecisionKey(msgspec.Struct, frozen=True):
    """A decision's place in key order."""

    event_id: str = ""
    type: str = ""
    recipient_id: str = ""


async def walk(
    connection: AsyncConnection, after: str, since: int, until: int
) -> tuple[list[tuple[Event, int]], str | None]:
    """The events decided from `since` to before `until`, each with the time of its decision, among the next `EVENTS` of
    all that were accepted before that; and the last id scanned, None at the end."""
    parameters = {"after": after, "until": first_id(until), "limit": EVENTS}
    found = list(await connection.execute(_WALK, parameters))
    wanted = [row for row in found if row.decided_at is not None and since <= row.decided_at < until]
    return [(read_event(row), row.decided_at) for row in wanted], found[-1].id if len(found) == EVENTS else None


async def decisions(
    connection: AsyncConnection, dialect: str, events: Iterable[str], after: DecisionKey
) -> list[DecisionRecord]:
    """The next decisions about these events, by event, type and recipient."""
    wanted = rows.ids(id_ for id_ in events if id_ >= after.event_id)
    parameters = {"rows": wanted, "limit": DECISIONS, **msgspec.structs.asdict(after)}
    return [read_decision(row) for row in await connection.execute(_decisions(dialect), parameters)]


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
