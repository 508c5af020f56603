"""What all processes know of a provider: its pace and its rest, where no Redis keeps them."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TABLE: dict[str, Any] = {
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_bin",
}
NAME = sa.String(190).with_variant(sa.String(190, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "provider",
        sa.Column("id", NAME, nullable=False),
        sa.Column("spoken_for", sa.BigInteger(), nullable=False),
        sa.Column("began", sa.BigInteger(), nullable=False),
        sa.Column("rests_until", sa.BigInteger(), nullable=False),
        sa.Column("tripped", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider")),
        **TABLE,
    )
