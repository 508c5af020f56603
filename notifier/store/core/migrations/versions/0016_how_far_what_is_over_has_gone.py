"""How far the rows that are over have gone, and which of them were still open when their turn came."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0016"
down_revision = "0015"
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
        "retention_mark",
        sa.Column("name", _words(190), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_retention_mark")),
        **TABLE,
    )
    op.create_table(
        "retention_late",
        sa.Column("part", _words(40), nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.PrimaryKeyConstraint("part", "id", name=op.f("pk_retention_late")),
        **TABLE,
    )
