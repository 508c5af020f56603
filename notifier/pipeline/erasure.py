"""Erasure: the clock sweeps up behind erased people: first the rows that an index finds, then all rows, once every
decision under way about them has ended. A send may take longer: its worker checks for erasure when it settles."""

import asyncio

import structlog

from notifier.domain.clock import MINUTE, SECOND
from notifier.domain.errors import StoreUnavailable
from notifier.pipeline.claim_batcher import LEASE
from notifier.pipeline.engine import Engine
from notifier.store.delivery import sweeping
from notifier.store.people import erasures

EVERY = 2.0  # seconds between two looks
BATCH = 20  # people swept up behind in one go: one look at every document serves them all
ENDED = LEASE + 5 * SECOND  # by then no decision or receipt of before is under way; a send that is writes no words
AGAIN = MINUTE  # until a sweep that was begun and not ended is taken up again; twice at once does no harm

log = structlog.get_logger(__name__)


async def run(engine: Engine, stop: asyncio.Event) -> None:
    """Sweep until told to stop, beside the clock's ticks: scanning every document takes longer than a tick."""
    while not stop.is_set():
        try:
            await sweep(engine)
        except StoreUnavailable as error:
            log.warning("erasure.store_unavailable", error=str(error))
        try:
            async with asyncio.timeout(EVERY):
                await stop.wait()
        except TimeoutError:
            continue


async def sweep(engine: Engine) -> int:
    """Sweep up behind people whose erasure is due; returns how many there were."""
    now = engine.clock.now()
    due = await erasures.due(engine.database, now, now + AGAIN, BATCH)
    if not due:
        return 0
    count = sum([await sweeping.forget_told(engine.database, each, now) for each in due])
    ended = [each for each in due if now >= each.requested_at + ENDED]
    if ended:
        await sweeping.forget_named(engine.database, ended)
        await erasures.settle(engine.database, ended, None)
    first = [each for each in due if each not in ended]
    await erasures.settle(engine.database, first, now + ENDED)
    log.info("erasure.swept", people=len(due), closed=len(ended), rows=count)
    return len(due)
