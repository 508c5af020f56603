"""Tables of the books: what is told of events and deliveries by day, and the days of which all is over."""

from sqlalchemy import BigInteger, Column, Index, Integer, Table

from notifier.store.core.columns import DOCUMENT, ID, MYSQL_OPTIONS, WORD, metadata

tally = Table(
    "tally",
    metadata,
    Column("id", ID, primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("day", Integer, nullable=False),  # since 1970, with which an event's or a delivery's id is dated
    Column("part", WORD, nullable=False),
    Column("state", WORD, nullable=False),
    Column("channel", WORD, nullable=False),
    Column("reason", WORD, nullable=False),
    **MYSQL_OPTIONS,
)

seal = Table(  # of a day on which all is over: its sums, written once, and the sum of what was corrected since
    "seal",
    metadata,
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("sealed_at", BigInteger, nullable=False),
    Column("sums", DOCUMENT, nullable=False),
    Column("corrections", DOCUMENT),
    **MYSQL_OPTIONS,
)

Index("ix_tally_day", tally.c.day)
