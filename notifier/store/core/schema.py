"""The tables. Instants are epoch milliseconds (UTC), ids the hash of what makes a thing the same
(`deliveries.make_id`).

`signal_at` is the clock's column: when it must look at the row next, null once nothing more can happen by itself. Its
index holds open rows only (on MariaDB, which has no partial indexes, all rows), so a look costs the same at any size.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, SmallInteger, String, Table, Text, text

from notifier.store.core import staff  # noqa: F401 (its tables are of the same metadata)
from notifier.store.core.columns import DOCUMENT, ID, MYSQL_OPTIONS, NAME, WORD
from notifier.store.core.columns import metadata as metadata

event = Table(
    "event",
    metadata,
    Column("id", ID, primary_key=True),
    Column("source", String(1000), nullable=False),
    Column("source_id", String(1000), nullable=False),
    Column("type", NAME, nullable=False),
    Column("subject", String(1000)),
    Column("occurred_at", BigInteger, nullable=False),
    Column("accepted_at", BigInteger, nullable=False),
    Column("digest", ID, nullable=False),
    Column("data", DOCUMENT, nullable=False),
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
    Column("id", ID, primary_key=True),
    Column("event_id", ID, nullable=False),
    Column("recipient_id", NAME, nullable=False),
    Column("type", NAME, nullable=False),
    Column("channel", WORD, nullable=False),
    Column("target", ID, nullable=False),
    Column("lane", WORD, nullable=False),
    Column("about", ID, nullable=False),
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
    Column("lease_token", ID),
    Column("provider", WORD),
    Column("provider_reference", NAME),
    Column("locale", WORD),
    Column("redrive_of", ID),
    Column("handled_at", BigInteger),
    Column("step", SmallInteger, nullable=False, server_default="0"),
    Column("digest_id", ID),
    Column("time_zone", String(64)),
    Column("content_hash", String(64)),
    Column("version", Integer),
    **MYSQL_OPTIONS,
)

attempt = Table(
    "attempt",
    metadata,
    Column("delivery_id", ID, primary_key=True),
    Column("number", SmallInteger, primary_key=True, autoincrement=False),
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger, nullable=False),
    Column("provider", WORD, nullable=False),
    Column("outcome", WORD, nullable=False),
    Column("code", WORD),
    **MYSQL_OPTIONS,
)

delivery_note = Table(
    "delivery_note",
    metadata,
    Column("delivery_id", ID, primary_key=True),
    Column("recipient_id", NAME, nullable=False),
    Column("seen_at", BigInteger),
    Column("read_at", BigInteger),
    Column("archived_at", BigInteger),
    Column("updated_at", BigInteger, nullable=False),
    **MYSQL_OPTIONS,
)

decision = Table(
    "decision",
    metadata,
    Column("event_id", ID, primary_key=True),
    Column("type", NAME, primary_key=True),
    Column("recipient_id", NAME, primary_key=True),
    Column("decided_at", BigInteger, nullable=False),
    Column("answers", DOCUMENT, nullable=False),
    Column("standing", DOCUMENT),
    **MYSQL_OPTIONS,
)

supersession = Table(
    "supersession",
    metadata,
    Column("about", ID, primary_key=True),
    Column("until", BigInteger, nullable=False),
    Column("reason", WORD, nullable=False),
    Column("event_id", ID, nullable=False),
    **MYSQL_OPTIONS,
)

recipient = Table(
    "recipient",
    metadata,
    Column("id", NAME, primary_key=True),
    Column("kind", WORD, nullable=False),
    Column("name", String(200)),
    Column("email", String(320)),
    Column("email_key", ID),
    Column("phone", String(20)),
    Column("phone_key", ID),
    Column("addresses", DOCUMENT),
    Column("locale", WORD, nullable=False),
    Column("time_zone", String(64), nullable=False),
    Column("region", WORD),
    Column("tenants", DOCUMENT, nullable=False),
    Column("attributes", DOCUMENT, nullable=False),
    Column("preferences", DOCUMENT, nullable=False),
    Column("consents", DOCUMENT, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    **MYSQL_OPTIONS,
)

device = Table(
    "device",
    metadata,
    Column("id", ID, primary_key=True),
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
    Column("id", ID, primary_key=True),
    Column("recipient_id", NAME, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("actor", NAME, nullable=False),
    Column("preferences", DOCUMENT, nullable=False),
    **MYSQL_OPTIONS,
)

consent = Table(
    "consent",
    metadata,
    Column("id", ID, primary_key=True),
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
    Column("defaults", DOCUMENT, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    **MYSQL_OPTIONS,
)

segment = Table(
    "segment",
    metadata,
    Column("id", NAME, primary_key=True),
    Column("name", String(200), nullable=False),
    Column("conditions", DOCUMENT, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    **MYSQL_OPTIONS,
)

suppression = Table(
    "suppression",
    metadata,
    Column("address_key", ID, primary_key=True),
    Column("reason", WORD, nullable=False),
    Column("since", BigInteger, nullable=False),
    **MYSQL_OPTIONS,
)

erasure = Table(
    "erasure",
    metadata,
    Column("id", ID, primary_key=True),
    Column("names", DOCUMENT, nullable=False),
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

provider = Table(
    "provider",
    metadata,
    Column("id", NAME, primary_key=True),
    Column("spoken_for", BigInteger, nullable=False),  # this and the next two in microseconds since 1970
    Column("began", BigInteger, nullable=False),
    Column("rests_until", BigInteger, nullable=False),
    Column("tripped", SmallInteger, nullable=False),
    **MYSQL_OPTIONS,
)

charging_session = Table(
    "charging_session",
    metadata,
    Column("id", ID, primary_key=True),
    Column("state", DOCUMENT, nullable=False),
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
Index("ix_consent_recipient_id", consent.c.recipient_id, consent.c.at)
Index("ix_preference_change_recipient_id", preference_change.c.recipient_id, preference_change.c.at)
Index("ix_decision_recipient_id", decision.c.recipient_id, decision.c.decided_at)
Index("ix_delivery_created_at", delivery.c.created_at, delivery.c.id)  # the newest, page by page
Index("ix_delivery_event_id", delivery.c.event_id)
Index("ix_delivery_recipient_id", delivery.c.recipient_id, delivery.c.created_at)
Index("ix_delivery_note_recipient_id", delivery_note.c.recipient_id)  # whose they were, once they are erased
Index("ix_device_recipient_id", device.c.recipient_id)
Index("ix_membership_recipient_id", membership.c.recipient_id)
Index("ix_recipient_phone_key", recipient.c.phone_key)  # whose text came in
Index("ix_recipient_email_key", recipient.c.email_key)
