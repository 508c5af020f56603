"""Places and their ports are kept, and what the ports say."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql, postgresql

revision = "0028-0021"
down_revision = "0027-0021"
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
        "station_revision",
        sa.Column("id", sa.SmallInteger(), nullable=False, autoincrement=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_station_revision")),
        **TABLE,
    )
    op.create_table(
        "location",
        sa.Column("id", NAME, nullable=False),
        sa.Column("party", WORD, nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("address", sa.String(200), nullable=False),
        sa.Column("city", sa.String(200), nullable=False),
        sa.Column("country", WORD, nullable=False),
        sa.Column("operator", sa.String(255), nullable=False),
        sa.Column("time_zone", sa.String(64)),
        sa.Column("latitude", sa.BigInteger(), nullable=False),
        sa.Column("longitude", sa.BigInteger(), nullable=False),
        sa.Column("hidden", sa.SmallInteger(), nullable=False),
        sa.Column("last_updated", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("document", DOCUMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_location")),
        **TABLE,
    )
    op.create_index("ix_location_revision", "location", ["revision"])
    op.create_index("ix_location_party", "location", ["party", "last_updated"])
    op.create_table(
        "evse",
        sa.Column("id", NAME, nullable=False),
        sa.Column("location_id", NAME, nullable=False),
        sa.Column("uid", NAME, nullable=False),
        sa.Column("connectors", DOCUMENT, nullable=False),
        sa.Column("station", NAME),
        sa.Column("port", sa.Integer()),
        sa.Column("source", WORD, nullable=False),
        sa.Column("status", WORD, nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("last_updated", sa.BigInteger(), nullable=False),
        sa.Column("heard_at", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("settled", sa.SmallInteger(), nullable=False),
        sa.Column("next_check_at", sa.BigInteger()),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("document", DOCUMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evse")),
        **TABLE,
    )
    for column in ("revision", "location_id", "station", "next_check_at"):
        op.create_index(f"ix_evse_{column}", "evse", [column])
    op.create_table(
        "evse_status",
        sa.Column("id", ID, nullable=False),
        sa.Column("evse_id", NAME, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("status", WORD, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evse_status")),
        **TABLE,
    )
    op.create_index("ix_evse_status_evse_id", "evse_status", ["evse_id", "at"])


def downgrade() -> None:
    for name in ("evse_status", "evse", "location", "station_revision"):
        op.drop_table(name)
