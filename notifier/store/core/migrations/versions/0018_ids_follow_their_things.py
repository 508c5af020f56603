"""Ids of events and deliveries begin with an instant and are kept in 16 bytes; `identity` says which date a thing has.

Columns have the names that the code has for them: `next_check_at` was `signal_at`, and `subject_key` was `about`.

Each table is written anew beside the one before (`dated_event` beside `event`), a day of rows at a time, so that rows
go in by the order of their new ids; then the new ones take the place of the old. On MySQL and MariaDB each day is
committed, a run that was interrupted is gone on with, and all tables change places in one statement.

No delivery is under a lease of many here: leases came with revision 0017, and no process ran in between.
"""

from typing import Any, Final

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Connection

from notifier.store.core.migrations.dating import COLUMNS, HEX, ID, TAIL, Copy
from notifier.store.core.resumable import has_table

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

TABLE: dict[str, Any] = {
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_bin",
}


def _column(name: str, kind: Any, default: str | None = None) -> sa.Column[Any]:
    """A column that has a value, or may have none where its name ends with `?`."""
    return sa.Column(name.rstrip("?"), kind, nullable=name.endswith("?"), server_default=default, autoincrement=False)


KEYS: Final = {
    "outcome": ("delivery_id", "number"), "decision": ("event_id", "type", "recipient_id"),
    "retention_late": ("part", "id"),
}  # fmt: skip
"""The primary key, where it isn't the first column alone."""

INDEXES: Final[list[tuple[str, list[str], str | None]]] = [
    ("open_event", ["next_check_at"], "next_check_at IS NOT NULL"),
    ("open_event", ["quarantined", "quarantined_at", "id"], "quarantined_at IS NOT NULL AND handled_at IS NULL"),
    ("open_delivery", ["due", "lane", "channel", "state", "next_check_at"], "next_check_at IS NOT NULL"),
    ("open_delivery", ["dead", "state", "updated_at", "id"], "state IN ('failed', 'undelivered')"),
    ("open_delivery", ["subject_key"], None),
    ("lease", ["ends_at"], None),
    ("tally", ["day"], None),
    ("decision", ["recipient_id", "recipient_id", "decided_at"], None),
    ("delivery", ["created_at"], None),
    ("delivery", ["event_id"], None),
    ("delivery", ["recipient_id", "recipient_id", "created_at"], None),
    ("delivery", ["digest_id"], "digest_id IS NOT NULL"),
    ("delivery_note", ["recipient_id"], None),
    ("erasure", ["next_check_at"], "next_check_at IS NOT NULL"),
]
"""Indexes: the table, the name's end and the columns (the same where there is one), the condition."""


def upgrade() -> None:
    connection = op.get_bind()
    if not has_table(connection, "dated"):
        if has_table(connection, "identity") and not has_table(connection, "dated_event"):
            return  # all is done, and only the revision was not written down
        _make_tables()
        Copy(connection, op.get_context().opts["tell"]).everything()
        op.create_table("dated", sa.Column("done", sa.SmallInteger()), **TABLE)
    _change_places(connection)
    op.drop_table("renamed_delivery")
    op.drop_index("ix_erasure_signal_at", "erasure")
    op.alter_column("erasure", "signal_at", new_column_name="next_check_at", existing_type=sa.BigInteger())
    for table, columns, condition in INDEXES:
        where = None if condition is None else sa.text(condition)
        name, *of = columns if len(columns) > 1 else columns * 2
        op.create_index(f"ix_{table}_{name}", table, of, postgresql_where=where, sqlite_where=where)
    op.drop_table("dated")


def _make_tables() -> None:
    for table, columns in COLUMNS.items():
        key = KEYS.get(table) or (columns[0][0],)
        op.create_table(
            f"dated_{table}",
            *(_column(*column) for column in columns),
            sa.PrimaryKeyConstraint(*key, name=op.f(f"pk_dated_{table}")),
            **TABLE,
        )
    op.create_table(
        "identity",
        sa.Column("id", ID, nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity")),
        sqlite_with_rowid=False,
        **TABLE,
    )
    op.create_table(
        "earlier_delivery",
        sa.Column("tail", TAIL, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.PrimaryKeyConstraint("tail", name=op.f("pk_earlier_delivery")),
        sqlite_with_rowid=False,
        **TABLE,
    )
    op.create_table(
        "renamed_delivery",
        sa.Column("old", HEX, nullable=False),
        sa.Column("new", HEX, nullable=False),
        sa.PrimaryKeyConstraint("old", name=op.f("pk_renamed_delivery")),
        **TABLE,
    )


def _change_places(connection: Connection) -> None:
    """Put the new tables in the place of the old ones."""
    ours = [table for table in COLUMNS if has_table(connection, f"dated_{table}")]
    if connection.dialect.name in ("mysql", "mariadb"):
        if ours:
            moves = (f"{table} TO old_{table}, dated_{table} TO {table}" for table in ours)
            op.execute(f"RENAME TABLE {', '.join(moves)}")
        for table in COLUMNS:
            op.drop_table(f"old_{table}")
        return
    for table in ours:
        op.drop_table(table)
        op.rename_table(f"dated_{table}", table)
        if connection.dialect.name == "postgresql":
            op.execute(f"ALTER TABLE {table} RENAME CONSTRAINT pk_dated_{table} TO pk_{table}")
