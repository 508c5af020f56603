"""A database may have buckets: in which ones an audience has members, and which audiences a copy of an event is for."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

TABLE: dict[str, Any] = {
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_bin",
}
DOCUMENT = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
NAME = sa.String(190).with_variant(sa.String(190, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "reach",
        sa.Column("audience", NAME, nullable=False),
        sa.Column("bucket", sa.SmallInteger(), nullable=False, autoincrement=False),
        sa.PrimaryKeyConstraint("audience", "bucket", name=op.f("pk_reach")),
        **TABLE,
    )
    op.add_column("open_event", sa.Column("audiences", DOCUMENT))
