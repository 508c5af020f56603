"""Reach: in which buckets an audience has members. A row is written with the first member there, and stays: whoever
finds one looks whether anybody is left."""

from collections.abc import Collection
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.store.core import rows
from notifier.store.core.database import Database
from notifier.store.core.schema import membership, reach


async def join(connection: AsyncConnection, database: Database, audiences: Collection[str]) -> None:
    """Note that audiences have members in this bucket."""
    if audiences and len(database.whole.buckets) > 1:
        joined = [{"audience": key, "bucket": database.bucket} for key in sorted(set(audiences))]
        await connection.execute(_insert(database.dialect), {"rows": joined})


async def of(database: Database, audiences: Collection[str]) -> dict[str, set[int]]:
    """The buckets in which each of these audiences may have members."""

    async def work(connection: AsyncConnection) -> dict[str, set[int]]:
        found: dict[str, set[int]] = {}
        for row in await connection.execute(_of(database.dialect), _wanted(audiences)):
            found.setdefault(row.audience, set()).add(row.bucket)
        return found

    return await database.read(work) if audiences else {}


async def present(database: Database, audiences: Collection[str]) -> set[str]:
    """Those of some audiences that have members in this bucket."""

    async def work(connection: AsyncConnection) -> set[str]:
        return {row.audience for row in await connection.execute(_present(database.dialect), _wanted(audiences))}

    return await database.read(work) if audiences else set()


def _wanted(audiences: Collection[str]) -> dict[str, list[dict[str, str]]]:
    return {"rows": [{"audience": key} for key in sorted(audiences)]}


@cache
def _insert(dialect: str) -> sa.Insert:
    return rows.insert(dialect, reach, list(reach.c))


@cache
def _of(dialect: str) -> sa.Select[Any]:
    wanted = rows.batch(dialect, [reach.c.audience])
    return sa.select(reach.c.audience, reach.c.bucket).join(wanted, wanted.c.audience == reach.c.audience)


@cache
def _present(dialect: str) -> sa.Select[tuple[str]]:
    wanted = rows.batch(dialect, [membership.c.audience])
    return sa.select(wanted.c.audience).where(sa.exists().where(membership.c.audience == wanted.c.audience))
