"""How a batch travels to SQL: as one JSON parameter that each engine turns into a row set.

One parameter instead of rows × columns keeps the client's cost at about 1 µs a row, and the same statement, written
once with SQLAlchemy, serves a batch of one and of five hundred on every engine. Callers give structs or dicts; only the
row set's text and the form of its JSON differ.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple, TypeVar

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Delete,
    Dialect,
    Exists,
    FromClause,
    Insert,
    Integer,
    Join,
    Result,
    Row,
    Select,
    SmallInteger,
    Table,
    TextClause,
    Update,
    and_,
    bindparam,
    case,
    exists,
    select,
    text,
    true,
)
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.selectable import NamedFromClause
from sqlalchemy.sql.visitors import iterate
from sqlalchemy.types import UserDefinedType

from notifier.domain.ids import LENGTH, is_id
from notifier.store.core.columns import Json, NativeId

T = TypeVar("T")
_Insert = postgresql.Insert | sqlite.Insert | mysql.Insert
_INSERTS: dict[str, type[_Insert]] = {
    "postgresql": postgresql.Insert,
    "sqlite": sqlite.Insert,
    "mysql": mysql.Insert,
}
INTEGERS = (BigInteger, Integer, SmallInteger)


class MysqlJson(NamedTuple):
    """JSON that `quoted` writes into a statement for MariaDB and MySQL.

    Their driver would look up a replacement for each character, which takes 30 ns, five times as long as all else.
    """

    text: str


def quoted(json: MysqlJson, _mapping: object = None) -> str:
    """The SQL literal of JSON, which holds no other characters that need an escape; a quote is none in any SQL mode."""
    return "'{}'".format(json.text.replace("\\", "\\\\").replace("'", "''"))


class _Rows(UserDefinedType[Sequence[Any]]):
    """The rows of a batch with the columns of these names, structs or dicts in Python and JSON in SQL.

    MariaDB and SQLite look for each column from the row's beginning on, so rows are arrays there: that halves their
    length, and an array's members are found faster. PostgreSQL reads objects, which a struct is encoded as at once.
    """

    cache_ok = True

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names

    def bind_processor(self, dialect: Dialect) -> Callable[[Sequence[Any] | None], Any]:
        if dialect.name == "postgresql":
            return _json
        if dialect.name == "sqlite":
            return self._arrays
        return lambda rows: MysqlJson(self._arrays(rows))

    def _arrays(self, rows: Sequence[Any] | None) -> str:
        return _json([_values(self.names, isinstance(row, dict))(row) for row in rows or ()])


@cache
def _values(names: tuple[str, ...], of_dict: bool) -> Callable[[Any], tuple[Any, ...]]:
    """Takes the values of these names out of a dict or a struct."""
    get: Callable[[Any], Any] = itemgetter(*names) if of_dict else attrgetter(*names)
    return get if len(names) > 1 else lambda row: (get(row),)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def batch(dialect: str, columns: Sequence[Column[Any]], name: str = "rows") -> NamedFromClause:
    """The row set of the bind parameter `name`: a sequence of structs or dicts that have the columns' names."""
    given = bindparam(name, type_=_Rows(tuple(column.name for column in columns)))
    typed = (Column(column.name, column.type) for column in columns)
    return _text(dialect, columns, name).bindparams(given).columns(*typed).subquery(name)


def ids(of: Iterable[str]) -> list[dict[str, str]]:
    """The rows of a batch with the one column `id`, of ids of our own, without what is none."""
    return names(id_ for id_ in of if is_id(id_))


def names(of: Iterable[str]) -> list[dict[str, str]]:
    """The rows of a batch with the one column `id`, of ids that others have given."""
    return [{"id": name} for name in of]


def read(row: Row[*tuple[Any, ...]], kind: type[T], *, strict: bool = False) -> T:
    """Convert a result row to a struct with the columns' names; text in SQL becomes the field's type.

    With `strict`, a column has to have the field's own type already.
    """
    # The row's mapping is not used: for a field that is no column SQLAlchemy first creates an exception, which takes
    # twenty times as long as the rest.
    return msgspec.convert(dict(zip(_names(row._fields), row, strict=True)), kind, strict=strict)


def read_all(result: Result[Any], kind: type[T]) -> list[T]:
    """Convert all rows of a result as `read` does one, at half of the cost: SQLAlchemy names the columns of each
    row anew, and is slower at handing out rows one by one."""
    names = _names(tuple(result.keys()))
    return msgspec.convert([dict(zip(names, row, strict=True)) for row in result.all()], list[kind], strict=False)  # type: ignore[valid-type]


@cache
def _names(fields: tuple[str, ...]) -> tuple[str, ...]:
    """The columns' names as plain strings: SQLAlchemy's are of a subclass."""
    return tuple(map(str, fields))


