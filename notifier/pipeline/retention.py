"""Retention: what is over goes once its period has passed, as `[retention]` of `_policy.toml` says. The clock removes a
chunk at a time, and rests after each, so that messages hardly notice."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from functools import partial
from time import monotonic

import structlog

from notifier import metrics
from notifier.domain.catalog import Catalog
from notifier.domain.retention import Part
from notifier.pipeline.engine import Engine
from notifier.policy.retention import removals
from notifier.runtime.background import every, pause
from notifier.store.core.ageing import Place, Step
from notifier.store.core.database import Database
from notifier.store.delivery import retention as store
from notifier.store.delivery.retention import Walk

EVERY = 60.0  # seconds between two rounds: periods are told in days
REST = 3.0  # times as long as a chunk took: the database removes for a quarter of the time at most

log = structlog.get_logger(__name__)


async def run(engine: Engine, stop: asyncio.Event) -> None:
    """Remove what may go until told to stop, beside the clock's ticks."""
    await every("retention", EVERY, partial(sweep, engine, stop), stop)


async def sweep(engine: Engine, stop: asyncio.Event) -> Counter[Part]:
    """Remove what may go now; returns how many rows of each part went."""
    removed: Counter[Part] = Counter()
    begun = monotonic()
    async for part, step in remove(engine.database, engine.catalog, engine.clock.now()):
        removed[part] += step.number
        await pause(stop, (monotonic() - begun) * REST)
        if stop.is_set():
            break
        begun = monotonic()
    if removed.total():
        log.info("retention.removed", **{part.value: number for part, number in removed.items() if number})
    return removed


async def remove(
    database: Database, catalog: Catalog, now: int, *, everything: bool = False
) -> AsyncIterator[tuple[Part, Step]]:
    """Remove what may go at an instant, chunk by chunk.

    Walks that begin anew do so once in a while; with `everything` they do at once.
    """
    for bucket, walk in _walks(database, catalog, now):
        due = everything or await store.is_due(bucket, walk, now)
        while due:
            step = await store.step(bucket, walk, now)
            metrics.rows_removed.labels(walk.part).inc(step.number)
            yield walk.part, step
            due = not step.ended


async def preview(database: Database, catalog: Catalog, now: int) -> AsyncIterator[tuple[Part, Step]]:
    """Count what would go at an instant, chunk by chunk, and change nothing."""
    for bucket, walk in _walks(database, catalog, now):
        place: Place | None = None
        ended = False
        while not ended:
            step = await store.look(bucket, walk, now, place)
            yield walk.part, step
            place, ended = step.place, step.ended


def _walks(database: Database, catalog: Catalog, now: int) -> Iterator[tuple[Database, Walk]]:
    """The walks of each bucket; the first one's clock walks over what all share."""
    for walk in store.walks(removals(catalog, now)):
        for bucket in database.buckets:
            if bucket.bucket == 0 or walk.part not in store.SHARED:
                yield bucket, walk
