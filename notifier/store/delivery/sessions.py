"""Charging sessions as OCPI peers reported them: each update builds on the one before."""

from collections.abc import Callable, Mapping, Sequence

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.ids import make_id
from notifier.ocpi.sessions import StoredSession
from notifier.store.core import rows
from notifier.store.core.database import Database
from notifier.store.core.schema import charging_session
from notifier.store.delivery import events
from notifier.store.delivery.events import NewEvent, Stored

Step = Callable[[StoredSession | None], tuple[StoredSession, Sequence[NewEvent]]]


async def update(database: Database, name: str, step: Step, now: int) -> Mapping[str, Stored]:
    """Apply one update to a session, in one transaction with the events it causes: neither exists without the other.
    Returns what `events.insert` does.

    Two updates of one session wait for each other; what `step` raises leaves everything as it was.
    """
    id_ = make_id("ocpi-session", name)

    async def work(connection: AsyncConnection) -> Mapping[str, Stored]:
        query = sa.select(charging_session.c.state).where(charging_session.c.id == id_)
        blank = {"id": id_, "state": {}, "updated_at": now}
        held = await rows.hold(connection, database.dialect, charging_session, query, blank)
        before = None if held is None else msgspec.json.decode(held.state, type=StoredSession)
        after, new = step(before)
        if after != before:
            row = {"id": id_, "state": after, "updated_at": now}
            statement = rows.upsert(database.dialect, charging_session, list(charging_session.c))
            await connection.execute(statement, {"rows": [row]})
        return await events.insert(connection, database.dialect, new) if new else {}

    return await database.write(work)