def locked(dialect: str, columns: Sequence[Column[Any]]) -> Select[Any]:
    """A SELECT that locks a batch of rows by id, in key order: two overlapping batches wait for each other."""
    table = columns[0].table
    wanted = batch(dialect, [table.c.id])
    found = lookup(wanted, table, table.c.id == wanted.c.id)
    query = select(*columns).select_from(found).order_by(table.c.id)
    return locking(query, dialect, table)


def locking(
    query: Select[Any], dialect: str, table: FromClause, *, read: bool = False, skip_locked: bool = False
) -> Select[Any]:
    """The query, locking the rows that it reads of one table; only PostgreSQL wants that table named."""
    return query.with_for_update(read=read, skip_locked=skip_locked, of=table if dialect == "postgresql" else None)


class _Lookup(Join):
    inherit_cache = True

    @property
    def on(self) -> ColumnElement[bool]:
        assert self.onclause is not None  # noqa: S101 (`lookup` gives one)
        return self.onclause


class _BatchUpdate(Update):
    inherit_cache = True


class _BatchDelete(Delete):
    inherit_cache = True


def lookup(left: FromClause, table: FromClause, on: ColumnElement[bool]) -> Join:
    """A join whose right side is looked up row by row of the left side, by its primary key or by the index of the
    column that it is joined by.

    MariaDB doesn't know how few rows a row set has. Of a table that is nearly empty it would rather read all rows, and
    lock them too, those that other workers have in hand.
    """
    return _Lookup(left, table, on)


def update(table: Table, wanted: NamedFromClause, *conditions: ColumnElement[bool]) -> Update:
    """UPDATE those rows of a table whose primary key a row set names, looked up as `lookup` does it."""
    return _BatchUpdate(table).where(*_same_key(table, wanted), *conditions)


def delete(dialect: str, table: Table, wanted: NamedFromClause, *conditions: ColumnElement[bool]) -> Delete:
    """DELETE those rows of a table whose primary key, or the one column with which it begins, a row set names; looked
    up as `lookup` does it."""
    if dialect != "sqlite":
        return _BatchDelete(table).where(*_same_key(table, wanted), *conditions)
    (key,) = (column for column in table.primary_key if column.name in wanted.c)  # SQLite has no DELETE … USING
    chosen = select(key).select_from(wanted).join(table, key == wanted.c[key.name]).where(*conditions)
    return Delete(table).where(key.in_(chosen.correlate(None)))


def _same_key(table: Table, wanted: NamedFromClause) -> list[ColumnElement[bool]]:
    return [column == wanted.c[column.name] for column in table.primary_key if column.name in wanted.c]


@compiles(_Lookup, "mysql", "mariadb")
def _lookup(join: _Lookup, compiler: SQLCompiler, **kw: Any) -> str:
    kw["asfrom"] = True
    left, table, on = (compiler.process(part, **kw) for part in (join.left, join.right, join.on))
    return f"{left} STRAIGHT_JOIN {table} FORCE INDEX ({_index(join)}) ON {on}"


def _index(join: _Lookup) -> str:
    """The index of the columns of the right side by which a lookup is made."""
    own = [each for each in iterate(join.on) if isinstance(each, Column) and each.table is join.right]
    if any(column.primary_key for column in own):
        return "PRIMARY"
    (column,) = own
    return f"ix_{column.table.name}_{column.name}"


@compiles(_BatchUpdate, "mysql", "mariadb")
def _update(statement: _BatchUpdate, compiler: SQLCompiler, **kw: Any) -> str:
    table = compiler.preparer.format_table(statement.table)
    return _looked_up(compiler.visit_update(statement, **kw), table, "UPDATE ", f" SET {table}.")


@compiles(_BatchDelete, "mysql", "mariadb")
def _delete(statement: _BatchDelete, compiler: SQLCompiler, **kw: Any) -> str:
    table = compiler.preparer.format_table(statement.table)
    deleted = compiler.visit_delete(statement, **kw)  # type: ignore[no-untyped-call]
    return _looked_up(deleted, table, " USING ", " WHERE ")


def _looked_up(statement: str, table: str, before: str, after: str) -> str:
    """The statement with its table behind the row set: SQLAlchemy puts it before, from where it can't be forced."""
    moved = statement.replace(f"{before}{table}, ", before, 1)
    return moved.replace(after, f" STRAIGHT_JOIN {table} FORCE INDEX (PRIMARY){after}", 1)


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
        if (await connection.execute(made, {"rows": [new]})).rowcount:
            return None


