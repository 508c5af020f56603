"""Reach: in which buckets an audience has members. A row is written with the first member there, and stays: whoever
finds one looks whether anybody is left. One person's own audience needs none: their bucket is known by their id."""

from collections.abc import Collection, Set
from functools import cache
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.buckets import bucket_of
from notifier.store.core import rows
from notifier.store.core.database import Database
from notifier.store.core.schema import membership, reach

PERSON: Final = "driver:"
"""What the audience key of one person by id begins with."""


def is_person(audience: str) -> bool:
    """Whether an audience is one person, by id."""
    return audience.startswith(PERSON)


async def join(connection: AsyncConnection, database: Database, audiences: Collection[str]) -> None:
    """Note that audiences have members in this bucket."""
    groups = sorted({key for key in audiences if not is_person(key)}) if len(database.whole.buckets) > 1 else []
    if groups:
        joined = [{"audience": key, "bucket": database.bucket} for key in groups]
        await connection.execute(_insert(database.dialect), {"rows": joined})


async def of(database: Database, audiences: Set[str]) -> dict[str, set[int]]:
    """The buckets in which each of these audiences may have members."""
    parts = len(database.whole.buckets)
    found = {key: {bucket_of(key.removeprefix(PERSON), parts)} for key in audiences if is_person(key)}
    groups = audiences - found.keys()

    async def work(connection: AsyncConnection) -> None:
        for row in await connection.execute(_of(database.dialect), _wanted(groups)):
            found.setdefault(row.audience, set()).add(row.bucket)

    if groups:
        await database.read(work)
    return found


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
