"""Deliveries can be listed by what services ask for."""

revision = "0024-0021"
down_revision = "0023-0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
