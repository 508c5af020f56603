"""Erasure: the clock sweeps up behind erased people: first the rows that an index finds, then all rows, once every
decision under way about them has ended. A send may take longer: its worker checks for erasure when it settles."""

import asyncio
from functools import partial

import structlog

from notifier import policy
from notifier.domain.catalog import Catalog
from notifier.domain.clock import MINUTE, SECOND
from notifier.pipeline.claim_batcher import LEASE
from notifier.pipeline.engine import Engine
from notifier.runtime.background import every
from notifier.store.delivery import sweeping
from notifier.store.people import erasures
from notifier.store.people.erasures import Erasure

EVERY = 2.0  # seconds between two rounds
BATCH = 20  # people whose remaining data is removed in one round: one scan of the documents serves them all
ENDED = LEASE + 5 * SECOND  # by then no earlier decision or receipt is under way; a send under way writes no content
AGAIN = MINUTE  # until an unfinished sweep is started again; two at once do no harm

log = structlog.get_logger(__name__)


async def run(engine: Engine, stop: asyncio.Event) -> None:
    """Sweep until told to stop, beside the clock's ticks: scanning every document takes longer than a tick."""
    await every("erasure", EVERY, partial(sweep, engine), stop)


async def sweep(engine: Engine) -> int:
    """Sweep up behind people whose erasure is due; returns how many there were."""
    now = engine.clock.now()
    due = await erasures.due(engine.database, now, now + AGAIN, BATCH)
    if not due:
        return 0
    everywhere = engine.database.whole.buckets  # events that name a person are wherever they reached anybody
    count = 0
    for each in due:
        awaited_by = _awaited_by(engine.catalog, each)
        count += sum([await sweeping.forget_told(part, each, now, awaited_by) for part in everywhere])
    ended = [each for each in due if now >= each.requested_at + ENDED]
    if ended:
        for part in everywhere:
            await sweeping.forget_named(part, ended)
        await erasures.settle(engine.database, ended, None)
    first = [each for each in due if each not in ended]
    await erasures.settle(engine.database, first, now + ENDED)
    log.info("erasure.swept", people=len(due), closed=len(ended), rows=count)
    return len(due)


def _awaited_by(catalog: Catalog, erased: Erasure) -> list[str]:
    """The keys by which outcomes are awaited of a person."""
    kinds = (kind for kind in catalog.with_twins.values() if kind.outcome is not None and kind.outcome.by == "person")
    return [policy.person_key(kind, erased.names[0]) for kind in kinds]
