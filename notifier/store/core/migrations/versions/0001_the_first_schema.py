"""The first schema: events, deliveries and their decisions, recipients, keys, and sessions that peers tell of."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.String(32).with_variant(mysql.CHAR(32, charset="ascii", collation="ascii_bin"), "mysql", "mariadb")
JSON = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
TABLE: dict[str, Any] = {
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_bin",
}


def upgrade() -> None:
    op.create_table(
        "api_key",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.String(length=190), nullable=False),
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.String(length=190), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_key")),
        **TABLE,
    )
    op.create_table(
        "attempt",
        sa.Column("delivery_id", ID, nullable=False),
        sa.Column("number", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=False),
        sa.Column("provider", sa.String(length=40), nullable=False),
        sa.Column("outcome", sa.String(length=40), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=True),
        sa.PrimaryKeyConstraint("delivery_id", "number", name=op.f("pk_attempt")),
        **TABLE,
    )
    op.create_table(
        "audit",
        sa.Column("id", ID, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=190), nullable=False),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=190), nullable=False),
        sa.Column("detail", sa.String(length=1000), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
        **TABLE,
    )
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.create_index("ix_audit_at", ["at"], unique=False)

    op.create_table(
        "charging_session",
        sa.Column("id", ID, nullable=False),
        sa.Column("state", JSON, nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_charging_session")),
        **TABLE,
    )
    op.create_table(
        "decision",
        sa.Column("event_id", ID, nullable=False),
        sa.Column("type", sa.String(length=190), nullable=False),
        sa.Column("recipient_id", sa.String(length=190), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=False),
        sa.Column("answers", JSON, nullable=False),
        sa.PrimaryKeyConstraint("event_id", "type", "recipient_id", name=op.f("pk_decision")),
        **TABLE,
    )
    op.create_table(
        "delivery",
        sa.Column("id", ID, nullable=False),
        sa.Column("event_id", ID, nullable=False),
        sa.Column("recipient_id", sa.String(length=190), nullable=False),
        sa.Column("type", sa.String(length=190), nullable=False),
        sa.Column("channel", sa.String(length=40), nullable=False),
        sa.Column("target", ID, nullable=False),
        sa.Column("lane", sa.String(length=40), nullable=False),
        sa.Column("about", ID, nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=True),
        sa.Column("code", sa.String(length=40), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("signal_at", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.SmallInteger(), nullable=False),
        sa.Column("crashes", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("lease_token", ID, nullable=True),
        sa.Column("provider", sa.String(length=40), nullable=True),
        sa.Column("provider_reference", sa.String(length=190), nullable=True),
        sa.Column("locale", sa.String(length=40), nullable=True),
        sa.Column("redrive_of", ID, nullable=True),
        sa.Column("handled_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery")),
        **TABLE,
    )
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.create_index(
            "ix_delivery_dead",
            ["state", "updated_at", "id"],
            unique=False,
            postgresql_where=sa.text("state IN ('failed', 'undelivered') AND handled_at IS NULL"),
            sqlite_where=sa.text("state IN ('failed', 'undelivered') AND handled_at IS NULL"),
        )
        batch_op.create_index("ix_delivery_event_id", ["event_id"], unique=False)
        batch_op.create_index("ix_delivery_recipient_id", ["recipient_id", "created_at"], unique=False)
        batch_op.create_index(
            "ix_delivery_signal_at",
            ["signal_at"],
            unique=False,
            postgresql_where=sa.text("signal_at IS NOT NULL"),
            sqlite_where=sa.text("signal_at IS NOT NULL"),
        )

    op.create_table(
        "device",
        sa.Column("id", ID, nullable=False),
        sa.Column("recipient_id", sa.String(length=190), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("platform", sa.String(length=40), nullable=False),
        sa.Column("last_seen", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_device")),
        **TABLE,
    )
    with op.batch_alter_table("device", schema=None) as batch_op:
        batch_op.create_index("ix_device_recipient_id", ["recipient_id"], unique=False)

    op.create_table(
        "event",
        sa.Column("id", ID, nullable=False),
        sa.Column("source", sa.String(length=1000), nullable=False),
        sa.Column("source_id", sa.String(length=1000), nullable=False),
        sa.Column("type", sa.String(length=190), nullable=False),
        sa.Column("subject", sa.String(length=1000), nullable=True),
        sa.Column("occurred_at", sa.BigInteger(), nullable=False),
        sa.Column("accepted_at", sa.BigInteger(), nullable=False),
        sa.Column("digest", ID, nullable=False),
        sa.Column("data", JSON, nullable=False),
        sa.Column("tries", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("deliveries", sa.Integer(), nullable=True),
        sa.Column("quarantined_at", sa.BigInteger(), nullable=True),
        sa.Column("handled_at", sa.BigInteger(), nullable=True),
        sa.Column("signal_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
        **TABLE,
    )
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.create_index(
            "ix_event_quarantined",
            ["quarantined_at", "id"],
            unique=False,
            postgresql_where=sa.text("quarantined_at IS NOT NULL AND handled_at IS NULL"),
            sqlite_where=sa.text("quarantined_at IS NOT NULL AND handled_at IS NULL"),
        )
        batch_op.create_index(
            "ix_event_signal_at",
            ["signal_at"],
            unique=False,
            postgresql_where=sa.text("signal_at IS NOT NULL"),
            sqlite_where=sa.text("signal_at IS NOT NULL"),
        )

    op.create_table(
        "membership",
        sa.Column("audience", sa.String(length=190), nullable=False),
        sa.Column("recipient_id", sa.String(length=190), nullable=False),
        sa.PrimaryKeyConstraint("audience", "recipient_id", name=op.f("pk_membership")),
        **TABLE,
    )
    with op.batch_alter_table("membership", schema=None) as batch_op:
        batch_op.create_index("ix_membership_recipient_id", ["recipient_id"], unique=False)

    op.create_table(
        "recipient",
        sa.Column("id", sa.String(length=190), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=True),
        sa.Column("email", sa.String(length=320), nullable=True),
        sa.Column("email_key", ID, nullable=True),
        sa.Column("phone", sa.String(length=20), nullable=True),
        sa.Column("phone_key", ID, nullable=True),
        sa.Column("locale", sa.String(length=40), nullable=False),
        sa.Column("time_zone", sa.String(length=64), nullable=False),
        sa.Column("switches", JSON, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recipient")),
        **TABLE,
    )
    with op.batch_alter_table("recipient", schema=None) as batch_op:
        batch_op.create_index("ix_recipient_phone_key", ["phone_key"], unique=False)

    op.create_table(
        "secret",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("value", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_secret")),
        **TABLE,
    )
    op.create_table(
        "supersession",
        sa.Column("about", ID, nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("event_id", ID, nullable=False),
        sa.PrimaryKeyConstraint("about", name=op.f("pk_supersession")),
        **TABLE,
    )
    op.create_table(
        "suppression",
        sa.Column("address_key", ID, nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("address_key", name=op.f("pk_suppression")),
        **TABLE,
    )


def downgrade() -> None:
    op.drop_table("suppression")
    op.drop_table("supersession")
    op.drop_table("secret")
    with op.batch_alter_table("recipient", schema=None) as batch_op:
        batch_op.drop_index("ix_recipient_phone_key")

    op.drop_table("recipient")
    with op.batch_alter_table("membership", schema=None) as batch_op:
        batch_op.drop_index("ix_membership_recipient_id")

    op.drop_table("membership")
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_event_signal_at",
            postgresql_where=sa.text("signal_at IS NOT NULL"),
            sqlite_where=sa.text("signal_at IS NOT NULL"),
        )
        batch_op.drop_index(
            "ix_event_quarantined",
            postgresql_where=sa.text("quarantined_at IS NOT NULL AND handled_at IS NULL"),
            sqlite_where=sa.text("quarantined_at IS NOT NULL AND handled_at IS NULL"),
        )

    op.drop_table("event")
    with op.batch_alter_table("device", schema=None) as batch_op:
        batch_op.drop_index("ix_device_recipient_id")

    op.drop_table("device")
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_delivery_signal_at",
            postgresql_where=sa.text("signal_at IS NOT NULL"),
            sqlite_where=sa.text("signal_at IS NOT NULL"),
        )
        batch_op.drop_index("ix_delivery_recipient_id")
        batch_op.drop_index("ix_delivery_event_id")
        batch_op.drop_index(
            "ix_delivery_dead",
            postgresql_where=sa.text("state IN ('failed', 'undelivered') AND handled_at IS NULL"),
            sqlite_where=sa.text("state IN ('failed', 'undelivered') AND handled_at IS NULL"),
        )

    op.drop_table("delivery")
    op.drop_table("decision")
    op.drop_table("charging_session")
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.drop_index("ix_audit_at")

    op.drop_table("audit")
    op.drop_table("attempt")
    op.drop_table("api_key")