def _text(dialect: str, columns: Sequence[Column[Any]], name: str) -> TextClause:
    if dialect == "postgresql":
        shape = ", ".join(f"{c.name} {_recordset_type(c)}" for c in columns)
        return text(f"SELECT * FROM json_to_recordset(CAST(:{name} AS json)) AS t({shape})")  # noqa: S608
    if dialect == "sqlite":
        shape = ", ".join(f"json_extract(value, '$[{place}]') AS {c.name}" for place, c in enumerate(columns))
        return text(f"SELECT {shape} FROM json_each(:{name})")  # noqa: S608
    # Quoted, since some are SQL keywords.
    shape = ", ".join(f"`{c.name}` {_json_table_type(c)} PATH '$[{place}]'" for place, c in enumerate(columns))
    values = ", ".join(f"UNHEX(t.`{c.name}`) AS `{c.name}`" if _is_native(c) else f"t.`{c.name}`" for c in columns)
    return text(f"SELECT {values} FROM JSON_TABLE(:{name}, '$[*]' COLUMNS({shape})) AS t")  # noqa: S608


def _recordset_type(column: Column[Any]) -> str:
    if isinstance(column.type, INTEGERS):
        return "bigint"
    return "uuid" if _is_native(column) else "text"


def _is_native(column: Column[Any]) -> bool:
    """Whether MariaDB and PostgreSQL hold the column's ids as bytes."""
    return isinstance(column.type.dialect_impl(mysql.dialect()), NativeId)


def _json_table_type(column: Column[Any]) -> str:
    if isinstance(column.type, INTEGERS):
        return "BIGINT"
    if isinstance(column.type, Json):
        return "JSON"
    # With the column's own character set: otherwise MariaDB uses no index and reads the whole table for a batch.
    own = column.type.dialect_impl(mysql.dialect())
    if isinstance(own, NativeId):
        return f"CHAR({LENGTH}) CHARACTER SET ascii COLLATE ascii_bin"
    charset, collation = getattr(own, "charset", None) or "utf8mb4", getattr(own, "collation", None) or "utf8mb4_bin"
    return f"VARCHAR({getattr(own, 'length', None) or 5000}) CHARACTER SET {charset} COLLATE {collation}"


def _any_row(_source: NamedFromClause) -> ColumnElement[bool]:
    return true()


def append(dialect: str, table: Table, columns: Sequence[Column[Any]]) -> Insert:
    """INSERT a batch whose keys nobody has, at least cost; where somebody has one after all, the transaction gives
    way."""
    return _insert(dialect, table, columns)


def append_missing(
    dialect: str,
    table: Table,
    columns: Sequence[Column[Any]],
    unless: Callable[[NamedFromClause], Exists] | None = None,
) -> Insert:
    """INSERT those rows of a batch whose key nobody has, and for which nothing exists that `unless` looks for.

    Cheaper than `insert`, which writes down for each row that there was no conflict. Where another transaction writes
    one of them at the same moment, this one gives way.
    """

    def missing(source: NamedFromClause) -> ColumnElement[bool]:
        there = exists().where(*_same_key(table, source))
        return ~there if unless is None else and_(~there, ~unless(source))

    return _insert(dialect, table, columns, missing)


def insert(
    dialect: str, table: Table, columns: Sequence[Column[Any]],
    which: Callable[[NamedFromClause], ColumnElement[bool]] = _any_row,
) -> Insert:  # fmt: skip
    """INSERT a batch into a table, or `which` of it, skipping rows whose key exists."""
    statement = _insert(dialect, table, columns, which)
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
        # MariaDB assigns one after the other: the compared column comes last.
        names.sort(key=lambda name: name == only_if_not_less.name)
        return statement.on_duplicate_key_update(
            [(name, case((newer, new[name]), else_=table.c[name])) for name in names]
        )
    return statement.on_conflict_do_update(
        index_elements=list(table.primary_key),
        set_={name: statement.excluded[name] for name in names},
        where=None if only_if_not_less is None else statement.excluded[only_if_not_less.name] >= only_if_not_less,
    )


def _insert(
    dialect: str, table: Table, columns: Sequence[Column[Any]],
    which: Callable[[NamedFromClause], ColumnElement[bool]] = _any_row,
) -> _Insert:  # fmt: skip
    """Rows go in by key order, so that two batches that meet wait for each other instead of deadlocking."""
    source = batch(dialect, columns)
    key = [source.c[column.name] for column in table.primary_key if column.name in source.c]
    names = [column.name for column in columns]
    # SQLite's grammar needs the WHERE; without it ON CONFLICT is read as a join's condition.
    chosen = select(*(source.c[name] for name in names)).where(which(source)).order_by(*key)
    return _INSERTS[dialect](table).from_select(names, chosen if which is _any_row else apart(dialect, chosen))


def apart(dialect: str, query: Select[Any]) -> Select[Any]:
    """A query whose rows are inserted, and which reads tables beside a batch: read first, on PostgreSQL.

    Citus 13 makes a statement of the two that no server understands. It takes about 0.3 µs a row, where 16 is all.
    """
    if dialect != "postgresql":
        return query
    return select(query.cte("chosen").prefix_with("MATERIALIZED"))
