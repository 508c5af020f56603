"""Versions and drafts of the texts; a delivery records its version."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

JSON = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
NAME = sa.String(190)
TABLE: dict[str, Any] = {
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_bin",
}


def upgrade() -> None:
    op.add_column("delivery", sa.Column("version", sa.Integer()))
    op.create_index("ix_event_accepted_at", "event", ["accepted_at"])
    op.create_table(
        "template_version",
        sa.Column("type", NAME, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("wording", JSON, nullable=False),
        sa.Column("origin", sa.String(40), nullable=False),
        sa.Column("published_at", sa.BigInteger(), nullable=False),
        sa.Column("actor", NAME, nullable=False),
        sa.Column("why", sa.String(1000), nullable=False),
        sa.PrimaryKeyConstraint("type", "number", name=op.f("pk_template_version")),
        **TABLE,
    )
    op.create_table(
        "template_draft",
        sa.Column("type", NAME, nullable=False),
        sa.Column("wording", JSON, nullable=False),
        sa.Column("based_on", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("actor", NAME, nullable=False),
        sa.PrimaryKeyConstraint("type", name=op.f("pk_template_draft")),
        **TABLE,
    )
