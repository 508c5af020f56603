"""What this database's transactions write to PostgreSQL's log, read from the log itself, table by table."""

from typing import NamedTuple

import sqlalchemy as sa

from notifier.store.core.database import Database
from tests.conftest import absent

# Records of other databases are in the same log, and so are those of autovacuum, which has no transaction id. Images of
# whole pages are left out: how many there are depends on when the last checkpoint was. A record takes multiples of 8.
RECORDS = sa.text(r"""
WITH record AS MATERIALIZED (
    SELECT xid, (record_length - fpi_length + 7) / 8 * 8 AS bytes,
        CAST(regexp_match(block_ref, 'rel \d+/(\d+)/(\d+) ') AS oid[]) AS relation
    FROM pg_get_wal_records_info(CAST(CAST(:since AS text) AS pg_lsn), pg_current_wal_flush_lsn())
    WHERE CAST(CAST(xid AS text) AS bigint) <> 0
), own AS (
    SELECT xid, bytes, coalesce(owner.relname || ', long values', of.relname) AS relname
    FROM record JOIN pg_class AS of ON of.relfilenode = relation[2]
        LEFT JOIN pg_class AS owner ON owner.reltoastrelid = of.oid
    WHERE relation[1] = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND of.relnamespace IN (CAST('public' AS regnamespace), CAST('pg_toast' AS regnamespace))
), ends AS (
    SELECT xid, bytes, 'commit' AS relname FROM record
    WHERE relation IS NULL AND CAST(xid AS text) IN (SELECT CAST(xid AS text) FROM own)
)
SELECT relname, count(*) AS records, sum(bytes) AS bytes FROM (TABLE own UNION ALL TABLE ends) AS every
GROUP BY relname ORDER BY bytes DESC
""")


class Written(NamedTuple):
    """The records about one table or index, and their bytes; those about none are called `commit`."""

    relation: str
    records: int
    bytes: int


async def position(database: Database) -> str:
    """Return the end of the log now; skips, or fails in CI, where the server can't show what is in it."""
    async with database.engine.begin() as connection:
        try:
            await connection.execute(sa.text("CREATE EXTENSION IF NOT EXISTS pg_walinspect"))
        except sa.exc.DBAPIError:
            absent("needs a superuser and pg_walinspect, which came with PostgreSQL 15")
        return str((await connection.execute(sa.text("SELECT CAST(pg_current_wal_insert_lsn() AS text)"))).scalar_one())


async def written(database: Database, since: str) -> list[Written]:
    """Return what this database's transactions have written since a position, most bytes first."""
    async with database.engine.begin() as connection:
        found = await connection.execute(RECORDS, {"since": since})
        return [Written(row.relname, row.records, int(row.bytes)) for row in found]
