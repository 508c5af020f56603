"""People are assigned to arms of experiments, and the rows of their messages say which."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql, postgresql

revision = "0025-0021"
down_revision = "0024-0021"
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
ID = sa.String(32).with_variant(postgresql.UUID(), "postgresql").with_variant(mysql.BINARY(16), "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "experiment",
        sa.Column("id", NAME, nullable=False),
        sa.Column("type", NAME, nullable=False),
        sa.Column("state", WORD, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("document", DOCUMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_experiment")),
        **TABLE,
    )
    op.create_table(
        "exposure",
        sa.Column("id", ID, nullable=False),
        sa.Column("experiment", NAME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exposure")),
        **TABLE,
    )
    op.create_index("ix_exposure_experiment", "exposure", ["experiment"])
    op.add_column("awaited_outcome", sa.Column("person", ID))
    op.add_column("delivery", sa.Column("variant", NAME))


def downgrade() -> None:
    op.drop_column("delivery", "variant")
    op.drop_column("awaited_outcome", "person")
    op.drop_table("exposure")
    op.drop_table("experiment")
