"""Sweeping up behind an erased person: rows are found by their id where an index has it, else by scanning every
document. Each chunk has its own transaction, so finished work stays done."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import cache, partial
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.deliveries import Reason, State
from notifier.domain.erasure import names
from notifier.store.core import rows
from notifier.store.core.database import Database
from notifier.store.core.scanning import find
from notifier.store.core.schema import charging_session, consent, decision, delivery, event, outcome
from notifier.store.core.status import TELLING
from notifier.store.delivery import awaited, exposures, outcomes
from notifier.store.delivery.outcomes import End
from notifier.store.people.erasures import Erasure, forget_events

CHUNK: Final = 500  # rows in one transaction


async def forget_told(database: Database, erased: Erasure, now: int, awaited_by: Collection[str] = ()) -> int:
    """Replace one person by their pseudonym in deliveries, decisions and consents, end their pending deliveries, and
    remove them from the events behind those, from who was counted in experiments and from what is awaited of them, by
    the keys of that; returns the number of rows.

    What a worker has in hand is settled by that worker, whenever that is, and not sent again.
    """
    count = 0
    of_person = (_forget_deliveries, _forget_decisions, _forget_consents, _forget_exposures)
    for chunk in (*of_person, partial(_forget_awaited, awaited_by)):
        while done := await _in_transaction(database, chunk, erased, now):
            count += done
    return count


async def forget_named(database: Database, erased: Sequence[Erasure]) -> None:
    """Remove people from events that name them but were sent to nobody, and delete the sessions of their tokens."""
    strings = {msgspec.json.encode(name).decode() for each in erased for name in each.names}
    async for found in find(database, event, event.c.data, strings):
        for start in range(0, len(found), CHUNK):
            await _forget_named_events(database, found[start : start + CHUNK], erased)
    async for found in find(database, charging_session, charging_session.c.state, strings):
        for start in range(0, len(found), CHUNK):
            await _delete_sessions(database, found[start : start + CHUNK], erased)


Chunk = Callable[[AsyncConnection, str, Erasure, int], Awaitable[int]]


async def _in_transaction(database: Database, chunk: Chunk, erased: Erasure, now: int) -> int:
    async def work(connection: AsyncConnection) -> int:
        return await chunk(connection, database.dialect, erased, now)

    return await database.write(work)


async def _forget_deliveries(connection: AsyncConnection, dialect: str, erased: Erasure, now: int) -> int:
    query = (
        sa.select(delivery.c.id, delivery.c.event_id)
        .where(delivery.c.recipient_id == erased.names[0], delivery.c.created_at <= erased.until)
        .limit(CHUNK)
    )
    found = list(await connection.execute(query))
    if found:
        parameters = {"rows": rows.ids(sorted(row.id for row in found))}
        await connection.execute(_rename_deliveries(dialect), parameters | {"pseudonym": erased.id})
        await connection.execute(_forget_words(dialect), parameters)
        await _cancel(connection, dialect, [row.id for row in found], now)
        await forget_events(connection, dialect, {row.event_id for row in found}, [erased], told=True)
    return len(found)


async def _forget_exposures(connection: AsyncConnection, dialect: str, erased: Erasure, _now: int) -> int:
    return await exposures.forget_person(connection, dialect, erased.names[0])


async def _forget_awaited(
    keys: Collection[str], connection: AsyncConnection, _dialect: str, _erased: Erasure, _now: int
) -> int:
    return await awaited.forget(connection, keys)


async def _forget_decisions(connection: AsyncConnection, dialect: str, erased: Erasure, _now: int) -> int:
    own = decision.c.recipient_id == erased.names[0]
    columns = (decision.c.event_id, decision.c.type, decision.c.recipient_id)
    found = list(
        await connection.execute(sa.select(*columns).where(own, decision.c.decided_at <= erased.until).limit(CHUNK))
    )
    if found:
        keys = [dict(row._mapping) for row in found]  # noqa: SLF001 (a public name)
        parameters = {"rows": keys, "pseudonym": erased.id}
        await connection.execute(_rename_decisions(dialect), parameters)
        await forget_events(connection, dialect, {row.event_id for row in found}, [erased], told=True)
    return len(found)


async def _forget_consents(connection: AsyncConnection, _dialect: str, erased: Erasure, _now: int) -> int:
    own = sa.and_(consent.c.recipient_id == erased.names[0], consent.c.at <= erased.until)
    return (await connection.execute(sa.update(consent).where(own).values(recipient_id=erased.id))).rowcount


async def _forget_named_events(database: Database, ids: Sequence[str], erased: Sequence[Erasure]) -> None:
    async def work(connection: AsyncConnection) -> None:
        await forget_events(connection, database.dialect, ids, erased, told=False)

    await database.write(work)


async def _delete_sessions(database: Database, ids: Sequence[str], erased: Sequence[Erasure]) -> None:
    known = {name for each in erased for name in each.known}

    async def work(connection: AsyncConnection) -> None:
        found = await connection.execute(_sessions(database.dialect), {"rows": rows.ids(ids)})
        theirs = [row.id for row in found if names(msgspec.json.decode(row.state), known)]
        await connection.execute(sa.delete(charging_session).where(charging_session.c.id.in_(theirs)))

    await database.write(work)


async def _cancel(connection: AsyncConnection, dialect: str, ids: Sequence[str], now: int) -> None:
    """End pending deliveries; what was collected goes out with no digest any more."""
    held = await outcomes.lock(connection, dialect, ids)
    pending = {
        id_: End(State.CANCELLED, Reason.RECIPIENT_GONE) for id_, each in held.items() if each.state == State.PENDING
    }
    await outcomes.end(connection, dialect, pending, held, now)
    await outcomes.retire(connection, dialect, [each for each in held.values() if each.state == State.COLLECTED])


@cache
def _rename_deliveries(dialect: str) -> sa.Update:
    wanted = rows.batch(dialect, [delivery.c.id])
    return sa.update(delivery).where(delivery.c.id == wanted.c.id).values(recipient_id=sa.bindparam("pseudonym"))


@cache
def _forget_words(dialect: str) -> sa.Update:
    wanted = rows.batch(dialect, [delivery.c.id])
    return sa.update(outcome).where(outcome.c.delivery_id == wanted.c.id).values(dict.fromkeys(TELLING))


@cache
def _rename_decisions(dialect: str) -> sa.Update:
    keys = rows.batch(dialect, [decision.c.event_id, decision.c.type, decision.c.recipient_id])
    return (
        sa.update(decision)
        .where(*(decision.c[column.name] == column for column in keys.c))
        .values(recipient_id=sa.bindparam("pseudonym"), standing=None)
    )


@cache
def _sessions(dialect: str) -> sa.Select[Any]:
    wanted = rows.batch(dialect, [charging_session.c.id])
    columns = (charging_session.c.id, charging_session.c.state)
    there = rows.lookup(wanted, charging_session, wanted.c.id == charging_session.c.id)
    query = sa.select(*columns).select_from(there)
    return rows.locking(query, dialect, charging_session)
