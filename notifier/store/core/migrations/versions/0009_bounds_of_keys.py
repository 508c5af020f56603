"""Keys expire, are bound to sources, event types and a rate, and say when they were last used."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

DOCUMENT = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


def upgrade() -> None:
    op.add_column("api_key", sa.Column("expires_at", sa.BigInteger()))
    op.add_column("api_key", sa.Column("used_at", sa.BigInteger()))
    op.add_column("api_key", sa.Column("sources", DOCUMENT))
    op.add_column("api_key", sa.Column("types", DOCUMENT))
    op.add_column("api_key", sa.Column("rate", sa.Double()))
