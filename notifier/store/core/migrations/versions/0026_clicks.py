"""Links that people follow are counted."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql, postgresql

revision = "0026-0021"
down_revision = "0025-0021"
branch_labels = None
depends_on = None

ID = sa.String(32).with_variant(postgresql.UUID(), "postgresql").with_variant(mysql.BINARY(16), "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "click",
        sa.Column("delivery_id", ID, nullable=False),
        sa.Column("link", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("delivery_id", "link", name=op.f("pk_click")),
        mysql_charset="utf8mb4", mysql_collate="utf8mb4_bin", mariadb_charset="utf8mb4", mariadb_collate="utf8mb4_bin",
    )  # fmt: skip
    op.create_index("ix_click_at", "click", ["at"])
    op.add_column("delivery_note", sa.Column("clicked_at", sa.BigInteger()))


def downgrade() -> None:
    op.drop_column("delivery_note", "clicked_at")
    op.drop_table("click")
