"""Tables of the log of changes: what became of deliveries, in the order in which it is told, and to whom."""

from sqlalchemy import BigInteger, Column, Index, Integer, SmallInteger, String, Table

from notifier.store.core.columns import DOCUMENT, HEX, MYSQL_OPTIONS, NAME, WORD, metadata

delivery_change = Table(  # of one transaction: its changes, and the position of the first, null until it has its place
    "delivery_change",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("position", BigInteger),
    Column("at", BigInteger, nullable=False),
    Column("number", Integer, nullable=False),
    Column("changes", DOCUMENT, nullable=False),
    **MYSQL_OPTIONS,
)

change_order = Table(  # one row: the position that the next change gets; whoever gives positions locks it
    "change_order",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("next", BigInteger, nullable=False),
    **MYSQL_OPTIONS,
)

subscription = Table(  # of all buckets: a service that is told, and how far it has got
    "subscription",
    metadata,
    Column("id", NAME, primary_key=True),
    Column("key_id", HEX, nullable=False),
    Column("url", String(2048), nullable=False),
    Column("owner", String(200), nullable=False),
    Column("states", DOCUMENT, nullable=False),
    Column("types", DOCUMENT, nullable=False),
    Column("sources", DOCUMENT, nullable=False),
    Column("secret", String(200), nullable=False),
    Column("previous_secret", String(200)),
    Column("previous_until", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("place", DOCUMENT, nullable=False),
    Column("until", DOCUMENT),
    Column("due_at", BigInteger, nullable=False),
    Column("lease_token", HEX),
    Column("paused", WORD),
    Column("paused_at", BigInteger),
    Column("failures", Integer, nullable=False),
    Column("failing_since", BigInteger),
    Column("answer", WORD),
    Column("answered_at", BigInteger),
    **MYSQL_OPTIONS,
)

# What follows a position, and what has none yet, in the order in which it was written?
Index("ix_delivery_change_position", delivery_change.c.position, delivery_change.c.id)
