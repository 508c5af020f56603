"""Column types per engine, and the metadata of all tables."""

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
    """A JSON document stored as text, written and read whole; only `conditions` queries inside one."""

    cache_ok = True


def _words(length: int) -> String:
    """Text of at most so many characters that compares byte by byte on every engine: PostgreSQL would use the server's
    language."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


ID = _words(32).with_variant(mysql.CHAR(32, charset="ascii", collation="ascii_bin"), "mysql", "mariadb")
NAME = _words(190)  # characters: a utf8mb4 index key of MySQL holds 191
WORD = _words(40)
DOCUMENT = Json().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
