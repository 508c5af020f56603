"""An API key may be for tests, and limited by the day as well as by the second."""

revision = "0022-0021"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
