"""Preferences, consent, tenants, segments; steps and digests of deliveries; content as sent."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from notifier.store.core.resumable import has_column

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ID = sa.String(32).with_variant(mysql.CHAR(32, charset="ascii", collation="ascii_bin"), "mysql", "mariadb")
JSON = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
NAME = sa.String(190)
WORD = sa.String(40)
TABLE: dict[str, Any] = {
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_bin",
}


def upgrade() -> None:
    _add_columns()
    _add_tables()
    op.create_index(
        "ix_delivery_digest_id", "delivery", ["digest_id"], postgresql_where=sa.text("digest_id IS NOT NULL"),
        sqlite_where=sa.text("digest_id IS NOT NULL"),
    )  # fmt: skip
    op.drop_index("ix_delivery_signal_at", "delivery")
    op.create_index(
        "ix_delivery_due", "delivery", ["lane", "channel", "state", "signal_at"],
        postgresql_where=sa.text("signal_at IS NOT NULL"), sqlite_where=sa.text("signal_at IS NOT NULL"),
    )  # fmt: skip
    stoppable = sa.text("state IN ('pending', 'sending', 'collected')")
    op.create_index(
        "ix_delivery_about", "delivery", ["about"], postgresql_where=stoppable, sqlite_where=stoppable
    )  # fmt: skip
    op.create_index("ix_recipient_email_key", "recipient", ["email_key"])
    op.create_index("ix_decision_recipient_id", "decision", ["recipient_id", "decided_at"])


def _add_columns() -> None:
    op.add_column("event", sa.Column("cursor", NAME))
    for column in (
        sa.Column("step", sa.SmallInteger(), nullable=False, server_default="0"),
        sa.Column("digest_id", ID),
        sa.Column("time_zone", sa.String(64)),
        sa.Column("content_hash", sa.String(64)),
    ):
        op.add_column("delivery", column)
    op.add_column("decision", sa.Column("standing", JSON))
    op.add_column("membership", sa.Column("position", sa.SmallInteger(), nullable=False, server_default="0"))
    op.add_column("recipient", sa.Column("region", WORD))
    empty = {"tenants": "[]", "attributes": "{}", "preferences": "{}", "consents": "{}"}
    for name in empty:
        op.add_column("recipient", sa.Column(name, JSON))
    if has_column(op.get_bind(), "recipient", "switches"):  # otherwise a killed run has already moved them
        recipient = sa.table("recipient", *(sa.column(name, sa.Text()) for name in (*empty, "switches")))
        op.execute(sa.update(recipient).values(empty))
        switched = sa.literal('{"switches":') + recipient.c.switches + sa.literal("}")  # each engine's concatenation
        op.execute(sa.update(recipient).where(recipient.c.switches != "{}").values(preferences=switched))
    with op.batch_alter_table("recipient") as batch:
        batch.drop_column("switches")
        for name in empty:
            batch.alter_column(name, existing_type=JSON, nullable=False)


def _add_tables() -> None:
    op.create_table(
        "preference_change",
        sa.Column("id", ID, nullable=False),
        sa.Column("recipient_id", NAME, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", NAME, nullable=False),
        sa.Column("preferences", JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_preference_change")),
        **TABLE,
    )
    op.create_index("ix_preference_change_recipient_id", "preference_change", ["recipient_id", "at"])
    op.create_table(
        "consent",
        sa.Column("id", ID, nullable=False),
        sa.Column("recipient_id", NAME, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("category", NAME, nullable=False),
        sa.Column("channel", WORD, nullable=False),
        sa.Column("granted", sa.SmallInteger(), nullable=False),
        sa.Column("wording", NAME, nullable=False),
        sa.Column("source", NAME, nullable=False),
        sa.Column("actor", NAME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent")),
        **TABLE,
    )
    op.create_index("ix_consent_recipient_id", "consent", ["recipient_id", "at"])
    op.create_table(
        "tenant",
        sa.Column("name", NAME, nullable=False),
        sa.Column("defaults", JSON, nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_tenant")),
        **TABLE,
    )
    op.create_table(
        "segment",
        sa.Column("id", NAME, nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("conditions", JSON, nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_segment")),
        **TABLE,
    )
    op.create_table(
        "erasure",
        sa.Column("id", ID, nullable=False),
        sa.Column("names", JSON, nullable=False),
        sa.Column("requested_at", sa.BigInteger(), nullable=False),
        sa.Column("signal_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasure")),
        **TABLE,
    )
    op.create_index(
        "ix_erasure_signal_at", "erasure", ["signal_at"], postgresql_where=sa.text("signal_at IS NOT NULL"),
        sqlite_where=sa.text("signal_at IS NOT NULL"),
    )  # fmt: skip
