"""Search for a string in documents without an index: the whole table, in slices in the order of the disk, so that no
statement runs long or holds up a writer."""

from collections.abc import AsyncIterator, Collection
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.ids import NOTHING
from notifier.store.core.database import Database

PAGES: Final = 4_096  # pages of PostgreSQL in a slice: 32 MiB, searched for a few dozen names in about a second
ROWS: Final = 50_000  # rows of SQLite and of MariaDB in a slice


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
    async for condition in _slices(database, table):
        part = sa.select(table.c.id, small(column).label("document")).where(condition)
        if on_postgresql:
            part = part.offset(0)  # otherwise the document would be converted to lower case again for each string
        slice_ = part.subquery()
        wanted = sa.or_(*(place(slice_.c.document, small(sa.literal(each))) > 0 for each in strings))
        query = sa.select(slice_.c.id).where(wanted)

        async def work(connection: AsyncConnection, query: sa.Select[Any] = query) -> list[str]:
            return [row.id for row in await connection.execute(query)]

        if found := await database.read(work):
            yield found


def _small_in_c(text: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    return sa.func.lower(sa.collate(text, "C"))  # byte by byte: many times as quick


async def _slices(database: Database, table: sa.Table) -> AsyncIterator[sa.ColumnElement[bool]]:
    if database.dialect == "mysql":
        async for condition in _by_id(database, table):
            yield condition
    elif database.dialect == "sqlite":
        row = sa.literal_column("rowid", sa.Integer)
        last = await _scalar(database, sa.select(sa.func.max(row)).select_from(table))
        for start in range(1, last + 1, ROWS):
            yield row.between(start, start + ROWS - 1)
    else:
        for condition in await _by_block(database, table):
            yield condition


async def _by_id(database: Database, table: sa.Table) -> AsyncIterator[sa.ColumnElement[bool]]:
    """Slices of an InnoDB table, which is stored in the order of its ids."""
    last: str | None = NOTHING
    while last is not None:
        begin, after = last, table.c.id > last
        query = sa.select(table.c.id).where(after).order_by(table.c.id).offset(ROWS - 1).limit(1)

        async def work(connection: AsyncConnection, query: sa.Select[str] = query) -> str | None:
            return (await connection.execute(query)).scalar()

        last = await database.read(work)
        yield after if last is None else sa.and_(table.c.id > begin, table.c.id <= last)


async def _by_block(database: Database, table: sa.Table) -> list[sa.ColumnElement[bool]]:
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
