"""Retention: what is over goes once its period has passed, as `[retention]` of `_policy.toml` says. On PostgreSQL the
clock drops whole partitions (`partitioning`); the rest it removes a chunk at a time, and rests after each, so that
messages hardly notice."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from time import monotonic

import structlog
from msgspec import structs

from notifier import metrics
from notifier.domain.catalog import Catalog
from notifier.domain.retention import Part
from notifier.pipeline.engine import Engine
from notifier.pipeline.partitioning import partition
from notifier.policy.retention import longest, removals
from notifier.runtime.background import every, pause
from notifier.store.core.ageing import Place, Step
from notifier.store.core.database import Database
from notifier.store.core.partitions import GROUPS
from notifier.store.delivery import changes, dropping
from notifier.store.delivery import retention as store
from notifier.store.delivery.retention import Walk

EVERY = 60.0  # seconds between two rounds: periods are told in days
REST = 3.0  # times as long as a chunk took: the database removes for a quarter of the time at most

log = structlog.get_logger(__name__)


async def run(engine: Engine, stop: asyncio.Event) -> None:
    """Remove what may go until told to stop, beside the clock's ticks."""
    await every("retention", EVERY, partial(_round, engine, stop), stop)


async def _round(engine: Engine, stop: asyncio.Event) -> None:
    await partition(engine, stop)
    await sweep(engine, stop)


async def sweep(engine: Engine, stop: asyncio.Event) -> Counter[Part]:
    """Remove what may go now; returns how many rows of each part went."""
    removed: Counter[Part] = Counter()
    begun = monotonic()
    async for part, step in remove(engine.database, engine.catalog, engine.clock.now(), by_stretch=True):
        removed[part] += step.number
        await pause(stop, (monotonic() - begun) * REST)
        if stop.is_set():
            break
        begun = monotonic()
    if removed.total():
        log.info("retention.removed", **{part.value: number for part, number in removed.items() if number})
    return removed


async def remove(
    database: Database, catalog: Catalog, now: int, *, everything: bool = False, by_stretch: bool = False
) -> AsyncIterator[tuple[Part, Step]]:
    """Remove what may go at an instant, chunk by chunk.

    Walks that begin anew do so once in a while; with `everything` they do at once. `by_stretch` leaves what will go
    with its partition (`partitioning`).
    """
    async for bucket, every_walk in _walks(database, catalog, now):
        walk = await _spared(bucket, every_walk, catalog, now) if by_stretch else every_walk
        due = everything or await store.is_due(bucket, walk, now)
        while due:
            step = await store.step(bucket, walk, now)
            metrics.rows_removed.labels(walk.part).inc(step.number)
            yield walk.part, step
            due = not step.ended


async def preview(database: Database, catalog: Catalog, now: int) -> AsyncIterator[tuple[Part, Step]]:
    """Count what would go at an instant, chunk by chunk, and remove nothing."""
    async for bucket, walk in _walks(database, catalog, now):
        place: Place | None = None
        ended = False
        while not ended:
            step = await store.look(bucket, walk, now, place)
            yield walk.part, step
            place, ended = step.place, step.ended


async def _spared(database: Database, walk: Walk, catalog: Catalog, now: int) -> Walk:
    """The walk without rows that lie in a stretch which is dropped as a whole, once all of it is too old."""
    period = longest(catalog, walk.part) if walk.part in GROUPS and database.dialect == "postgresql" else None
    if period is None:
        return walk
    before = await dropping.begins(database, walk.part, period, now - period)
    return walk._replace(
        removals=[
            structs.replace(each, before=before) if each.before == now - period else each for each in walk.removals
        ]
    )


async def _walks(database: Database, catalog: Catalog, now: int) -> AsyncIterator[tuple[Database, Walk]]:
    """The walks of each bucket; the first one's clock walks over what all share."""
    for walk in store.walks(removals(catalog, now)):
        for bucket in database.buckets:
            if walk.part == Part.CHANGES:
                await changes.put_in_order(bucket)  # what has no position isn't walked: a reader may not have seen it
            if bucket.bucket == 0 or walk.part not in store.SHARED:
                yield bucket, walk
