"""Text messages from people: each counts once, however often it is reported, and is recorded in the audit and in the
consent ledger of everybody with that number."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.consent import Consent
from notifier.domain.deliveries import Reason
from notifier.domain.ids import make_id
from notifier.domain.recipient_facts import ALL
from notifier.store.core import audit
from notifier.store.core.audit import AuditEntry
from notifier.store.core.database import Database
from notifier.store.core.schema import recipient
from notifier.store.people import consents, suppressions
from notifier.store.people.suppressions import Suppression

PERSON: Final = "recipient"
"""The actor of consents and opt-outs that people send themselves."""

STOPPED: Final = "sms.stop"
STARTED: Final = "sms.start"
ACTIONS: Final = (STOPPED, STARTED)
"""What texts do, in the audit. These entries stay for ever: by them a text that is reported again counts once."""

STOP: Final = Consent(category=ALL, channel="sms", granted=False, wording="STOP", source="sms")
START: Final = Consent(category=ALL, channel="sms", granted=True, wording="START", source="sms")


async def stop(database: Database, sid: str, key: str, now: int) -> bool:
    """Suppress a number, by its key, on account of the text message with this id; whether that changed anything."""

    async def work(connection: AsyncConnection) -> bool:
        if not await _note(connection, database.dialect, sid, STOPPED, key, now):
            return False
        await _tell(connection, database.dialect, key, STOP, now)
        return await suppressions.add(connection, database.dialect, [Suppression(key, Reason.STOPPED)], now) == 1

    return await database.write(work)


async def start(database: Database, sid: str, key: str, now: int) -> bool:
    """Lift the stop of a number, by its key, on account of the text message with this id; whether there was one."""

    async def work(connection: AsyncConnection) -> bool:
        if not await _note(connection, database.dialect, sid, STARTED, key, now):
            return False
        await _tell(connection, database.dialect, key, START, now)
        return await suppressions.lift_stop(connection, key)

    return await database.write(work)


async def _note(connection: AsyncConnection, dialect: str, sid: str, action: str, key: str, now: int) -> bool:
    """Record what a text message asked for; False where it is already recorded."""
    entry = AuditEntry(id=make_id("inbound", sid), at=now, actor=PERSON, action=action, subject=key)
    return await audit.add(connection, dialect, [entry]) == 1


async def _tell(connection: AsyncConnection, dialect: str, key: str, word: Consent, now: int) -> None:
    """Append the statement to the ledger of everybody who has the number."""
    owners = (await connection.execute(sa.select(recipient.c.id).where(recipient.c.phone_key == key))).scalars()
    await consents.append(connection, dialect, {id_: [word] for id_ in owners}, PERSON, now)
