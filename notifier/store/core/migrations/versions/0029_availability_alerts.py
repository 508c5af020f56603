"""People wait for free ports of places."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql, postgresql

revision = "0029-0021"
down_revision = "0028-0021"
branch_labels = None
depends_on = None

TABLE: dict[str, Any] = {
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_bin",
}
IS_TO_BE_TOLD = sa.text("tell_at IS NOT NULL")


def _words(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


NAME, WORD = _words(190), _words(40)
ID = sa.String(32).with_variant(postgresql.UUID(), "postgresql").with_variant(mysql.BINARY(16), "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "availability_alert",
        sa.Column("id", ID, nullable=False),
        sa.Column("location_id", NAME, nullable=False),
        sa.Column("recipient_id", NAME, nullable=False),
        sa.Column("connector", WORD),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("state", WORD, nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("ended", WORD),
        sa.Column("evse_id", NAME),
        sa.Column("epoch", sa.Integer()),
        sa.Column("tell_at", sa.BigInteger()),
        sa.Column("next_check_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_availability_alert")),
        **TABLE,
    )
    op.create_index("ix_availability_alert_location_id", "availability_alert", ["location_id", "asked_at"])
    op.create_index("ix_availability_alert_recipient_id", "availability_alert", ["recipient_id"])
    op.create_index("ix_availability_alert_next_check_at", "availability_alert", ["next_check_at"])
    op.create_index(
        "ix_availability_alert_tell_at", "availability_alert", ["tell_at"],
        postgresql_where=IS_TO_BE_TOLD, sqlite_where=IS_TO_BE_TOLD,
    )  # fmt: skip


def downgrade() -> None:
    op.drop_table("availability_alert")
