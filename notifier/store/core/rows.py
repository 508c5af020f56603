"""How a batch travels to SQL: as one JSON parameter that each engine turns into a row set.

One parameter instead of rows × columns keeps the client's cost at about 1 µs a row, and the same statement, written
once with SQLAlchemy, serves a batch of one and of five hundred on every engine. Only the row set's text differs.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    FromClause,
    Insert,
    Integer,
    Row,
    Select,
    SmallInteger,
    Table,
    TextClause,
    case,
    select,
    text,
    true,
)
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.selectable import NamedFromClause

from notifier.store.core.columns import Json

T = TypeVar("T")
_Insert = postgresql.Insert | sqlite.Insert | mysql.Insert
_INSERTS: dict[str, type[_Insert]] = {
    "postgresql": postgresql.Insert,
    "sqlite": sqlite.Insert,
    "mysql": mysql.Insert,
}
INTEGERS = (BigInteger, Integer, SmallInteger)


def batch(dialect: str, columns: Sequence[Column[Any]], name: str = "rows") -> NamedFromClause:
    """The row set of the bind parameter `name`: a JSON array of objects keyed by the columns' names."""
    return (
        _text(dialect, columns, name).columns(*(Column(column.name, column.type) for column in columns)).subquery(name)
    )


def encode(rows: Sequence[Any]) -> str:
    """Encode structs or dicts as the value of a batch parameter."""
    return msgspec.json.encode(rows).decode()


def ids(of: Iterable[str]) -> str:
    """Encode ids as the value of a batch parameter with the one column `id`."""
    return encode([{"id": id_} for id_ in of])


def read(row: Row[*tuple[Any, ...]], kind: type[T], *, strict: bool = False) -> T:
    """Convert a result row to a struct with the columns' names; text in SQL becomes the field's type.

    With `strict`, a column has to have the field's own type already.
    """
    # Not its mapping: asked for a field that is no column, SQLAlchemy makes an exception first, and takes twenty times
    # as long as all of the rest.
    return msgspec.convert(dict(zip(_names(row._fields), row, strict=True)), kind, strict=strict)


@cache
def _names(fields: tuple[str, ...]) -> tuple[str, ...]:
    """The columns' names as plain strings: SQLAlchemy's are of a subclass."""
    return tuple(map(str, fields))


def locked(dialect: str, columns: Sequence[Column[Any]]) -> Select[Any]:
    """A SELECT that locks a batch of rows by id, in key order: two overlapping batches wait for each other."""
    table = columns[0].table
    wanted = batch(dialect, [table.c.id])
    query = select(*columns).join(wanted, wanted.c.id == table.c.id).order_by(table.c.id)
    return locking(query, dialect, table)


def locking(
    query: Select[Any], dialect: str, table: FromClause, *, read: bool = False, skip_locked: bool = False
) -> Select[Any]:
    """The query, locking the rows that it reads of one table; only PostgreSQL wants that table named."""
    return query.with_for_update(read=read, skip_locked=skip_locked, of=table if dialect == "postgresql" else None)


async def hold(
    connection: AsyncConnection, dialect: str, table: Table, query: Select[Any], new: Mapping[str, Any]
) -> Row[Any] | None:
    """Lock the row that a query finds until the transaction ends; None where the row is new.

    A new row is `new`, inserted here and visible to this transaction alone: of two that write a row first, the second
    waits and is given the row that the first one wrote.
    """
    while True:
        found: Row[Any] | None = (await connection.execute(query.with_for_update())).first()
        if found is not None:
            return found
        made = insert(dialect, table, [table.c[name] for name in new])
        if (await connection.execute(made, {"rows": encode([new])})).rowcount:
            return None


def _text(dialect: str, columns: Sequence[Column[Any]], name: str) -> TextClause:
    if dialect == "postgresql":
        shape = ", ".join(f"{c.name} {'bigint' if isinstance(c.type, INTEGERS) else 'text'}" for c in columns)
        return text(f"SELECT * FROM json_to_recordset(CAST(:{name} AS json)) AS t({shape})")  # noqa: S608
    if dialect == "sqlite":
        shape = ", ".join(f"json_extract(value, '$.{c.name}') AS {c.name}" for c in columns)
        return text(f"SELECT {shape} FROM json_each(:{name})")  # noqa: S608
    # Quoted, for some are words of SQL's.
    shape = ", ".join(f"`{c.name}` {_json_table_type(c)} PATH '$.{c.name}'" for c in columns)
    return text(f"SELECT t.* FROM JSON_TABLE(:{name}, '$[*]' COLUMNS({shape})) AS t")  # noqa: S608


def _json_table_type(column: Column[Any]) -> str:
    if isinstance(column.type, INTEGERS):
        return "BIGINT"
    if isinstance(column.type, Json):
        return "JSON"
    # The column's own character set, or MariaDB compares with no index and reads the whole table for a batch.
    own = column.type.dialect_impl(mysql.dialect())
    charset, collation = getattr(own, "charset", None) or "utf8mb4", getattr(own, "collation", None) or "utf8mb4_bin"
    return f"VARCHAR({getattr(own, 'length', None) or 5000}) CHARACTER SET {charset} COLLATE {collation}"


def insert(dialect: str, table: Table, columns: Sequence[Column[Any]]) -> Insert:
    """INSERT a batch into a table, skipping rows whose key exists."""
    statement = _insert(dialect, table, columns)
    if isinstance(statement, mysql.Insert):
        return statement.prefix_with("IGNORE")
    return statement.on_conflict_do_nothing()


def upsert(
    dialect: str, table: Table, columns: Sequence[Column[Any]], kept: Collection[str] = (),
    only_if_not_less: Column[Any] | None = None,
) -> Insert:  # fmt: skip
    """INSERT a batch, overwriting rows whose key exists, except for the columns in `kept`.

    With `only_if_not_less`, a row stays as it is where the new one has less in that column.
    """
    statement = _insert(dialect, table, columns)
    names = [column.name for column in columns if not column.primary_key and column.name not in kept]
    if isinstance(statement, mysql.Insert):
        new = statement.inserted
        if only_if_not_less is None:
            return statement.on_duplicate_key_update({name: new[name] for name in names})
        newer = new[only_if_not_less.name] >= only_if_not_less
        # It assigns one after the other: the column that is compared comes last.
        names.sort(key=lambda name: name == only_if_not_less.name)
        return statement.on_duplicate_key_update(
            [(name, case((newer, new[name]), else_=table.c[name])) for name in names]
        )
    return statement.on_conflict_do_update(
        index_elements=list(table.primary_key),
        set_={name: statement.excluded[name] for name in names},
        where=None if only_if_not_less is None else statement.excluded[only_if_not_less.name] >= only_if_not_less,
    )


def _insert(dialect: str, table: Table, columns: Sequence[Column[Any]]) -> _Insert:
    """Rows go in by key order, so that two batches that meet wait for each other instead of deadlocking."""
    source = batch(dialect, columns)
    key = [source.c[column.name] for column in table.primary_key if column.name in source.c]
    names = [column.name for column in columns]
    # SQLite's grammar needs the WHERE, or it reads ON CONFLICT as a join's condition.
    chosen = select(*(source.c[name] for name in names)).where(true()).order_by(*key)
    return _INSERTS[dialect](table).from_select(names, chosen)
