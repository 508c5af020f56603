"""The console's users, sessions and tries at passwords; the newest deliveries in their order."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ID = sa.String(32).with_variant(mysql.CHAR(32, charset="ascii", collation="ascii_bin"), "mysql", "mariadb")
NAME = sa.String(190)
TABLE: dict[str, Any] = {
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_bin",
}


def upgrade() -> None:
    op.create_table(
        "console_user",
        sa.Column("name", NAME, nullable=False),
        sa.Column("role", sa.String(40), nullable=False),
        sa.Column("password_hash", sa.String(200), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("disabled_at", sa.BigInteger()),
        sa.Column("signed_in_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_console_user")),
        **TABLE,
    )
    op.create_table(
        "console_session",
        sa.Column("id_hash", sa.String(64), nullable=False),
        sa.Column("user", NAME, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id_hash", name=op.f("pk_console_session")),
        **TABLE,
    )
    op.create_index("ix_console_session_user", "console_session", ["user"])
    op.create_table(
        "console_guess",
        sa.Column("id", ID, nullable=False),
        sa.Column("tries", sa.SmallInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_console_guess")),
        **TABLE,
    )
    op.create_index("ix_console_guess_last_at", "console_guess", ["last_at"])
    op.create_index("ix_delivery_created_at", "delivery", ["created_at", "id"])
