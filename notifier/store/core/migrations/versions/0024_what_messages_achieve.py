"""What messages achieve is counted, and what they are for is awaited."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql, postgresql

revision = "0024-0021"
down_revision = "0023-0021"
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


NAME, WORD = _words(190), _words(40)
ID = sa.String(32).with_variant(postgresql.UUID(), "postgresql").with_variant(mysql.BINARY(16), "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "effect",
        sa.Column("id", ID, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("hour", sa.Integer(), nullable=False),
        sa.Column("after", sa.SmallInteger(), nullable=False),
        sa.Column("type", NAME, nullable=False),
        sa.Column("channel", WORD, nullable=False),
        sa.Column("locale", WORD, nullable=False),
        sa.Column("variant", NAME, nullable=False),
        sa.Column("what", WORD, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_effect")),
        **TABLE,
    )
    op.create_index("ix_effect_hour", "effect", ["hour"])
    op.create_index("ix_effect_type", "effect", ["type", "hour"])
    op.create_table(
        "awaited_outcome",
        sa.Column("id", ID, nullable=False),
        sa.Column("subject_key", ID, nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("answered_at", sa.BigInteger()),
        sa.Column("next_check_at", sa.BigInteger(), nullable=False),
        sa.Column("type", NAME, nullable=False),
        sa.Column("channels", NAME, nullable=False),
        sa.Column("locale", WORD, nullable=False),
        sa.Column("variant", NAME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_awaited_outcome")),
        **TABLE,
    )
    op.create_index("ix_awaited_outcome_subject_key", "awaited_outcome", ["subject_key"])
    op.create_index("ix_awaited_outcome_next_check_at", "awaited_outcome", ["next_check_at"])
    op.create_table(
        "effect_place",
        sa.Column("id", sa.SmallInteger(), nullable=False, autoincrement=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_effect_place")),
        **TABLE,
    )


def downgrade() -> None:
    op.drop_table("effect_place")
    op.drop_table("awaited_outcome")
    op.drop_table("effect")
