"""A recipient keeps addresses that are of one channel alone, such as an endpoint: an object by the channel's name."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

DOCUMENT = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


def upgrade() -> None:
    op.add_column("recipient", sa.Column("addresses", DOCUMENT))
