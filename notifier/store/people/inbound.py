"""Text messages from people: each counts once, however often it is reported, and is recorded in the audit and in the
consent ledger of everybody with that number.

The audit and the suppressions are of all buckets, the ledgers of one each. What a text asks for is written in the other
buckets first, and in the one that the number falls to together with its entry in the audit: until then a repeat does it
again, and a statement may stand twice in a ledger. A stop is in force as soon as any bucket has written it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.consent import Consent
from notifier.domain.deliveries import Reason
from notifier.domain.effects import ANY, What
from notifier.domain.errors import StoreUnavailable
from notifier.domain.ids import make_id
from notifier.domain.recipient_facts import ALL
from notifier.store.core import audit, buckets, choices, effect_sums
from notifier.store.core.audit import AuditEntry
from notifier.store.core.buckets import over
from notifier.store.core.choices import Got
from notifier.store.core.database import Database
from notifier.store.core.schema import recipient
from notifier.store.people import consents, suppressions
from notifier.store.people.suppressions import Suppression

PERSON: Final = "recipient"
"""The actor of consents and opt-outs that people send themselves."""

STOPPED: Final = "sms.stop"
STARTED: Final = "sms.start"
COMPLAINED: Final = "email.complaint"
ACTIONS: Final = (STOPPED, STARTED, COMPLAINED)
"""What people tell us by text or by their mailbox's provider, in the audit. These entries stay for ever: by them what
is reported again counts once."""

STOP: Final = Consent(category=ALL, channel="sms", granted=False, wording="STOP", source="sms")
START: Final = Consent(category=ALL, channel="sms", granted=True, wording="START", source="sms")

Step = Callable[[AsyncConnection], Awaitable[bool]]
"""What a text asks for in one bucket; whether that changed what is suppressed."""


def _newest(found: Sequence[list[Got]]) -> list[Got]:
    return sorted((each for part in found for each in part), key=lambda each: each.created_at, reverse=True)


@over(_newest)
async def _got_last(database: Database, key: str, now: int) -> list[Got]:
    """The messages that whoever has a number got lately, the last first. A bucket that doesn't answer has none: no
    stop waits for what it is counted of."""

    async def work(connection: AsyncConnection) -> list[Got]:
        people = (await connection.scalars(_owners(key))).all()
        return await choices.got_last(connection, database.dialect, people, now)

    try:
        return await database.read(work)
    except StoreUnavailable:
        return []


async def stop(database: Database, sid: str, key: str, now: int) -> bool:
    """Suppress a number, by its key, on account of the text message with this id; whether that changed anything. It is
    counted of the text that its people got last."""
    got = await _got_last(database, key, now)

    async def tell(connection: AsyncConnection) -> bool:
        await _tell(connection, database.dialect, key, STOP, now)
        is_new = await suppressions.add(connection, database.dialect, [Suppression(key, Reason.STOPPED)], now) == 1
        if is_new:
            choice = choices.of_choices(What.STOPPED, [(ANY, STOP.channel)], got, {}, now)
            await effect_sums.add(connection, database.dialect, choice)
        return is_new

    return await _heed(database, _entry(sid, STOPPED, key, now), tell, tell)


async def start(database: Database, sid: str, key: str, now: int) -> bool:
    """Lift the stop of a number, by its key, on account of the text message with this id; whether there was one."""

    async def tell(connection: AsyncConnection) -> bool:
        await _tell(connection, database.dialect, key, START, now)
        return False

    async def lift(connection: AsyncConnection) -> bool:
        await tell(connection)
        return await suppressions.lift_stop(connection, key)

    return await _heed(database, _entry(sid, STARTED, key, now), tell, lift)


def _entry(sid: str, action: str, key: str, now: int) -> AuditEntry:
    """The record of what a text message asked for: the same id, however often it is reported."""
    return AuditEntry(id=make_id("inbound", sid), at=now, actor=PERSON, action=action, subject=key)


async def _heed(database: Database, entry: AuditEntry, elsewhere: Step, here: Step) -> bool:
    """Do what a text message asks for, `here` in the bucket of the number and `elsewhere` in each other; whether that
    changed anything, which nothing does that is already recorded."""
    if await audit.has(database, entry.id):
        return False
    home = buckets.of(database, entry.subject)
    others = (each.write(elsewhere) for each in database.buckets if each is not home)
    told = await asyncio.gather(*others, return_exceptions=True)
    for each in told:
        if isinstance(each, BaseException):
            raise each

    async def work(connection: AsyncConnection) -> bool:
        is_new = await audit.add(connection, database.dialect, [entry]) == 1
        return is_new and await here(connection)

    return await home.write(work) or any(told)


async def _tell(connection: AsyncConnection, dialect: str, key: str, word: Consent, now: int) -> None:
    """Append the statement to the ledger of everybody who has the number."""
    owners = (await connection.scalars(_owners(key))).all()
    await consents.append(connection, dialect, {id_: [word] for id_ in owners}, PERSON, now)


def _owners(key: str) -> sa.Select[str]:
    return sa.select(recipient.c.id).where(recipient.c.phone_key == key)
