"""Days that are over are sealed: a row each, with their sums. The clock writes them, those of earlier days too."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

TABLE: dict[str, Any] = {
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_bin",
}
DOCUMENT = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "seal",
        sa.Column("day", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("sealed_at", sa.BigInteger(), nullable=False),
        sa.Column("sums", DOCUMENT, nullable=False),
        sa.Column("corrections", DOCUMENT),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_seal")),
        **TABLE,
    )
