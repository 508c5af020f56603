"""The index of what a mark may stop, in words that no other query repeats."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    stoppable = sa.text("lower(state) IN ('pending', 'sending', 'collected')")
    op.drop_index("ix_delivery_about", "delivery")
    op.create_index(
        "ix_delivery_about", "delivery", ["about"], postgresql_where=stoppable, sqlite_where=stoppable
    )  # fmt: skip
