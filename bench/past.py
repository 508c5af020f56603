"""The past: rows of what is over, copied by PostgreSQL itself from what a burst left, so that millions take minutes."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bench import ids
from bench.options import Options
from notifier.domain.clock import DAY
from notifier.domain.errors import ConfigurationError
from notifier.pipeline.clock import FOLDED
from notifier.store.core.books import tally
from notifier.store.core.database import Database
from notifier.store.core.schema import decision, delivery, event, identity, outcome, plan
from notifier.store.delivery import tallies

SLICE: Final = 20_000  # deliveries that one transaction copies, at least those of one copy
MONTH: Final = range(28, 0, -1)
"""Days back over which the past is spread: with the day before the first, none of it is old enough for retention."""

APART: Final = 53_397_137  # milliseconds between two copies, which so lie evenly all over a day

IDS: Final[dict[sa.Table, tuple[str, ...]]] = {
    identity: ("id",),
    event: ("id",),
    plan: ("event_id",),
    delivery: ("id", "event_id"),
    outcome: ("delivery_id",),
    decision: ("event_id",),
    tally: ("id",),
}
"""The tables that are copied, and which columns hold ids that each copy has of its own."""

UNDATED: Final = (identity, tally)
"""Those whose ids don't begin with an instant."""


class Past:
    """Copies of what there was once: each with recipients of its own, days older, and with ids that are dated so.

    The originals are kept in a schema of their own, so that rows which come later are not copied. Tallies are copied
    too, so the ledger balances.
    """

    def __init__(self, database: Database, events: int, deliveries: int) -> None:
        self._database = database
        self._events = events
        self._deliveries = deliveries
        self._copies = 0

    @property
    def events(self) -> int:
        """How many events were copied so far."""
        return self._events * self._copies

    async def add(self, deliveries: int, back: Sequence[int] = MONTH) -> None:
        """Add about so many deliveries, spread evenly over days back, the first day of which comes first."""
        copies = round(deliveries / self._deliveries)
        at_once = max(SLICE // self._deliveries, 1)
        patient = self._database.patient()
        for first in range(0, copies, at_once):
            last = min(first + at_once, copies) - 1
            days = back[first * len(back) // copies]
            await patient.write(partial(_copy, first=self._copies + first, last=self._copies + last, days=days))
        self._copies += copies
        while await tallies.fold(patient, FOLDED):
            pass
        await _settle(patient)
        await patient.close()


async def keep(database: Database) -> Past:
    """Keep what there is now, all of it over, to be copied."""

    async def work(connection: AsyncConnection) -> tuple[int, int]:
        for statement in ("CREATE SCHEMA past", *ids.FUNCTIONS):
            await connection.execute(sa.text(statement))
        for table in IDS:
            await connection.execute(
                sa.text(f"CREATE UNLOGGED TABLE past.{table.name} AS SELECT * FROM {table.name}")  # noqa: S608 (our names)
            )
        count = "SELECT (SELECT count(*) FROM past.event), (SELECT count(*) FROM past.delivery)"
        events, deliveries = (await connection.execute(sa.text(count))).one()
        return events, deliveries

    return Past(database, *await database.write(work))


def check(scenario: str, options: Options) -> None:
    """Raise ConfigurationError where a scenario that needs a past runs on another engine."""
    if options.database != "postgresql":
        raise ConfigurationError(f"{scenario} runs on PostgreSQL: it has the database copy its rows")


async def _copy(connection: AsyncConnection, first: int, last: int, days: int) -> None:
    for table in IDS:
        await connection.execute(sa.text(_insert(table, first, last, days)))


def _insert(table: sa.Table, first: int, last: int, days: int) -> str:
    """The statement that copies a table's originals for each number from `first` to `last`; tallies once for all."""
    columns = ", ".join(f'"{column.name}"' for column in table.columns)
    values = ", ".join(_copied(table, column, days) for column in table.columns)
    if table is tally:
        values, first = values.replace('"number"', f"{last - first + 1} * number"), last
    return (
        f"INSERT INTO {table.name} ({columns}) SELECT {values} "  # noqa: S608 (our names)
        f"FROM past.{table.name} CROSS JOIN generate_series(CAST({first} AS bigint), {last}) AS n ORDER BY 1"
    )


def _copied(table: sa.Table, column: sa.Column[Any], days: int) -> str:
    """The value of a column in copy `n`, so many days and up to one more before its original."""
    name, earlier = f'"{column.name}"', f"{days * DAY} + n * {APART} % {DAY}"
    if column.name in IDS[table]:
        hashed = f"CAST(md5(CAST({name} AS text) || '-' || n) AS uuid)"
        return hashed if table in UNDATED else f"dated({hashed}, instant_of({name}) - ({earlier}))"
    if column.name == "recipient_id":
        return f"{name} || '-' || n"
    if column.name == "at" or column.name.endswith("_at"):
        return f"{name} - ({earlier})"
    return f"{name} - {days}" if column.name == "day" else name


async def _settle(database: Database) -> None:
    """Do what time does with rows: statistics, the map of what all can see, and pages on disk."""
    async with database.engine.connect() as connection:
        plain = await connection.execution_options(isolation_level="AUTOCOMMIT")
        for statement in ("VACUUM ANALYZE", "CHECKPOINT"):
            await plain.execute(sa.text(statement))
