"""Mails of campaigns are counted, and a campaign that people don't want is paused."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql, postgresql

revision = "0027-0021"
down_revision = "0026-0021"
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


WORD = _words(40)
ID = sa.String(32).with_variant(postgresql.UUID(), "postgresql").with_variant(mysql.BINARY(16), "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "campaign",
        sa.Column("event_id", ID, nullable=False),
        sa.Column("sent", sa.BigInteger(), nullable=False),
        sa.Column("undelivered", sa.BigInteger(), nullable=False),
        sa.Column("complained", sa.BigInteger(), nullable=False),
        sa.Column("paused_at", sa.BigInteger()),
        sa.Column("handled_at", sa.BigInteger()),
        sa.Column("next_check_at", sa.BigInteger()),
        sa.Column("state", WORD, nullable=False),
        sa.Column("reason", WORD),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_campaign")),
        **TABLE,
    )
    op.create_index("ix_campaign_next_check_at", "campaign", ["next_check_at"])
    op.create_index("ix_campaign_state", "campaign", ["state", "paused_at", "event_id"])


def downgrade() -> None:
    op.drop_table("campaign")
