"""What tests of retention share: an engine with other periods, and what a round removes."""

from collections import Counter
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from notifier.domain.catalog import Catalog
from notifier.domain.clock import DAY
from notifier.domain.regulation import Regulation
from notifier.domain.retention import Part, Retention
from notifier.pipeline.decide import decide
from notifier.pipeline.engine import WorkerEngine
from notifier.pipeline.retention import remove
from notifier.store.core import audit as audits
from notifier.store.core.audit import AuditEntry
from notifier.store.reading import explaining, ledger
from notifier.store.reading.explaining import ExplanationQuery
from notifier.why.explain import Explanation, explain
from tests.pipeline.samples import COMPLETE, Report
from tests.pipeline.steps import deliver_due

MONTH = 30 * DAY
YEAR = 400 * DAY
ONE_YEAR = Retention(deliveries="400 d", events="400 d", audit="400 d", preferences="400 d")


def keeping(engine: WorkerEngine, kept: Retention) -> WorkerEngine:
    """The engine with other periods."""
    return replace(engine, catalog=Catalog(engine.catalog.types.values(), Regulation(retention=kept)))


async def rows(engine: WorkerEngine, table: sa.FromClause) -> list[Any]:
    async with engine.database.engine.connect() as connection:
        return sorted(await connection.execute(sa.select(table)), key=lambda row: tuple(map(str, row)))


async def counts(engine: WorkerEngine, *tables: sa.FromClause) -> list[int]:
    return [len(await rows(engine, table)) for table in tables]


async def removed(engine: WorkerEngine) -> Counter[Part]:
    """What a round of the clock removes, by parts but the log of changes; the books balance after each of its
    transactions."""
    found: Counter[Part] = Counter()
    async for part, step in remove(engine.database, engine.catalog, engine.clock.now()):
        found[part] += step.number
        assert (await ledger.read(engine.database)).balanced
    del found[Part.CHANGES]
    return +found


async def told_complete(engine: WorkerEngine, report: Report, *numbers: int) -> list[str]:
    """Sessions that ended, each told to the driver on every channel; their events."""
    ids = [await report("charging.complete", **{**COMPLETE, "session_id": str(number)}) for number in numbers]
    await decide(engine, ids)
    await deliver_due(engine)
    return ids


async def explained(engine: WorkerEngine, **wanted: Any) -> Explanation | None:
    found = await explaining.read(engine.database, ExplanationQuery(**wanted))
    return None if found is None else explain(engine.catalog, engine.renderer, engine.links, found)


async def tell(engine: WorkerEngine, entries: list[AuditEntry]) -> None:
    """Write entries into the audit."""
    async with engine.database.engine.begin() as connection:
        await audits.add(connection, engine.database.dialect, entries)
