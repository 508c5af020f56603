"""Rows of a database wherever they are: in its buckets, or beside them."""

from collections.abc import Sequence
from copy import copy
from itertools import count
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.buckets import bucket_of
from notifier.pipeline import decide as pipeline
from notifier.pipeline.engine import WorkerEngine
from notifier.store.core.buckets import SHARED, schema_of
from notifier.store.core.database import Database
from tests.conftest import BUCKETS


async def rows(database: Database, table: sa.FromClause) -> list[Any]:
    """All rows of a table."""
    return await read(database, sa.select(table), table)


async def read(database: Database, query: sa.Select[Any], table: sa.FromClause) -> list[Any]:
    """What a query of a table finds wherever it stands."""

    async def work(connection: AsyncConnection) -> list[Any]:
        return list(await connection.execute(query))

    return [row for each in _parts(database, table) for row in await each.read(work)]


async def write(database: Database, statement: sa.UpdateBase, table: sa.FromClause) -> None:
    """Run a statement wherever its table stands."""

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(statement)

    for each in _parts(database, table):
        await each.write(work)


def _parts(database: Database, table: sa.FromClause) -> tuple[Database, ...]:
    return (database,) if isinstance(table, sa.Table) and table.name in SHARED else database.buckets


async def decide(engine: WorkerEngine, ids: Sequence[str]) -> int:
    """Decide events where they were accepted, and then their copies; returns how many there were."""
    return sum([await pipeline.decide(each, ids) for _ in range(2) for each in engine.buckets])


def living_in(bucket: int) -> str:
    """The id of somebody who lives in one of `BUCKETS` buckets."""
    return next(id_ for id_ in (f"p{bucket}-{number}" for number in count()) if bucket_of(id_, BUCKETS) == bucket)


def without(database: Database, bucket: int) -> Database:
    """The database while the server of one bucket doesn't answer."""
    nowhere = Database("postgresql://nobody@127.0.0.1:1/nothing", connections=1)
    nowhere.split([schema_of(each.bucket) for each in database.buckets])
    left = copy(database)
    left.buckets = tuple(copy(nowhere.buckets[bucket] if each.bucket == bucket else each) for each in database.buckets)
    for each in left.buckets:
        each.whole, each.buckets = left, (each,)
    return left
