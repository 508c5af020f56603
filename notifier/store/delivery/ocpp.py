"""Stations of OCPP as their frames left them: a row for each, moved with the events that a batch of frames causes."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.ids import make_id
from notifier.ocpp.sessions import StationState
from notifier.store.core import rows
from notifier.store.core.database import Database
from notifier.store.core.schema import charging_session
from notifier.store.delivery import events
from notifier.store.delivery.events import NewEvent, Stored

Step = Callable[[Mapping[str, StationState]], tuple[Mapping[str, StationState], Sequence[NewEvent]]]
"""Makes of stations as they are known, by name, what they are now, and the events of that."""

NOTHING = StationState()


async def update(database: Database, stations: Sequence[str], step: Step, now: int) -> Mapping[str, Stored]:
    """Move stations, in one transaction with the events that this causes: neither exists without the other. Returns
    what `events.insert` does.

    Two batches that name one station wait for each other; what `step` raises leaves everything as it was.
    """
    ids = {make_id("ocpp-station", name): name for name in stations}

    async def work(connection: AsyncConnection) -> Mapping[str, Stored]:
        blank = [{"id": id_, "state": NOTHING, "updated_at": now} for id_ in sorted(ids)]
        await connection.execute(_insert(database.dialect), {"rows": blank})
        found = await connection.execute(_locked(database.dialect), {"rows": rows.ids(sorted(ids))})
        before = {ids[row.id]: msgspec.json.decode(row.state, type=StationState) for row in found}
        after, new = step(before)
        changed = [
            {"id": id_, "state": after[name], "updated_at": now}
            for id_, name in sorted(ids.items())
            if after[name] != before[name]
        ]
        if changed:
            await connection.execute(_upsert(database.dialect), {"rows": changed})
        return await events.insert(connection, database.dialect, new) if new else {}

    return await database.write(work)


@cache
def _insert(dialect: str) -> sa.Insert:
    return rows.insert(dialect, charging_session, list(charging_session.c))


@cache
def _locked(dialect: str) -> sa.Select[tuple[str, str]]:
    return rows.locked(dialect, [charging_session.c.id, charging_session.c.state])


@cache
def _upsert(dialect: str) -> sa.Insert:
    return rows.upsert(dialect, charging_session, list(charging_session.c))
