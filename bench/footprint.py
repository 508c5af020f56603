"""What deliveries leave in the database: bytes of its log, bytes on disk, and the time that an audit takes."""

import time
from statistics import median
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.pipeline.clock import FOLDED
from notifier.store.core.database import Database
from notifier.store.delivery import tallies
from notifier.store.reading import ledger

WRITTEN = {
    "postgresql": "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn",
    "mysql": "SELECT variable_value FROM information_schema.global_status"
    " WHERE variable_name = 'Innodb_os_log_written'",
}
"""Bytes of log that the whole server has written so far: PostgreSQL's WAL, InnoDB's redo log. SQLite doesn't tell."""

OCCUPIED = {
    "postgresql": "SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class"
    r" WHERE relkind IN ('r', 'p') AND relnamespace::regnamespace::text ~ '^(public|bucket_\d+)$'",
    "mysql": "SELECT sum(file_size - data_free) FROM information_schema.innodb_sys_tablespaces JOIN"
    " information_schema.tables ON name = concat(table_schema, '/', table_name) WHERE table_schema = database()",
    "sqlite": "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
}
"""Bytes that the tables take with their indexes; without the free extents that InnoDB puts at the end of a file."""


AUDITS = 7  # of which the median counts


class Footprint(NamedTuple):
    """Bytes of log and of disk so far; the log is None where the engine doesn't count it."""

    log: int | None
    disk: int


async def measure(database: Database) -> Footprint:
    """Return the bytes that the database has written and occupies."""

    async def work(connection: AsyncConnection) -> Footprint:
        written = WRITTEN.get(database.dialect)
        log = None if written is None else int((await connection.execute(sa.text(written))).scalar_one())
        return Footprint(log, int((await connection.execute(sa.text(OCCUPIED[database.dialect]))).scalar_one()))

    return await database.read(work)


async def figures(database: Database, before: Footprint, deliveries: int) -> dict[str, Any]:
    """Return what each of so many deliveries took since a measurement, and the milliseconds of an audit now.

    The tallies are merged first, as the clock does before it audits: the bytes of that belong to the deliveries.
    """
    for each in database.buckets:
        while await tallies.fold(each, FOLDED):
            pass
    after = await measure(database)
    log = None if before.log is None or after.log is None else round((after.log - before.log) / deliveries)
    return {
        "wal_bytes_per_delivery": log,
        "disk_bytes_per_delivery": round((after.disk - before.disk) / deliveries),
        "audit_ms": round(median([await _audit(database) for _ in range(AUDITS)]) * 1000, 1),
    }


async def _audit(database: Database) -> float:
    """Return the seconds that one look at the ledger takes."""
    began = time.perf_counter()
    await ledger.read(database)
    return time.perf_counter() - began
