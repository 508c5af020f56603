"""Tables of the log of changes: what became of deliveries, in the order in which it is told."""

from sqlalchemy import BigInteger, Column, Index, Integer, SmallInteger, Table

from notifier.store.core.columns import DOCUMENT, MYSQL_OPTIONS, metadata

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

# What follows a position, and what has none yet, in the order in which it was written?
Index("ix_delivery_change_position", delivery_change.c.position, delivery_change.c.id)
