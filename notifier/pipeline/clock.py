"""The clock: signals rows as they fall due, repeats lost signals, ends expired leases, resolves unknown deliveries.

Several clocks may run: a row taken by one is skipped by the others, and a superfluous signal does no harm.
"""

import asyncio
from collections.abc import Iterable, Sequence
from functools import partial

import structlog

from notifier import metrics
from notifier.broker import CAREFUL, CHANGES, DECIDE, DECIDE_LATER, LANES
from notifier.domain.changes import behind
from notifier.domain.clock import SECOND
from notifier.domain.deliveries import Channel, Lane, State, by_queue
from notifier.domain.errors import StoreUnavailable
from notifier.domain.ids import instant_of
from notifier.pipeline import availability, counting, erasure, retention, sealing, stations
from notifier.pipeline.engine import LATER_AGAIN, SIGNAL_AGAIN, Engine
from notifier.pipeline.resolve import resolve
from notifier.runtime.background import keep_going, pause
from notifier.store.console import subscriptions
from notifier.store.delivery import deliveries, due, open_events, tallies
from notifier.store.delivery.deliveries import Move
from notifier.store.delivery.due import DueDelivery
from notifier.store.reading import changes, ledger

TICK = 1.0  # seconds between two rounds while little is due: what waits for a time of day or a retry waits in minutes
BATCH = 1000  # rows signalled in one round
FULL_QUEUE = 16  # messages (of up to 250 ids): one or two seconds of work; further rows wait in the database
FEW = 50  # rows left behind: fewer than a broker's loss leaves, about as many as a crashing worker
MAX_TRIES = 2  # isolated attempts at an event, after the first one, before it is put aside
AUDIT_EVERY = 30 * SECOND  # between two checks of the ledger
FOLDED = 5_000  # tallies merged in one transaction: some 50 ms
FOLDS = 10  # such transactions before an audit: more tallies than any load leaves between two

log = structlog.get_logger(__name__)


async def run(engine: Engine, stop: asyncio.Event) -> None:
    """Tick until told to stop; beside that sweep up behind erasures, remove what is kept no longer, seal days that are
    over, count what messages achieve, look at stations, and offer free ports. While the database is away, wait."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(keep_going("stations", partial(stations.run, engine, stop)))
        tasks.create_task(keep_going("availability", partial(availability.run, engine, stop)))
        for each in engine.buckets:
            tasks.create_task(keep_going("erasure", partial(erasure.run, each, stop)))
            tasks.create_task(keep_going("retention", partial(retention.run, each, stop)))
            tasks.create_task(keep_going("sealing", partial(sealing.run, each, stop)))
            tasks.create_task(keep_going("counting", partial(counting.run, each, stop)))
            tasks.create_task(keep_going("merging", partial(counting.run_merging, each, stop)))
            tasks.create_task(keep_going("clock.tick", partial(_tick, each, stop)))


async def _tick(engine: Engine, stop: asyncio.Event) -> None:
    """Tick for a bucket; that of the first looks at the books of all."""
    audited_at = 0
    while not stop.is_set():
        try:
            busy = await tick(engine)
            if engine.database.bucket == 0:
                await signal_subscriptions(engine.whole)
            if engine.database.bucket == 0 and engine.clock.now() - audited_at >= AUDIT_EVERY:
                await audit(engine.whole)
                audited_at = engine.clock.now()
            metrics.clock_tick.set_to_current_time()
        except StoreUnavailable as error:
            log.warning("clock.store_unavailable", error=str(error))
            busy = False
        if not busy:
            await pause(stop, TICK)


async def tick(engine: Engine) -> bool:
    """One round over everything that is due; whether there is more to do at once."""
    now = engine.clock.now()
    lost = await due.return_expired_leases(engine.database, now, BATCH)
    if lost:
        log.warning("clock.leases_expired", deliveries=lost)
    depths = await engine.signals.depths()
    room = {queue for queue in (DECIDE, DECIDE_LATER, CAREFUL, *LANES.values()) if depths.get(queue, 0) < FULL_QUEUE}
    some_wait = depths.get(DECIDE_LATER, 0) > 0
    undecided = await _signal_events(engine, now, room, some_wait=some_wait) if DECIDE in room else 0
    delivered = await _signal_deliveries(engine, now, room)
    return max(lost, undecided, delivered) >= BATCH


async def signal_subscriptions(engine: Engine) -> None:
    """Signal the subscriptions that are due and behind the log of changes."""
    found = await subscriptions.due(engine.database, engine.clock.now())
    if not found or (await engine.signals.depths()).get(CHANGES, 0) >= FULL_QUEUE:
        return
    end = await changes.newest(engine.database)
    await engine.signals.tell_changes([id_ for id_, place in found.items() if behind(place, end)])


async def audit(engine: Engine) -> None:
    """Merge the tallies, check the ledger, and log an error where it doesn't balance."""
    for database in engine.database.buckets:
        for _ in range(FOLDS):
            if await tallies.fold(database, FOLDED) < FOLDED // 2:
                break
    books = await ledger.read(engine.database)
    metrics.ledger_imbalance.set(books.imbalance)
    if not books.balanced:
        log.error("ledger.imbalance", imbalance=books.imbalance, planned=books.planned, present=books.total)


