"""The tables. Instants are epoch milliseconds (UTC), ids the hash of what makes a thing the same (`domain.ids`). Those
of events and deliveries are dated: they follow each other as the events did, and `identity` says which date one has.

An event is written once (`event`). What a worker or the clock may still have to do for it is in `open_event`, a row
that is deleted once the event is decided; what was decided of it is in `plan`. A delivery is written once as well
(`delivery`): what isn't over of it is in `open_delivery`, what became of it in `outcome`; `lease` holds what workers
took as they decided it. So the rows that are changed and looked through are as few as what is open, whatever is over.
What the books say stands in `core.books`, what is told to others in `core.change_log`, what messages achieve in
`core.effects`, how far removal has come in `core.removal`, places and their ports in `core.stations`. `core.status`
reads a delivery.

`next_check_at` is the clock's column: when it must look at the row next, null once nothing more can happen by itself.
Its index holds open rows only (on MariaDB, which has no partial indexes, all rows), so a look costs the same at any
size.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, SmallInteger, String, Table, Text, text

from notifier.store.core import books, change_log, effects, removal, staff, stations  # noqa: F401 (their tables are of the same metadata)
from notifier.store.core.columns import DOCUMENT, HEX, ID, MYSQL_OPTIONS, NAME, TAIL, WORD, by_instant
from notifier.store.core.columns import metadata as metadata

identity = Table(  # when a thing with an undated id was first seen
    "identity",
    metadata,
    Column("id", ID, primary_key=True),
    Column("first_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
    **MYSQL_OPTIONS,
)

event = Table(
    "event",
    metadata,
    Column("id", ID, primary_key=True),
    Column("digest", ID, nullable=False),
    Column("occurred_at", BigInteger, nullable=False),
    Column("accepted_at", BigInteger, nullable=False),
    Column("source", String(1000), nullable=False),
    Column("source_id", String(1000), nullable=False),
    Column("type", NAME, nullable=False),
    Column("subject", String(1000)),
    Column("data", DOCUMENT, nullable=False),
    **by_instant("id"),
)

open_event = Table(
    "open_event",
    metadata,
    Column("id", ID, primary_key=True),
    Column("next_check_at", BigInteger),
    Column("quarantined_at", BigInteger),
    Column("handled_at", BigInteger),
    Column("deliveries", Integer),
    Column("tries", SmallInteger, nullable=False, server_default="0"),
    Column("cursor", NAME),
    Column("audiences", DOCUMENT),
    **MYSQL_OPTIONS,
)

plan = Table(
    "plan",
    metadata,
    Column("event_id", ID, primary_key=True),
    Column("decided_at", BigInteger, nullable=False),
    Column("deliveries", Integer, nullable=False),
    **by_instant("event_id"),
)

delivery = Table(  # as it was decided: written once
    "delivery",
    metadata,
    Column("id", ID, primary_key=True),
    Column("event_id", ID, nullable=False),
    Column("subject_key", ID, nullable=False),
    Column("digest_id", ID),
    Column("redrive_of", ID),
    Column("lease_token", ID),
    Column("created_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("step", SmallInteger, nullable=False, server_default="0"),
    Column("recipient_id", NAME, nullable=False),
    Column("type", NAME, nullable=False),
    Column("channel", WORD, nullable=False),
    Column("target", HEX, nullable=False),
    Column("lane", WORD, nullable=False),
    Column("state", WORD, nullable=False),
    Column("reason", WORD),
    Column("variant", NAME),
    **by_instant("id"),
)

earlier_delivery = Table(  # a delivery of before ids were dated, by the first 20 digits of its id then
    "earlier_delivery",
    metadata,
    Column("tail", TAIL, primary_key=True),
    Column("id", ID, nullable=False),
    sqlite_with_rowid=False,
    **MYSQL_OPTIONS,
)

open_delivery = Table(  # a delivery that isn't over, as it is now; a dead letter stays until a person handles it
    "open_delivery",
    metadata,
    Column("id", ID, primary_key=True),
    Column("subject_key", ID, nullable=False),
    Column("lease_token", ID),
    Column("updated_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("next_check_at", BigInteger),
    Column("attempts", SmallInteger, nullable=False),
    Column("crashes", SmallInteger, nullable=False, server_default="0"),
    Column("lane", WORD, nullable=False),
    Column("channel", WORD, nullable=False),
    Column("state", WORD, nullable=False),
    Column("reason", WORD),
    Column("code", WORD),
    **MYSQL_OPTIONS,
)

lease = Table(  # of deliveries that a worker took as it decided them, by one channel
    "lease",
    metadata,
    Column("token", ID, primary_key=True),
    Column("channel", WORD, nullable=False),
    Column("ends_at", BigInteger, nullable=False),
    Column("waiting", Integer, nullable=False),
    Column("deliveries", DOCUMENT, nullable=False),
    **MYSQL_OPTIONS,
)

outcome = Table(  # what became of a delivery, step by step: appended
    "outcome",
    metadata,
    Column("delivery_id", ID, primary_key=True),
    Column("content_hash", ID),
    Column("at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("handled_at", BigInteger),
    Column("version", Integer),
    Column("number", SmallInteger, primary_key=True, autoincrement=False),
    Column("attempts", SmallInteger, nullable=False),
    Column("crashes", SmallInteger, nullable=False, server_default="0"),
    Column("state", WORD, nullable=False),
    Column("reason", WORD),
    Column("code", WORD),
    Column("answer", WORD),
    Column("provider", WORD),
    Column("provider_reference", NAME),
    Column("locale", WORD),
    Column("time_zone", String(64)),
    **by_instant("delivery_id"),
)

delivery_note = Table(
    "delivery_note",
    metadata,
    Column("delivery_id", ID, primary_key=True),
    Column("recipient_id", NAME, nullable=False),
    Column("seen_at", BigInteger),
    Column("read_at", BigInteger),
    Column("archived_at", BigInteger),
    Column("clicked_at", BigInteger),
    Column("updated_at", BigInteger, nullable=False),
    **by_instant("delivery_id"),
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
    **by_instant("event_id"),
)

supersession = Table(
    "supersession",
    metadata,
    Column("subject_key", ID, primary_key=True),
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
    Column("email_key", HEX),
    Column("phone", String(20)),
    Column("phone_key", HEX),
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
    Column("id", HEX, primary_key=True),
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

reach = Table(  # the buckets in which an audience has, or had, members; of all buckets
    "reach",
    metadata,
    Column("audience", NAME, primary_key=True),
    Column("bucket", SmallInteger, primary_key=True, autoincrement=False),
    **MYSQL_OPTIONS,
)

preference_change = Table(
    "preference_change",
    metadata,
    Column("id", HEX, primary_key=True),
    Column("recipient_id", NAME, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("actor", NAME, nullable=False),
    Column("preferences", DOCUMENT, nullable=False),
    **MYSQL_OPTIONS,
)

consent = Table(
    "consent",
    metadata,
    Column("id", HEX, primary_key=True),
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
    Column("address_key", HEX, primary_key=True),
    Column("reason", WORD, nullable=False),
    Column("since", BigInteger, nullable=False),
    **MYSQL_OPTIONS,
)

erasure = Table(
    "erasure",
    metadata,
    Column("id", HEX, primary_key=True),
    Column("names", DOCUMENT, nullable=False),
    Column("requested_at", BigInteger, nullable=False),
    Column("next_check_at", BigInteger),
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
    Column("id", HEX, primary_key=True),
    Column("state", DOCUMENT, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    **MYSQL_OPTIONS,
)


# Indexes: as few as the questions need that are asked beside a primary key, each with its question.


def _open(table: Table, column: Column[int]) -> None:
    Index(
        f"ix_{table.name}_{column.name}",
        column,
        postgresql_where=column.is_not(None),
        sqlite_where=column.is_not(None),
    )


_open(open_event, open_event.c.next_check_at)  # which events does the clock signal?
_open(erasure, erasure.c.next_check_at)  # which erasures are to be swept up?
Index("ix_lease_ends_at", lease.c.ends_at)  # which leases have ended?
Index(  # which deliveries of a queue are due, and which of their leases have ended?
    "ix_open_delivery_due", open_delivery.c.lane, open_delivery.c.channel, open_delivery.c.state,
    open_delivery.c.next_check_at, postgresql_where=open_delivery.c.next_check_at.is_not(None),
    sqlite_where=open_delivery.c.next_check_at.is_not(None),
)  # fmt: skip
# What may a supersession still stop, and which digest of a group is open?
Index("ix_open_delivery_subject_key", open_delivery.c.subject_key)

# Which dead letters wait for a person? SQLite uses a partial index only for a query that repeats its condition.
IS_DEAD = "open_delivery.state IN ('failed', 'undelivered')"
_DEAD = text(IS_DEAD.replace("open_delivery.", ""))
Index(
    "ix_open_delivery_dead", open_delivery.c.state, open_delivery.c.updated_at, open_delivery.c.id,
    postgresql_where=_DEAD, sqlite_where=_DEAD,
)  # fmt: skip
QUARANTINED = "quarantined_at IS NOT NULL AND handled_at IS NULL"
Index(
    "ix_open_event_quarantined", open_event.c.quarantined_at, open_event.c.id, postgresql_where=text(QUARANTINED),
    sqlite_where=text(QUARANTINED),
)  # fmt: skip

DIGEST = "digest_id IS NOT NULL"
Index(  # what goes out in this digest?
    "ix_delivery_digest_id", delivery.c.digest_id, postgresql_where=text(DIGEST), sqlite_where=text(DIGEST)
)
Index("ix_delivery_event_id", delivery.c.event_id)  # what became of this event?
Index("ix_delivery_created_at", delivery.c.created_at)  # which are the newest? (those of a batch share an entry)
# What has this person heard, since when, and what is there about them to be exported or erased?
Index("ix_delivery_recipient_id", delivery.c.recipient_id, delivery.c.created_at)
Index("ix_decision_recipient_id", decision.c.recipient_id, decision.c.decided_at)
Index("ix_delivery_note_recipient_id", delivery_note.c.recipient_id)
Index("ix_consent_recipient_id", consent.c.recipient_id, consent.c.at)
Index("ix_preference_change_recipient_id", preference_change.c.recipient_id, preference_change.c.at)
Index("ix_device_recipient_id", device.c.recipient_id)  # which devices has this person?
Index("ix_membership_recipient_id", membership.c.recipient_id)  # in which audiences is this person?
Index("ix_recipient_phone_key", recipient.c.phone_key)  # who sent this text?
Index("ix_recipient_email_key", recipient.c.email_key)  # whose mailbox is this?
