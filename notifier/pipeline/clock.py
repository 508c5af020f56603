"""The clock: signals rows as they fall due, signals again what was lost, ends leases that ran out.

Several may run: a row that one takes is the others' no more, and a signal too many does no harm.
"""

import asyncio

import structlog

from notifier import metrics
from notifier.broker import DECIDE
from notifier.deliveries import Channel, Lane
from notifier.errors import StoreUnavailable
from notifier.pipeline.decide import by_queue
from notifier.pipeline.engine import SIGNAL_AGAIN, Engine
from notifier.store import deliveries, events

TICK = 1.0  # seconds between two looks while little is due
BATCH = 1000  # rows taken up in one look
FULL_QUEUE = 50  # messages (of up to a hundred ids): seconds of work in hand; what is more waits as rows

log = structlog.get_logger(__name__)


async def run(engine: Engine, stop: asyncio.Event) -> None:
    """Tick until told to stop. A database that is away is waited for."""
    while not stop.is_set():
        try:
            busy = await tick(engine)
            metrics.clock_tick.set_to_current_time()
        except StoreUnavailable as error:
            log.warning("clock.store_unavailable", error=str(error))
            busy = False
        if not busy:
            await _pause(stop)


async def tick(engine: Engine) -> bool:
    """One look at everything; whether there may be more to do at once."""
    now = engine.clock.now()
    lost = await deliveries.return_expired_leases(engine.database, now, BATCH)
    if lost:
        log.warning("clock.leases_expired", deliveries=lost)
    depths = await engine.signals.depths()
    undecided = 0
    if depths.get(DECIDE, 0) < FULL_QUEUE:
        ids = await events.due(engine.database, now, now + SIGNAL_AGAIN, BATCH)
        undecided = len(ids)
        metrics.signals_again.labels(DECIDE).inc(undecided)
        await engine.signals.decide(ids)
    due = 0
    if open_ := [(c, lane) for c in Channel for lane in Lane if depths.get(f"{c}.{lane}", 0) < FULL_QUEUE]:
        found = await deliveries.due(engine.database, now, now + SIGNAL_AGAIN, BATCH, open_)
        due = len(found)
        queues = by_queue((row.id, row.channel, row.lane) for row in found)
        for (channel, lane), ids in queues.items():
            metrics.signals_again.labels(f"{channel}.{lane}").inc(len(ids))
        await engine.signals.deliver(queues)
    return BATCH in (undecided, due, lost)


async def _pause(stop: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(TICK):
            await stop.wait()
    except TimeoutError:
        return
