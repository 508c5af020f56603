"""The tables. Instants are epoch milliseconds (UTC), ids the hash of what makes a thing the same
(`deliveries.make_id`).

`signal_at` is the clock's column: when it must look at the row next, null once nothing more can happen by itself. Its
index holds open rows only (on MariaDB, which has no partial indexes, all rows), so a look costs the same at any size.
"""

from typing import Any

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, SmallInteger, String, Table, Text, text
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine

metadata = MetaData(
    naming_convention={"ix": "ix_%(table_name)s_%(column_0_name)s", "pk": "pk_%(table_name)s"},
)

MYSQL_OPTIONS: dict[str, Any] = {
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_bin",
}


class Json(Text):
    """A JSON document kept as its text: written whole, read whole; only `conditions` look into one."""

    cache_ok = True


def _words(length: int) -> String:
    """So many characters, which compare byte by byte on every engine: PostgreSQL would go by the server's language."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


def _id() -> TypeEngine[str]:
    return _words(32).with_variant(mysql.CHAR(32, charset="ascii", collation="ascii_bin"), "mysql", "mariadb")


def _json() -> TypeEngine[str]:
    return Json().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


NAME = _words(190)  # characters: a utf8mb4 index key of MySQL holds 191
WORD = _words(40)

event = Table(
    "event",
    metadata,
    Column("id", _id(), primary_key=True),
    Column("source", String(1000), nullable=False),
    Column("source_id", String(1000), nullable=False),
    Column("type", NAME, nullable=False),
    Column("subject", String(1000)),
    Column("occurred_at", BigInteger, nullable=False),
    Column("accepted_at", BigInteger, nullable=False),
    Column("digest", _id(), nullable=False),
    Column("data", _json(), nullable=False),
    Column("tries", SmallInteger, nullable=False, server_default="0"),
    Column("decided_at", BigInteger),
    Column("deliveries", Integer),
    Column("quarantined_at", BigInteger),
    Column("handled_at", BigInteger),
    Column("signal_at", BigInteger),
    Column("cursor", NAME),
    **MYSQL_OPTIONS,
)

delivery = Table(
    "delivery",
    metadata,
    Column("id", _id(), primary_key=True),
    Column("event_id", _id(), nullable=False),
    Column("recipient_id", NAME, nullable=False),
    Column("type", NAME, nullable=False),
    Column("channel", WORD, nullable=False),
    Column("target", _id(), nullable=False),
    Column("lane", WORD, nullable=False),
    Column("about", _id(), nullable=False),
    Column("state", WORD, nullable=False),
    Column("reason", WORD),
    Column("code", WORD),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("signal_at", BigInteger),
    Column("attempts", SmallInteger, nullable=False),
    Column("crashes", SmallInteger, nullable=False, server_default="0"),
    Column("lease_token", _id()),
    Column("provider", WORD),
    Column("provider_reference", NAME),
    Column("locale", WORD),
    Column("redrive_of", _id()),
    Column("handled_at", BigInteger),
    Column("step", SmallInteger, nullable=False, server_default="0"),
    Column("digest_id", _id()),
    Column("time_zone", String(64)),
    Column("content_hash", String(64)),
    Column("version", Integer),
    **MYSQL_OPTIONS,
)

attempt = Table(
    "attempt",
    metadata,
    Column("delivery_id", _id(), primary_key=True),
    Column("number", SmallInteger, primary_key=True, autoincrement=False),
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger, nullable=False),
    Column("provider", WORD, nullable=False),
    Column("outcome", WORD, nullable=False),
    Column("code", WORD),
    **MYSQL_OPTIONS,
)

decision = Table(
    "decision",
    metadata,
    Column("event_id", _id(), primary_key=True),
    Column("type", NAME, primary_key=True),
    Column("recipient_id", NAME, primary_key=True),
    Column("decided_at", BigInteger, nullable=False),
    Column("answers", _json(), nullable=False),
    Column("standing", _json()),
    **MYSQL_OPTIONS,
)

supersession = Table(
    "supersession",
    metadata,
    Column("about", _id(), primary_key=True),
    Column("until", BigInteger, nullable=False),
    Column("reason", WORD, nullable=False),
    Column("event_id", _id(), nullable=False),
    **MYSQL_OPTIONS,
)

recipient = Table(
    "recipient",
    metadata,
    Column("id", NAME, primary_key=True),
    Column("kind", WORD, nullable=False),
    Column("name", String(200)),
    Column("email", String(320)),
    Column("email_key", _id()),
    Column("phone", String(20)),
    Column("phone_key", _id()),
    Column("locale", WORD, nullable=False),
    Column("time_zone", String(64), nullable=False),
    Column("region", WORD),
    Column("tenants", _json(), nullable=False),
    Column("attributes", _json(), nullable=False),
    Column("preferences", _json(), nullable=False),
    Column("consents", _json(), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    **MYSQL_OPTIONS,
)

device = Table(
    "device",
    metadata,
    Column("id", _id(), primary_key=True),
    Column("recipient_id", NAME, nullable=False),
    Column("kind", WORD, nullable=False),
    Column("value", Text, nullable=False),
    Column("platform", WORD, nullable=False),
    Column("last_seen", BigInteger, nullable=False),
    **MYSQL_OPTIONS,
)

membership = Table(
    "membership",
    metadata,
    Column("audience", NAME, primary_key=True),
    Column("recipient_id", NAME, primary_key=True),
    Column("position", SmallInteger, nullable=False, server_default="0"),
    **MYSQL_OPTIONS,
)

preference_change = Table(
    "preference_change",
    metadata,
    Column("id", _id(), primary_key=True),
    Column("recipient_id", NAME, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("actor", NAME, nullable=False),
    Column("preferences", _json(), nullable=False),
    **MYSQL_OPTIONS,
)

consent = Table(
    "consent",
    metadata,
    Column("id", _id(), primary_key=True),
    Column("recipient_id", NAME, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("category", NAME, nullable=False),
    Column("channel", WORD, nullable=False),
    Column("granted", SmallInteger, nullable=False),
    Column("wording", NAME, nullable=False),
    Column("source", NAME, nullable=False),
    Column("actor", NAME, nullable=False),
    **MYSQL_OPTIONS,
)

tenant = Table(
    "tenant",
    metadata,
    Column("name", NAME, primary_key=True),
    Column("defaults", _json(), nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    **MYSQL_OPTIONS,
)

segment = Table(
    "segment",
    metadata,
    Column("id", NAME, primary_key=True),
    Column("name", String(200), nullable=False),
    Column("conditions", _json(), nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    **MYSQL_OPTIONS,
)

template_version = Table(
    "template_version",
    metadata,
    Column("type", NAME, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("wording", _json(), nullable=False),
    Column("origin", WORD, nullable=False),
    Column("published_at", BigInteger, nullable=False),
    Column("actor", NAME, nullable=False),
    Column("why", String(1000), nullable=False),
    **MYSQL_OPTIONS,
)

template_draft = Table(
    "template_draft",
    metadata,
    Column("type", NAME, primary_key=True),
    Column("wording", _json(), nullable=False),
    Column("based_on", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("actor", NAME, nullable=False),
    **MYSQL_OPTIONS,
)

suppression = Table(
    "suppression",
    metadata,
    Column("address_key", _id(), primary_key=True),
    Column("reason", WORD, nullable=False),
    Column("since", BigInteger, nullable=False),
    **MYSQL_OPTIONS,
)

erasure = Table(
    "erasure",
    metadata,
    Column("id", _id(), primary_key=True),
    Column("names", _json(), nullable=False),
    Column("requested_at", BigInteger, nullable=False),
    Column("signal_at", BigInteger),
    **MYSQL_OPTIONS,
)

secret = Table(
    "secret",
    metadata,
    Column("name", WORD, primary_key=True),
    Column("value", String(200), nullable=False),
    **MYSQL_OPTIONS,
)

audit = Table(
    "audit",
    metadata,
    Column("id", _id(), primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("actor", NAME, nullable=False),
    Column("action", WORD, nullable=False),
    Column("subject", NAME, nullable=False),
    Column("detail", String(1000), nullable=False),
    **MYSQL_OPTIONS,
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", _id(), primary_key=True),
    Column("name", NAME, nullable=False),
    Column("secret_hash", String(64), nullable=False),
    Column("scopes", NAME, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    **MYSQL_OPTIONS,
)

console_user = Table(
    "console_user",
    metadata,
    Column("name", NAME, primary_key=True),
    Column("role", WORD, nullable=False),
    Column("password_hash", String(200), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("disabled_at", BigInteger),
    Column("signed_in_at", BigInteger),
    **MYSQL_OPTIONS,
)

console_session = Table(
    "console_session",
    metadata,
    Column("id_hash", String(64), primary_key=True),
    Column("user", NAME, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("used_at", BigInteger, nullable=False),
    **MYSQL_OPTIONS,
)

console_guess = Table(
    "console_guess",
    metadata,
    Column("id", _id(), primary_key=True),
    Column("tries", SmallInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    **MYSQL_OPTIONS,
)

test_contact = Table(
    "test_contact",
    metadata,
    Column("name", NAME, primary_key=True),
    Column("phone", WORD),
    Column("email", String(320)),
    Column("token", Text),
    **MYSQL_OPTIONS,
)

charging_session = Table(
    "charging_session",
    metadata,
    Column("id", _id(), primary_key=True),
    Column("state", _json(), nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    **MYSQL_OPTIONS,
)


def _open(table: Table, column: Column[int]) -> None:
    Index(
        f"ix_{table.name}_{column.name}",
        column,
        postgresql_where=column.is_not(None),
        sqlite_where=column.is_not(None),
    )


_open(event, event.c.signal_at)
Index(
    "ix_delivery_due", delivery.c.lane, delivery.c.channel, delivery.c.state, delivery.c.signal_at,
    postgresql_where=delivery.c.signal_at.is_not(None), sqlite_where=delivery.c.signal_at.is_not(None),
)  # fmt: skip
_open(erasure, erasure.c.signal_at)

# What waits for a person. SQLite takes a partial index only for a query that repeats its words.
DEAD = "state IN ('failed', 'undelivered') AND handled_at IS NULL"
QUARANTINED = "quarantined_at IS NOT NULL AND handled_at IS NULL"
Index(
    "ix_delivery_dead", delivery.c.state, delivery.c.updated_at, delivery.c.id, postgresql_where=text(DEAD),
    sqlite_where=text(DEAD),
)  # fmt: skip
Index(
    "ix_event_quarantined", event.c.quarantined_at, event.c.id, postgresql_where=text(QUARANTINED),
    sqlite_where=text(QUARANTINED),
)  # fmt: skip

# What a mark may still stop. In words that no other query says: PostgreSQL, whose statistics are always behind a burst,
# takes a handful of open rows for granted, and would read all of this index to find the hundred rows of a batch.
STOPPABLE = "lower(delivery.state) IN ('pending', 'sending', 'collected')"
_STOPPABLE = STOPPABLE.replace("delivery.", "")
Index(
    "ix_delivery_about", delivery.c.about, postgresql_where=text(_STOPPABLE), sqlite_where=text(_STOPPABLE)
)  # fmt: skip

DIGEST = "digest_id IS NOT NULL"
Index("ix_delivery_digest_id", delivery.c.digest_id, postgresql_where=text(DIGEST), sqlite_where=text(DIGEST))

Index("ix_event_accepted_at", event.c.accepted_at)
Index("ix_audit_at", audit.c.at)
Index("ix_console_guess_last_at", console_guess.c.last_at)
Index("ix_console_session_user", console_session.c.user)
Index("ix_consent_recipient_id", consent.c.recipient_id, consent.c.at)
Index("ix_preference_change_recipient_id", preference_change.c.recipient_id, preference_change.c.at)
Index("ix_decision_recipient_id", decision.c.recipient_id, decision.c.decided_at)
Index("ix_delivery_created_at", delivery.c.created_at, delivery.c.id)  # the newest, page by page
Index("ix_delivery_event_id", delivery.c.event_id)
Index("ix_delivery_recipient_id", delivery.c.recipient_id, delivery.c.created_at)
Index("ix_device_recipient_id", device.c.recipient_id)
Index("ix_membership_recipient_id", membership.c.recipient_id)
Index("ix_recipient_phone_key", recipient.c.phone_key)  # whose text came in
Index("ix_recipient_email_key", recipient.c.email_key)
