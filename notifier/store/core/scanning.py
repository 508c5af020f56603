"""Search for a string in documents without an index: the whole table, in slices in the order of the disk, so that no
statement runs long or holds up a writer."""

from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.store.core.database import Database

PAGES: Final = 4_096  # of PostgreSQL in a slice: 32 MiB, looked through for a few dozen names in a second or so
ROWS: Final = 50_000  # of SQLite in a slice

SLICES: Final = tuple(f"{number:02x}" for number in range(256))
"""Of a table of InnoDB, which lies in the order of its ids; and those are hashes, spread evenly."""


async def find(
    database: Database, table: sa.Table, column: sa.Column[str], strings: Collection[str]
) -> AsyncIterator[list[str]]:
    """Ids of the rows whose document holds one of the strings in any case, slice by slice; rows that move meanwhile may
    be missed.

    A reader's look: it locks nothing.
    """
    on_postgresql = database.dialect == "postgresql"
    place = sa.func.strpos if on_postgresql else sa.func.instr  # much quicker than LIKE
    small = _small_in_c if on_postgresql else sa.func.lower
    for condition in await _slices(database, table):
        part = sa.select(table.c.id, small(column).label("document")).where(condition)
        if on_postgresql:
            part = part.offset(0)  # or it would make the document's letters small once more for each string
        slice_ = part.subquery()
        wanted = sa.or_(*(place(slice_.c.document, small(sa.literal(each))) > 0 for each in strings))
        query = sa.select(slice_.c.id).where(wanted)

        async def work(connection: AsyncConnection, query: sa.Select[Any] = query) -> list[str]:
            return [row.id for row in await connection.execute(query)]

        if found := await database.read(work):
            yield found


def _small_in_c(text: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    return sa.func.lower(sa.collate(text, "C"))  # byte by byte: many times as quick


async def _slices(database: Database, table: sa.Table) -> Sequence[sa.ColumnElement[bool]]:
    if database.dialect == "mysql":
        return [table.c.id.between(prefix, prefix + "g") for prefix in SLICES]
    if database.dialect == "sqlite":
        row = sa.literal_column("rowid", sa.Integer)
        last = await _scalar(database, sa.select(sa.func.max(row)).select_from(table))
        return [row.between(start, start + ROWS - 1) for start in range(1, last + 1, ROWS)]
    block = int(await _scalar(database, sa.select(sa.cast(sa.func.current_setting("block_size"), sa.Integer))))
    size = await _scalar(database, sa.select(sa.func.pg_relation_size(table.name)))
    place: sa.ColumnClause[Any] = sa.literal_column(f"{table.name}.ctid")
    return [
        sa.and_(place >= sa.text(f"'({start},0)'::tid"), place < sa.text(f"'({start + PAGES},0)'::tid"))
        for start in range(0, size // block + 1, PAGES)
    ]


async def _scalar(database: Database, query: sa.Select[Any]) -> int:
    async def work(connection: AsyncConnection) -> int:
        return (await connection.execute(query)).scalar_one() or 0

    return await database.read(work)
