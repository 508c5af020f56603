"""Column types per engine, and the metadata of all tables."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, Dialect, MetaData, String, Text, cast, collate, func
from sqlalchemy.dialects import mysql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import UserDefinedType

from notifier.domain.ids import DATE, LENGTH, NOTHING, is_id

metadata = MetaData(
    naming_convention={"ix": "ix_%(table_name)s_%(column_0_name)s", "pk": "pk_%(table_name)s"},
)
"""All tables: those of `schema` and of `staff`."""

MYSQL_OPTIONS: dict[str, Any] = {
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_bin",
}


def by_instant(column: str) -> dict[str, Any]:
    """The options of a table that PostgreSQL divides by the instants with which a column's ids begin
    (`core.partitions`)."""
    return {**MYSQL_OPTIONS, "postgresql_partition_by": f"RANGE ({column})"}


class Json(Text):
    """A JSON document stored as text, written and read whole; only `conditions` queries inside one."""

    cache_ok = True


class NativeId(UserDefinedType[str]):
    """32 hex digits as the 16 bytes that they are, in PostgreSQL's type `uuid` or as MariaDB's `BINARY(16)`.

    What is no id is asked for as the id of nothing.
    """

    cache_ok = True
    render_bind_cast = True

    def __init__(self, name: str) -> None:
        self._name = name

    def get_col_spec(self, **_kw: Any) -> str:
        return self._name

    def bind_processor(self, dialect: Dialect) -> Callable[[str | None], Any]:
        if dialect.name == "postgresql":
            return lambda id_: id_ if id_ is None or is_id(id_) else NOTHING
        return lambda id_: None if id_ is None else bytes.fromhex(id_ if is_id(id_) else NOTHING)

    def result_processor(self, dialect: Dialect, _coltype: object) -> Callable[[Any], str | None]:
        if dialect.name == "postgresql":
            return lambda id_: None if id_ is None else id_.hex
        return lambda id_: None if id_ is None else id_.hex()


def _words(length: int) -> String:
    """Text of at most so many characters that compares byte by byte on every engine: PostgreSQL would use the server's
    language."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


TAIL = _words(LENGTH - DATE).with_variant(
    mysql.CHAR(LENGTH - DATE, charset="ascii", collation="ascii_bin"), "mysql", "mariadb"
)
"""What a dated id keeps of the hash that it was made of."""
HEX = _words(LENGTH).with_variant(mysql.CHAR(LENGTH, charset="ascii", collation="ascii_bin"), "mysql", "mariadb")
"""A hash of 128 bits, in hex digits."""
ID = (
    String(LENGTH).with_variant(NativeId("UUID"), "postgresql").with_variant(NativeId("BINARY(16)"), "mysql", "mariadb")
)
"""A hash of 128 bits, in as few bytes as the engine can hold it: for the keys of what grows."""
NAME = _words(190)  # characters: a utf8mb4 index key of MySQL holds 191
WORD = _words(40)
DOCUMENT = Json().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


class last_id(FunctionElement[str]):  # noqa: N801 (as SQLAlchemy names functions)
    """The last of a group's ids, which of dated ones is the newest."""

    type = ID
    inherit_cache = True


@compiles(last_id)
def _last_id(element: last_id, compiler: SQLCompiler, **kw: Any) -> str:
    return f"max({compiler.process(element.clauses, **kw)})"


@compiles(last_id, "postgresql")
def _last_uuid(element: last_id, compiler: SQLCompiler, **kw: Any) -> str:
    # Before version 18 it has no max() of a uuid.
    return f'CAST(max(CAST({compiler.process(element.clauses, **kw)} AS text) COLLATE "C") AS uuid)'


def tail_of(dialect: str, id_: ColumnElement[str]) -> ColumnElement[str]:
    """What a dated id keeps of the hash that it was made of."""
    if dialect == "postgresql":
        return func.right(func.replace(cast(id_, Text), "-", ""), LENGTH - DATE)
    if dialect == "sqlite":
        return func.substr(id_, DATE + 1)
    digits = cast(func.lower(func.right(func.hex(id_), LENGTH - DATE)), mysql.CHAR(LENGTH - DATE, charset="ascii"))
    return collate(digits, "ascii_bin")
