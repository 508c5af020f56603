"""On PostgreSQL ids, names and words compare byte by byte, as they do on the other engines and in Python: an order that
doesn't depend on the server's language, and indexes that cost less."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

LENGTHS = (32, 40, 190)  # the collation of ids, words and names only


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    columns = sa.table(
        "columns",
        *map(sa.column, ("table_schema", "table_name", "column_name", "character_maximum_length")),
        schema="information_schema",
    )
    found = connection.execute(
        sa.select(columns.c.table_name, columns.c.column_name, columns.c.character_maximum_length)
        .where(columns.c.table_schema == sa.func.current_schema(), columns.c.character_maximum_length.in_(LENGTHS))
        .where(columns.c.table_name != "alembic_version")
    )
    changes: dict[str, list[str]] = {}
    quote = connection.dialect.identifier_preparer.quote
    for table, column, length in found:
        changes.setdefault(table, []).append(f'ALTER COLUMN {quote(column)} TYPE varchar({length}) COLLATE "C"')
    for table, parts in changes.items():  # in one statement: each index is rebuilt once
        op.execute(f"ALTER TABLE {quote(table)} {', '.join(parts)}")
