"""Subscriptions to topics: memberships that people make and end themselves, and that a one-shot notification ends."""

from collections.abc import Collection, Sequence
from functools import cache
from itertools import chain

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.topics import audience
from notifier.store.core import buckets, rows
from notifier.store.core.buckets import over
from notifier.store.core.database import Database
from notifier.store.core.schema import membership
from notifier.store.people import locking, reach


async def subscribe(database: Database, topic: str, recipient_id: str) -> bool:
    """Subscribe a recipient to a topic; False where there is no such recipient. Subscribing twice is
    the same as once."""
    row = {"audience": audience(topic), "recipient_id": recipient_id}

    there = buckets.of(database, recipient_id)

    async def work(connection: AsyncConnection) -> bool:
        if not await locking.lock(connection, there.dialect, [recipient_id]):
            return False
        await connection.execute(_insert(there.dialect), {"rows": [row]})
        await reach.join(connection, there, [audience(topic)])
        return True

    return await there.write(work)


async def unsubscribe(database: Database, topic: str, recipient_id: str) -> None:
    """End a recipient's subscription to a topic."""
    one = (membership.c.audience == audience(topic), membership.c.recipient_id == recipient_id)

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(sa.delete(membership).where(*one))

    await buckets.of(database, recipient_id).write(work)


def _in_order(found: Sequence[list[str]]) -> list[str]:
    return sorted(chain.from_iterable(found))


async def subscribers(database: Database, topic: str, after: str, limit: int) -> list[str]:
    """The ids of a topic's subscribers, in order, from the one behind `after` on."""
    return (await _subscribers(database, topic, after, limit))[:limit]


@over(_in_order)
async def _subscribers(database: Database, topic: str, after: str, limit: int) -> list[str]:
    id_ = membership.c.recipient_id
    query = sa.select(id_).where(membership.c.audience == audience(topic), id_ > after).order_by(id_).limit(limit)

    async def work(connection: AsyncConnection) -> list[str]:
        return list((await connection.execute(query)).scalars())

    return await database.read(work)


async def end(connection: AsyncConnection, dialect: str, subscriptions: Collection[tuple[str, str]]) -> int:
    """End subscriptions, pairs of an audience key and a recipient; returns how many existed."""
    if not subscriptions:
        return 0
    ended = [{"audience": key, "recipient_id": id_} for key, id_ in sorted(subscriptions)]
    return (await connection.execute(_end(dialect), {"rows": ended})).rowcount


@cache
def _insert(dialect: str) -> sa.Insert:
    return rows.insert(dialect, membership, [membership.c.audience, membership.c.recipient_id])


@cache
def _end(dialect: str) -> sa.Delete:
    ended = rows.batch(dialect, [membership.c.audience, membership.c.recipient_id])
    pairs = sa.select(ended.c.audience, ended.c.recipient_id)
    return sa.delete(membership).where(sa.tuple_(membership.c.audience, membership.c.recipient_id).in_(pairs))
