"""Texts from people: each counts once, however often it is told, and leaves a line in the audit."""

from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.deliveries import Reason, make_id
from notifier.store import audit, suppressions
from notifier.store.audit import Entry
from notifier.store.database import Database
from notifier.store.suppressions import Suppression


async def stop(database: Database, sid: str, key: str, now: int) -> bool:
    """Suppress a number, by its key, because of the text with this id; whether that changed anything."""

    async def work(connection: AsyncConnection) -> bool:
        if not await _note(connection, database.dialect, sid, "sms.stop", key, now):
            return False
        return await suppressions.add(connection, database.dialect, [Suppression(key, Reason.STOPPED)], now) == 1

    return await database.write(work)


async def start(database: Database, sid: str, key: str, now: int) -> bool:
    """Lift the stop of a number, by its key, because of the text with this id; whether there was one."""

    async def work(connection: AsyncConnection) -> bool:
        if not await _note(connection, database.dialect, sid, "sms.start", key, now):
            return False
        return await suppressions.lift_stop(connection, key)

    return await database.write(work)


async def _note(connection: AsyncConnection, dialect: str, sid: str, action: str, key: str, now: int) -> bool:
    """Write down that a text asked for something; False where it stands there already."""
    entry = Entry(id=make_id("inbound", sid), at=now, actor="recipient", action=action, subject=key)
    return await audit.add(connection, dialect, [entry]) == 1
