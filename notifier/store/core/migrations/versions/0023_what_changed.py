"""What became of deliveries is told to those who subscribe to it."""

revision = "0023-0021"
down_revision = "0022-0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
