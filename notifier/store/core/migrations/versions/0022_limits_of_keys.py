"""An API key may be for tests, have another in its place, be limited by the day, and have more scopes than fitted."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0022-0021"
down_revision = "0021"
branch_labels = None
depends_on = None

TABLE: dict[str, Any] = {
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_bin",
}
NAME = sa.String(190).with_variant(sa.String(190, collation="C"), "postgresql")
SCOPES = sa.String(1000)
HEX = (
    sa.String(32)
    .with_variant(sa.String(32, collation="C"), "postgresql")
    .with_variant(mysql.CHAR(32, charset="ascii", collation="ascii_bin"), "mysql", "mariadb")
)


def upgrade() -> None:
    op.add_column("api_key", sa.Column("daily", sa.BigInteger()))
    op.add_column("api_key", sa.Column("test", sa.SmallInteger(), nullable=False, server_default="0"))
    op.add_column("api_key", sa.Column("replaced_by", HEX))
    with op.batch_alter_table("api_key") as table:
        table.alter_column("scopes", type_=SCOPES, existing_type=NAME, existing_nullable=False)
    op.create_table(
        "key_usage",
        sa.Column("id", HEX, nullable=False),
        sa.Column("spoken_for", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_key_usage")),
        **TABLE,
    )


def downgrade() -> None:
    op.drop_table("key_usage")
    with op.batch_alter_table("api_key") as table:
        table.alter_column("scopes", type_=NAME, existing_type=SCOPES, existing_nullable=False)
    op.drop_column("api_key", "replaced_by")
    op.drop_column("api_key", "test")
    op.drop_column("api_key", "daily")
