"""A delivery is written once: what is open of it stands apart, and what became of it is appended.

As in revision 0015, rows are moved a slice of ids at a time, on MySQL and MariaDB each slice is committed, and a run
that was interrupted is gone on with.
"""

import secrets
from typing import Any, Final

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from notifier.store.core.resumable import has_column, keep

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

DAY: Final = 86_400_000  # milliseconds
SLICES: Final = "0123456789abcdef"
"""The first digits of ids, which are evenly spread hashes: of six million rows 375,000 each."""

TABLE: dict[str, Any] = {
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_bin",
}


def _words(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


ID = _words(32).with_variant(mysql.CHAR(32, charset="ascii", collation="ascii_bin"), "mysql", "mariadb")
WORD = _words(40)
DOCUMENT = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
GONE: Final = (
    "updated_at", "signal_at", "attempts", "crashes", "code", "provider", "provider_reference", "locale",
    "handled_at", "time_zone", "content_hash", "version",
)  # fmt: skip

TRIES: Final = """
    INSERT INTO outcome (delivery_id, number, at, state, code, attempts, started_at, answer, provider)
    SELECT a.delivery_id, a.number, a.ended_at, CASE WHEN a.outcome = 'sent' THEN 'sent' ELSE 'pending' END, a.code,
           a.number, a.started_at, a.outcome, a.provider
    FROM attempt a
    WHERE a.delivery_id >= :first AND a.delivery_id < :next
      AND NOT EXISTS (SELECT 1 FROM outcome o WHERE o.delivery_id = a.delivery_id AND o.number = a.number)"""
LAST: Final = """
    INSERT INTO outcome (delivery_id, number, at, state, reason, code, attempts, crashes, started_at, provider,
                         provider_reference, locale, time_zone, content_hash, version, handled_at)
    SELECT d.id, d.attempts + 1, d.updated_at, d.state, d.reason, d.code, d.attempts, d.crashes, d.due_at, d.provider,
           d.provider_reference, d.locale, d.time_zone, d.content_hash, d.version, d.handled_at
    FROM delivery d
    WHERE d.id >= :first AND d.id < :next
      AND (d.attempts > 0 OR d.code IS NOT NULL OR d.provider IS NOT NULL OR d.content_hash IS NOT NULL
           OR d.handled_at IS NOT NULL)
      AND NOT EXISTS (SELECT 1 FROM outcome o WHERE o.delivery_id = d.id AND o.number = d.attempts + 1)"""
OPEN: Final = """
    INSERT INTO open_delivery (id, lane, channel, about, state, reason, code, updated_at, due_at, signal_at, attempts,
                               crashes, lease_token)
    SELECT d.id, d.lane, d.channel, d.about, d.state, d.reason, d.code, d.updated_at, d.due_at, d.signal_at,
           d.attempts, d.crashes, d.lease_token
    FROM delivery d
    LEFT JOIN delivery digest ON digest.id = d.digest_id
    WHERE (d.state IN ('pending', 'sending', 'unknown')
           OR (d.state IN ('failed', 'undelivered') AND d.handled_at IS NULL)
           OR (d.state = 'collected' AND digest.state = 'pending' AND digest.attempts = 0))
      AND NOT EXISTS (SELECT 1 FROM open_delivery o WHERE o.id = d.id)"""
OVER: Final = """
    SELECT d.created_at - d.created_at % :day AS day, d.state, d.channel, coalesce(d.reason, '') AS reason, count(*)
    FROM delivery d LEFT JOIN open_delivery o ON o.id = d.id
    WHERE o.id IS NULL
    GROUP BY 1, 2, 3, 4"""


def upgrade() -> None:
    _tables()
    if has_column(op.get_bind(), "delivery", GONE[0]):  # otherwise all has been moved
        _rows()
    for index in ("ix_delivery_due", "ix_delivery_dead", "ix_delivery_about", "ix_delivery_created_at"):
        op.drop_index(index, "delivery")
    op.create_index("ix_delivery_created_at", "delivery", ["created_at"])
    for column in GONE:
        op.drop_column("delivery", column)
    op.drop_table("attempt")


def _tables() -> None:
    op.create_table(
        "open_delivery",
        sa.Column("id", ID, nullable=False),
        sa.Column("lane", WORD, nullable=False),
        sa.Column("channel", WORD, nullable=False),
        sa.Column("about", ID, nullable=False),
        sa.Column("state", WORD, nullable=False),
        sa.Column("reason", WORD),
        sa.Column("code", WORD),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("signal_at", sa.BigInteger()),
        sa.Column("attempts", sa.SmallInteger(), nullable=False),
        sa.Column("crashes", sa.SmallInteger(), nullable=False, server_default="0"),
        sa.Column("lease_token", ID),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_open_delivery")),
        **TABLE,
    )
    op.create_index(
        "ix_open_delivery_due", "open_delivery", ["lane", "channel", "state", "signal_at"],
        postgresql_where=sa.text("signal_at IS NOT NULL"), sqlite_where=sa.text("signal_at IS NOT NULL"),
    )  # fmt: skip
    dead = sa.text("state IN ('failed', 'undelivered')")
    op.create_index(
        "ix_open_delivery_dead", "open_delivery", ["state", "updated_at", "id"], postgresql_where=dead,
        sqlite_where=dead,
    )  # fmt: skip
    op.create_index("ix_open_delivery_about", "open_delivery", ["about"])
    op.create_table(
        "lease",
        sa.Column("token", ID, nullable=False),
        sa.Column("channel", WORD, nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("waiting", sa.Integer(), nullable=False),
        sa.Column("deliveries", DOCUMENT, nullable=False),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_lease")),
        **TABLE,
    )
    op.create_index("ix_lease_ends_at", "lease", ["ends_at"])
    op.create_table(
        "outcome",
        sa.Column("delivery_id", ID, nullable=False),
        sa.Column("number", sa.SmallInteger(), nullable=False, autoincrement=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("state", WORD, nullable=False),
        sa.Column("reason", WORD),
        sa.Column("code", WORD),
        sa.Column("attempts", sa.SmallInteger(), nullable=False),
        sa.Column("crashes", sa.SmallInteger(), nullable=False, server_default="0"),
        sa.Column("started_at", sa.BigInteger()),
        sa.Column("answer", WORD),
        sa.Column("provider", WORD),
        sa.Column("provider_reference", _words(190)),
        sa.Column("locale", WORD),
        sa.Column("time_zone", sa.String(64)),
        sa.Column("content_hash", sa.String(64)),
        sa.Column("version", sa.Integer()),
        sa.Column("handled_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("delivery_id", "number", name=op.f("pk_outcome")),
        **TABLE,
    )


def _rows() -> None:
    connection = op.get_bind()
    connection.execute(sa.text(OPEN))
    some = connection.execute(sa.text("SELECT 1 FROM delivery LIMIT 1")).first() is not None
    for number, (first, behind) in enumerate(zip(SLICES, [*SLICES[1:], "g"], strict=True), start=1) if some else ():
        op.get_context().opts["tell"](f"deliveries, part {number} of {len(SLICES)}")
        for statement in (TRIES, LAST):
            connection.execute(sa.text(statement), {"first": first, "next": behind})
        keep(connection)
    # From here on the column names a lease of the new kind, and no delivery is under one.
    connection.execute(sa.text("UPDATE delivery SET lease_token = NULL WHERE lease_token IS NOT NULL"))
    connection.execute(sa.text("DELETE FROM tally WHERE part = 'delivery'"))
    for day, state, channel, reason, count in list(connection.execute(sa.text(OVER), {"day": DAY})):
        connection.execute(
            sa.text(
                "INSERT INTO tally (id, day, part, state, channel, reason, number)"
                " VALUES (:id, :day, 'delivery', :state, :channel, :reason, :number)"
            ),
            {
                "id": secrets.token_hex(16), "day": day // DAY, "state": state, "channel": channel, "reason": reason,
                "number": count,
            },
        )  # fmt: skip
    keep(connection)
