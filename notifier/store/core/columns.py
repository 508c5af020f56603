"""The kinds of columns, on each engine, and the metadata that all tables are of."""

from typing import Any

from sqlalchemy import MetaData, String, Text
from sqlalchemy.dialects import mysql

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


class Json(Text):
    """A JSON document kept as its text: written whole, read whole; only `conditions` look into one."""

    cache_ok = True


def _words(length: int) -> String:
    """So many characters, which compare byte by byte on every engine: PostgreSQL would go by the server's language."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


ID = _words(32).with_variant(mysql.CHAR(32, charset="ascii", collation="ascii_bin"), "mysql", "mariadb")
NAME = _words(190)  # characters: a utf8mb4 index key of MySQL holds 191
WORD = _words(40)
DOCUMENT = Json().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