async def _signal_events(engine: Engine, now: int, room: set[str], *, some_wait: bool) -> int:
    """Signal events that are due, and put those aside that end workers. While some wait behind all others, what is old
    and untried waits among them, most likely."""
    tries = await open_events.due(engine.database, now, now + (LATER_AGAIN if some_wait else SIGNAL_AGAIN), BATCH)
    metrics.signals_again.labels(DECIDE).inc(len(tries))
    waiting = {id_ for id_, tried in tries.items() if some_wait and not tried and now - instant_of(id_) >= LATER_AGAIN}
    if DECIDE_LATER in room:
        await engine.signals.decide_later([*waiting], tries=0)
    dead = [id_ for id_, count in tries.items() if count >= MAX_TRIES]
    if dead:
        await open_events.quarantine(engine.database, dead, now)
        metrics.rows_quarantined.labels("event").inc(len(dead))
        log.error("clock.events_quarantined", events=dead)
    # An event that was tried in a batch and not decided is signalled alone, so that one bad event delays no other. So
    # are a few events that no worker took: they may have crashed one. Many of them mean that the broker lost them.
    # While the queue of isolated rows is full, tried events wait, and untried ones go in batches.
    for count in range(MAX_TRIES) if CAREFUL in room else [0]:
        found = [id_ for id_, tried in tries.items() if tried == count and id_ not in waiting]
        alone = count > 0 or (len(found) <= FEW and CAREFUL in room)
        await engine.signals.decide(found, tries=count, alone=alone)
    return len(tries)


async def _signal_deliveries(engine: Engine, now: int, room: set[str]) -> int:
    queues = [queue for queue, name in LANES.items() if name in room]
    found = await due.take(engine.database, now, now + SIGNAL_AGAIN, BATCH, queues)
    resolved = await _resolve(engine, [each for each in found if each.state == State.UNKNOWN], now)
    pending = [each for each in found if each.state == State.PENDING or each.id in resolved]
    for each in pending:
        metrics.signals_again.labels(LANES[each.channel, each.lane]).inc()
    suspect = _suspect(pending) if CAREFUL in room else {each.id for each in pending if each.crashes}
    await engine.signals.deliver(_queues(each for each in pending if each.id not in suspect))
    if CAREFUL in room:
        await engine.signals.deliver(_queues(each for each in pending if each.id in suspect), alone=True)
    return len(found)


def _suspect(pending: Sequence[DueDelivery]) -> set[str]:
    """Deliveries that may have killed a worker: those that crashed one before, and a few that nobody took; many mean
    that the broker lost them."""
    left = {each.id for each in pending if each.again and each.lane != Lane.BULK}
    return {each.id for each in pending if each.crashes} | (left if len(left) <= FEW else set())


async def _resolve(engine: Engine, unknown: list[DueDelivery], now: int) -> set[str]:
    """Resolve unknown deliveries as their types say; returns the ids of those to send again."""
    moves: list[Move] = []
    asked: list[DueDelivery] = []
    for each in unknown:
        move = resolve(engine.catalog, each, now)
        if move is None:
            asked.append(each)
        else:
            moves.append(move)
    await deliveries.move(engine.database, moves, now)
    await engine.signals.ask([each.id for each in asked if not each.crashes])
    await engine.signals.ask([each.id for each in asked if each.crashes], alone=True)
    dead = [move.id for move in moves if move.state == State.FAILED]
    if dead:
        metrics.rows_quarantined.labels("delivery").inc(len(dead))
        log.error("clock.deliveries_failed", deliveries=dead)
    return {move.id for move in moves if move.state == State.PENDING}


def _queues(found: Iterable[DueDelivery]) -> dict[tuple[Channel, Lane], list[str]]:
    return by_queue((each.id, each.channel, each.lane) for each in found)
