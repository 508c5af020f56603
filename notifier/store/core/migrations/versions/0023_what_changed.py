"""What became of deliveries is told to those who subscribe to it."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0023-0021"
down_revision = "0022-0021"
branch_labels = None
depends_on = None

TABLE: dict[str, Any] = {
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_bin",
}
DOCUMENT = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


def _words(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


NAME, WORD = _words(190), _words(40)
HEX = _words(32).with_variant(mysql.CHAR(32, charset="ascii", collation="ascii_bin"), "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "delivery_change",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False, autoincrement=True),
        sa.Column("position", sa.BigInteger()),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("changes", DOCUMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery_change")),
        **TABLE,
    )
    op.create_index("ix_delivery_change_position", "delivery_change", ["position", "id"])
    op.create_table(
        "change_order",
        sa.Column("id", sa.SmallInteger(), nullable=False, autoincrement=False),
        sa.Column("next", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_change_order")),
        **TABLE,
    )
    op.create_table(
        "subscription",
        sa.Column("id", NAME, nullable=False),
        sa.Column("key_id", HEX, nullable=False),
        sa.Column("url", sa.String(2048), nullable=False),
        sa.Column("owner", sa.String(200), nullable=False),
        *(sa.Column(name, DOCUMENT, nullable=False) for name in ("states", "types", "sources")),
        sa.Column("secret", sa.String(200), nullable=False),
        sa.Column("previous_secret", sa.String(200)),
        sa.Column("previous_until", sa.BigInteger()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("place", DOCUMENT, nullable=False),
        sa.Column("until", DOCUMENT),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("lease_token", HEX),
        sa.Column("paused", WORD),
        sa.Column("paused_at", sa.BigInteger()),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failing_since", sa.BigInteger()),
        sa.Column("answer", WORD),
        sa.Column("answered_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscription")),
        **TABLE,
    )


def downgrade() -> None:
    op.drop_table("subscription")
    op.drop_table("change_order")
    op.drop_table("delivery_change")
