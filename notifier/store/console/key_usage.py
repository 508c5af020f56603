"""What API keys have used of their limits: a row for each limited key, which all web processes count in."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.clock import Clock
from notifier.domain.keys import ApiKey
from notifier.domain.limits import KeyUsage, Overrun, overrun, spend
from notifier.store.core import rows
from notifier.store.core.database import Database
from notifier.store.core.staff import key_usage

Counted = tuple[KeyUsage, Overrun | None]
"""A key's usage after a request, and the limits that the request exceeds: then it counts nothing."""


async def count(database: Database, requests: Sequence[tuple[ApiKey, int]], clock: Clock, behind: int) -> list[Counted]:
    """Count the events of each request of a limited key, one after another, in one transaction.

    `behind` is the milliseconds that the clock is known to be behind others'; usages say where it is more. The clock is
    asked once the rows are locked: what another counted while one waits for them must not look like its being ahead.
    """
    ids = rows.names(sorted({key.id for key, _ in requests}))

    async def work(connection: AsyncConnection) -> list[Counted]:
        held = await _hold(connection, database.dialect, ids)
        now = clock.now()
        before = {row.id: _usage(row, max(row.seen_at - now, behind)) for row in held}
        after, counted = dict(before), list[Counted]()
        for key, events in requests:
            over = overrun(key, after[key.id], events, now)
            if over is None:
                after[key.id] = spend(key, after[key.id], events, now)
            counted.append((after[key.id], over))
        changed = [_row(id_, usage, now) for id_, usage in after.items() if usage != before[id_]]
        if changed:
            await connection.execute(_upsert(database.dialect), {"rows": changed})
        return counted

    return await database.write(work)


async def _hold(connection: AsyncConnection, dialect: str, ids: Sequence[dict[str, str]]) -> list[sa.Row[Any]]:
    """The keys' rows, locked until the transaction ends; those that aren't there yet are written first."""
    found = list(await connection.execute(_lock(dialect), {"rows": ids}))
    if len(found) == len(ids):
        return found
    known = {row.id for row in found}
    missing = [_row(each["id"], KeyUsage(), 0) for each in ids if each["id"] not in known]
    await connection.execute(_insert(dialect), {"rows": missing})
    return list(await connection.execute(_lock(dialect), {"rows": ids}))


def _usage(row: sa.Row[Any], behind: int) -> KeyUsage:
    return KeyUsage(row.spoken_for, row.day, row.events, behind)


def _row(id_: str, usage: KeyUsage, now: int) -> dict[str, Any]:
    return {
        "id": id_, "spoken_for": usage.spoken_for, "day": usage.day, "events": usage.events,
        "seen_at": now + usage.behind,
    }  # fmt: skip


@cache
def _lock(dialect: str) -> sa.Select[Any]:
    return rows.locked(dialect, list(key_usage.c))


@cache
def _insert(dialect: str) -> sa.Insert:
    return rows.insert(dialect, key_usage, list(key_usage.c))


@cache
def _upsert(dialect: str) -> sa.Insert:
    return rows.upsert(dialect, key_usage, list(key_usage.c))
