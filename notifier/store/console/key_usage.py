"""What API keys have used of their limits: a row for each limited key, which all web processes count in."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.keys import ApiKey
from notifier.domain.limits import KeyUsage, Overrun, overrun, spend
from notifier.store.core import rows
from notifier.store.core.database import Database
from notifier.store.core.staff import key_usage

Counted = tuple[KeyUsage, Overrun | None]
"""A key's usage after a request, and the limits that the request exceeds: then it counts nothing."""


async def count(database: Database, requests: Sequence[tuple[ApiKey, int]], now: int) -> list[Counted]:
    """Count the events of each request of a limited key, one after another, in one transaction."""
    ids = rows.names(sorted({key.id for key, _ in requests}))

    async def work(connection: AsyncConnection) -> list[Counted]:
        before = await _hold(connection, database.dialect, ids)
        after, counted = dict(before), list[Counted]()
        for key, events in requests:
            over = overrun(key, after[key.id], events, now)
            if over is None:
                after[key.id] = spend(key, after[key.id], events, now)
            counted.append((after[key.id], over))
        changed = [_row(id_, usage) for id_, usage in after.items() if usage != before[id_]]
        if changed:
            await connection.execute(_upsert(database.dialect), {"rows": changed})
        return counted

    return await database.write(work)


async def _hold(connection: AsyncConnection, dialect: str, ids: Sequence[dict[str, str]]) -> dict[str, KeyUsage]:
    """The keys' usage, their rows locked until the transaction ends; rows that aren't there yet are written first."""
    found = await _locked(connection, dialect, ids)
    missing = [_row(each["id"], KeyUsage()) for each in ids if each["id"] not in found]
    if not missing:
        return found
    await connection.execute(_insert(dialect), {"rows": missing})
    return await _locked(connection, dialect, ids)


async def _locked(connection: AsyncConnection, dialect: str, ids: Sequence[dict[str, str]]) -> dict[str, KeyUsage]:
    found = await connection.execute(_lock(dialect), {"rows": ids})
    return {row.id: KeyUsage(row.spoken_for, row.day, row.events) for row in found}


def _row(id_: str, usage: KeyUsage) -> dict[str, Any]:
    return {"id": id_, **msgspec.structs.asdict(usage)}


@cache
def _lock(dialect: str) -> sa.Select[Any]:
    return rows.locked(dialect, list(key_usage.c))


@cache
def _insert(dialect: str) -> sa.Insert:
    return rows.insert(dialect, key_usage, list(key_usage.c))


@cache
def _upsert(dialect: str) -> sa.Insert:
    return rows.upsert(dialect, key_usage, list(key_usage.c))
