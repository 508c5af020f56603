"""Tables of what is kept no longer: how far its removal has come, and what was still open when its turn came."""

from sqlalchemy import BigInteger, Column, Table

from notifier.store.core.columns import HEX, ID, MYSQL_OPTIONS, NAME, WORD, metadata

retention_mark = Table(
    "retention_mark",
    metadata,
    Column("name", NAME, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("id", HEX, nullable=False),
    **MYSQL_OPTIONS,
)

retention_late = Table(
    "retention_late",
    metadata,
    Column("part", WORD, primary_key=True),
    Column("id", ID, primary_key=True),
    **MYSQL_OPTIONS,
)
