"""Rows of a database wherever they are: in its buckets, or beside them."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.pipeline import decide as pipeline
from notifier.pipeline.engine import WorkerEngine
from notifier.store.core.buckets import SHARED
from notifier.store.core.database import Database


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
