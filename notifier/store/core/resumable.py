"""Schema changes that check first: an interrupted migration is run again, and does only what is missing.

MySQL and MariaDB commit every change of a table at once, so a migration that is killed there leaves some of its changes
behind. Alembic makes its changes by the classes below, so a migration says what it wants as ever (`op.add_column`) and
needs to check by itself only around what moves data (`has_column`).
"""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic.ddl.impl import DefaultImpl
from alembic.ddl.mysql import MariaDBImpl, MySQLImpl
from alembic.ddl.postgresql import PostgresqlImpl
from alembic.ddl.sqlite import SQLiteImpl

Tell = Callable[[str], None]

SHOWN = 100  # characters of a logged statement: enough to see what it changes


def has_column(connection: sa.Connection, table: str, column: str) -> bool:
    """Whether a table has a column now."""
    return any(each["name"] == column for each in sa.inspect(connection).get_columns(table))


def has_table(connection: sa.Connection, table: str) -> bool:
    """Whether there is a table now."""
    found: bool = sa.inspect(connection).has_table(table)
    return found


def keep(connection: sa.Connection) -> None:
    """Commit rows that were moved, where changes of tables are committed one by one anyhow."""
    if connection.dialect.name in ("mysql", "mariadb"):
        connection.execute(sa.text("COMMIT"))


class _Looks(DefaultImpl):
    """Skips changes that are already made, and reports the others before each begins."""

    def create_table(self, table: sa.Table, **kw: Any) -> None:
        if self._is_elsewhere(table.name):
            return
        if not self._look.has_table(table.name):
            self._tell(f"table {table.name}")
            super().create_table(table, **kw)
        else:
            for index in table.indexes:
                self.create_index(index)

    def drop_table(self, table: sa.Table, **kw: Any) -> None:
        if self._look.has_table(table.name):
            self._tell(f"no table {table.name}")
            super().drop_table(table, **kw)

    def rename_table(self, old_table_name: str, new_table_name: str, schema: str | None = None) -> None:
        if self._look.has_table(old_table_name):
            self._tell(f"table {old_table_name} is {new_table_name}")
            super().rename_table(old_table_name, new_table_name, schema)

    def add_column(self, table_name: str, column: sa.Column[Any], **kw: Any) -> None:
        if self._is_elsewhere(table_name):
            return
        if not has_column(self._bind, table_name, column.name):
            self._tell(f"column {table_name}.{column.name}")
            super().add_column(table_name, column, **kw)

    def drop_column(self, table_name: str, column: sa.Column[Any], **kw: Any) -> None:
        if self._is_elsewhere(table_name):
            return
        if has_column(self._bind, table_name, column.name):
            self._tell(f"no column {table_name}.{column.name}")
            super().drop_column(table_name, column, **kw)

    def alter_column(self, table_name: str, column_name: str, **kw: Any) -> None:
        if self._is_elsewhere(table_name):
            return
        # A column that was renamed already gets the same definition again, which changes nothing.
        renamed = kw.get("name")
        if (
            renamed
            and not has_column(self._bind, table_name, column_name)
            and has_column(self._bind, table_name, renamed)
        ):
            return
        self._tell(f"column {table_name}.{column_name}, changed")
        super().alter_column(table_name, column_name, **kw)

    def create_index(self, index: sa.Index, **kw: Any) -> None:
        if index.table is not None and self._is_elsewhere(index.table.name):
            return
        if not self._has_index(index):
            self._tell(f"index {index.name}")
            super().create_index(index, **kw)

    def drop_index(self, index: sa.Index, **kw: Any) -> None:
        if index.table is not None and self._is_elsewhere(index.table.name):
            return
        if self._has_index(index):
            self._tell(f"no index {index.name}")
            super().drop_index(index, **kw)

    def add_constraint(self, const: Any, **kw: Any) -> None:
        if self._is_elsewhere(const.table.name):
            return
        if not self._has_constraint(const):
            self._tell(f"constraint {const.name}")
            super().add_constraint(const, **kw)

    def drop_constraint(self, const: Any, **kw: Any) -> None:
        if self._is_elsewhere(const.table.name):
            return
        if self._has_constraint(const):
            self._tell(f"no constraint {const.name}")
            super().drop_constraint(const, **kw)

    def execute(self, sql: Any, execution_options: dict[str, Any] | None = None) -> None:
        self._tell(" ".join(str(sql).split())[:SHOWN])
        super().execute(sql, execution_options)

    def _is_elsewhere(self, table: str) -> bool:
        """Whether a table stands in another schema of a database with buckets."""
        return table in self.context_opts["elsewhere"]

    @property
    def _bind(self) -> sa.Connection:
        assert self.connection is not None  # noqa: S101 (Alembic's, for migrations written to a file; ours never are)
        return self.connection

    @property
    def _look(self) -> sa.Inspector:
        """A fresh inspector: an old one returns the schema as it first saw it."""
        made: sa.Inspector = sa.inspect(self._bind)
        return made

    def _tell(self, what: str) -> None:
        self.context_opts["tell"](what)

    def _has_index(self, index: sa.Index) -> bool:
        table = index.table
        return table is not None and any(each["name"] == index.name for each in self._look.get_indexes(table.name))

    def _has_constraint(self, constraint: sa.Constraint) -> bool:
        look, table = self._look, constraint.table.name
        known = (
            *look.get_unique_constraints(table), *look.get_foreign_keys(table), *look.get_check_constraints(table),
            look.get_pk_constraint(table),
        )  # fmt: skip
        return any(each["name"] == constraint.name for each in known)


# Alembic uses a class with this dialect's name for the dialect.
class _PostgreSQL(_Looks, PostgresqlImpl):
    __dialect__ = "postgresql"


class _SQLite(_Looks, SQLiteImpl):
    __dialect__ = "sqlite"


class _MySQL(_Looks, MySQLImpl):
    __dialect__ = "mysql"


class _MariaDB(_Looks, MariaDBImpl):
    __dialect__ = "mariadb"
