"""Partitioning: the clock makes the partitions of the days to come, and drops those of which the period is over.

Only PostgreSQL's tables have any. What lies in none, or goes before its partition does, `retention` removes.
"""

import asyncio
from collections import Counter

import structlog

from notifier import metrics
from notifier.domain.errors import StoreUnavailable
from notifier.domain.retention import Part
from notifier.pipeline.engine import Engine
from notifier.policy.retention import longest
from notifier.store.core import partitions
from notifier.store.delivery import dropping, tallies

log = structlog.get_logger(__name__)


async def partition(engine: Engine, stop: asyncio.Event) -> Counter[Part]:
    """Make the partitions that are missing, and drop those that are too old; returns how many rows of each part went.

    Where somebody holds the tables for long, as a backup does, that waits for another round.
    """
    dropped: Counter[Part] = Counter()
    if engine.database.dialect == "postgresql":
        try:
            await _partition(engine, stop, dropped)
        except StoreUnavailable as error:
            log.warning("partitioning.waits", error=str(error))
    return dropped


async def _partition(engine: Engine, stop: asyncio.Event, dropped: Counter[Part]) -> None:
    now = engine.clock.now()
    for part in partitions.GROUPS:
        period = longest(engine.catalog, part)
        there = await partitions.make_ahead(engine.database, part, period, now)
        before = 0 if period is None else now - period
        for stretch in (each for each in there if each.ends <= before):
            if stop.is_set():
                return
            gone = await dropping.drop(engine.database, part, stretch, before, now)
            days = [tallies.date_of(tallies.day(at)) for at in (stretch.begins, stretch.ends)]
            if gone is None:
                log.warning("partitioning.left", part=part, begins=days[0], ends=days[1])
                continue
            dropped[part] += gone.number
            metrics.rows_removed.labels(part).inc(gone.number)
            log.info(
                "partitioning.dropped", part=part, begins=days[0], ends=days[1], rows=gone.number,
                held_ms=round(gone.held * 1000),
            )  # fmt: skip
