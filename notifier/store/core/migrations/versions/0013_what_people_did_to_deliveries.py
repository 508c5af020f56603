"""What people did with messages in an app's inbox: seen, read, archived."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

TABLE: dict[str, Any] = {
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_bin",
}


def _words(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


ID = _words(32).with_variant(mysql.CHAR(32, charset="ascii", collation="ascii_bin"), "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "delivery_note",
        sa.Column("delivery_id", ID, nullable=False),
        sa.Column("recipient_id", _words(190), nullable=False),
        sa.Column("seen_at", sa.BigInteger()),
        sa.Column("read_at", sa.BigInteger()),
        sa.Column("archived_at", sa.BigInteger()),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("delivery_id", name=op.f("pk_delivery_note")),
        **TABLE,
    )
    op.create_index("ix_delivery_note_recipient_id", "delivery_note", ["recipient_id"])
