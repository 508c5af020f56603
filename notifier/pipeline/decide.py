"""Decide: turn events into deliveries, with a record of why. One transaction for a batch, whatever its size."""

import secrets
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier import metrics, policy
from notifier.domain.catalog import Catalog
from notifier.domain.deliveries import OPEN, State
from notifier.domain.events import Event
from notifier.domain.recipients import Recipient
from notifier.pipeline import deliver
from notifier.pipeline.availability import end_of_drivers
from notifier.pipeline.bisect_failures import bisect_failures
from notifier.pipeline.collect import collect
from notifier.pipeline.engine import EXPAND_AGAIN, WorkerEngine
from notifier.pipeline.forwarding import Forwarded, forward, reaches_out
from notifier.pipeline.local_claims import LocalClaims, claim_locally, due_immediately, write_as_claimed
from notifier.pipeline.outcomes import write_outcomes
from notifier.pipeline.plan import Plan, audience_keys
from notifier.pipeline.planning import read_and_plan, with_first_seen
from notifier.pipeline.signalling import begin_try, signal_due
from notifier.pipeline.traces import tell_decided
from notifier.runtime.stages import Stage, metered
from notifier.store.delivery import deliveries, events, identities, open_events, supersessions
from notifier.store.delivery.deliveries import NewDelivery
from notifier.store.people import recipients, topics

log = structlog.get_logger(__name__)

RACES = 3  # retries after a conflict with a transaction that wrote one of the same deliveries


class _Raced(Exception):
    """Another transaction inserted one of the deliveries between our look-up and our insert."""


@dataclass
class BatchSplit:
    """The events of a batch by how they are decided: together in one transaction; afterwards, because they end the same
    subscriptions; once they were forwarded to other buckets; and those that address segments, which `expand` decides
    in chunks."""

    together: list[Event] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    outward: list[Event] = field(default_factory=list)
    wide: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Decided:
    """The result of a decision transaction: how the batch was split, the new deliveries, and those to send in this
    process."""

    split: BatchSplit
    new: Sequence[NewDelivery] = ()
    taken: LocalClaims = field(default_factory=dict)


async def decide(engine: WorkerEngine, ids: Sequence[str], *, tries: int | None = None) -> int:
    """Decide those events that are undecided; returns how many there were. This process starts sending due deliveries
    where it has room, and signals the others.

    An event that can't be decided is counted and left behind; it keeps no other of its batch back. With `tries`, how
    often the events were tried before, a try is counted before it is made: the events may have killed another worker.
    """
    if tries is not None:
        ids = await begin_try(engine, ids, tries)
    decided, failed = await _decide_apart(engine, ids)
    if tries is None:
        await begin_try(engine, failed, 0)
    return decided


async def _decide_apart(engine: WorkerEngine, ids: Sequence[str]) -> tuple[int, list[str]]:
    """Decide events, isolating faulty ones; returns how many were decided, and those that can't be."""
    decided, failed = 0, list[str]()
    for part, outcome in await bisect_failures(partial(_decide, engine), ids):
        if isinstance(outcome, Exception):
            log.error("decide.failed", id=part[0], exc_info=outcome)
            failed += part
        else:
            decided += outcome
    return decided, failed


async def _decide(engine: WorkerEngine, ids: Sequence[str]) -> int:
    decided, forwarded = 0, Forwarded()
    while ids:
        done, split = await _decide_together(engine, ids, forwarded)
        metrics.events_decided.inc(done)
        decided, ids = decided + done, [*split.waiting, *await forward(engine, split.outward, forwarded)]
    return decided


@metered(Stage.DECIDE)
async def _decide_together(engine: WorkerEngine, ids: Sequence[str], forwarded: Forwarded) -> tuple[int, BatchSplit]:
    """Decide events in one transaction; returns how many, and those that come after it."""
    now = engine.clock.now()
    for _ in range(RACES):
        try:
            decided = await engine.database.write(partial(_transact, engine, ids, now, forwarded))
        except _Raced:
            continue
        break
    else:
        return 0, BatchSplit()  # the clock signals the events again
    if engine.tracer is not None:
        tell_decided(engine.tracer, decided.split.together, decided.new, now, engine.clock.now())
    _begin(engine, decided)
    await signal_due(engine, decided.new, now)
    await engine.signals.expand(decided.split.wide)
    return len(decided.split.together), decided.split


async def _transact(
    engine: WorkerEngine, ids: Sequence[str], now: int, forwarded: Forwarded, connection: AsyncConnection
) -> _Decided:
    """Decide those of the events that one transaction can, and write all that comes of them; _Raced where another
    transaction has made one of the same rows meanwhile."""
    dialect = engine.database.dialect
    split = _split(engine, await events.take_undecided(connection, dialect, ids), forwarded)
    await open_events.look_again(connection, dialect, split.wide, now + EXPAND_AGAIN)
    if not split.together:
        return _Decided(split)
    together = forwarded.with_turns(split.together)
    batch = await with_first_seen(connection, dialect, engine.catalog, together, identities.first_seen)
    named = await recipients.in_audiences(connection, dialect, list(audience_keys(engine.catalog, batch)))
    members = forwarded.with_members(named)
    running = engine.experiments.running
    plan = await read_and_plan(connection, dialect, engine.catalog, batch, now, members, running, often=engine.often)
    await supersessions.add(connection, dialect, plan.supersessions)
    taken = await _take(connection, engine, batch, members, plan, now)
    planned = write_as_claimed(plan.deliveries.values(), taken)
    new = await _write_new(connection, dialect, engine.catalog, batch, planned, now)
    await write_outcomes(connection, engine, plan, new)
    await _end_subscriptions(connection, dialect, engine.catalog, batch, new)
    await end_of_drivers(connection, dialect, engine.catalog, batch, members, now)
    await deliveries.add_decisions(connection, dialect, plan.decisions)
    made = Counter(delivery.event_id for delivery in new)
    await events.mark_decided(connection, dialect, batch, made, now)
    return _Decided(split, new, taken)


async def _take(
    connection: AsyncConnection, engine: WorkerEngine, batch: Sequence[Event], members: Mapping[str, list[Recipient]],
    plan: Plan, now: int,
) -> LocalClaims:  # fmt: skip
    """Claim those planned deliveries that this process has room for, with the lease and the data that a claim would
    give."""
    due = due_immediately(engine.catalog, plan.deliveries.values(), now)
    chosen = {queue: each[: engine.dispatcher.takes(queue, len(each))] for queue, each in due.items()}
    subject_keys = {delivery.subject_key for each in chosen.values() for delivery in each}
    if not subject_keys:
        return {}
    known = await supersessions.of(connection, engine.database.dialect, subject_keys)
    tokens = {queue: secrets.token_hex(16) for queue in chosen}
    return claim_locally(chosen, batch, members, known, tokens, engine.clock.now() + engine.hold.lasts)


def _begin(engine: WorkerEngine, decided: _Decided) -> None:
    """Start sending the claimed deliveries that are new; those that existed already belong to somebody else."""
    own = {delivery.id for delivery in decided.new}
    for queue, taken in decided.taken.items():
        held = [each for each in taken if each.ready.id in own]
        if held:
            engine.dispatcher.begin(queue, len(held), deliver.hand_over(engine, queue[0], held))


async def _write_new(
    connection: AsyncConnection, dialect: str, catalog: Catalog, batch: Sequence[Event], planned: list[NewDelivery],
    now: int,
) -> list[NewDelivery]:  # fmt: skip
    """Write the deliveries that don't exist yet, and their digests; returns the deliveries written."""
    if not any(each.state == State.COLLECTED for each in planned):
        return await deliveries.add(connection, dialect, planned)
    # Duplicates are looked up first: they must not open a digest.
    known = await deliveries.existing(connection, dialect, [each.id for each in planned])
    new = [each for each in planned if each.id not in known]
    new = await collect(connection, dialect, catalog, batch, new, now)
    if len(await deliveries.add(connection, dialect, new)) != len(new):
        raise _Raced
    return new


def _split(engine: WorkerEngine, batch: Iterable[Event], forwarded: Forwarded) -> BatchSplit:
    split, catalog, buckets = BatchSplit(), engine.catalog, len(engine.whole.buckets)
    ending: set[str] = set()
    for event in sorted(batch, key=lambda event: (event.occurred_at, event.id)):
        kinds = catalog.listeners.get(event.type, [])
        topics_ = {key for kind in kinds if kind.one_shot for key in policy.audiences(kind, event.data)}
        if any(kind.audience == "segment" for kind in kinds):
            split.wide.append(event.id)
        elif event.id not in forwarded.ids and reaches_out(catalog, event, buckets):
            split.outward.append(event)
        elif topics_ & ending:
            split.waiting.append(event.id)
        else:
            split.together.append(event)
            ending |= topics_
    return split


async def _end_subscriptions(
    connection: AsyncConnection, dialect: str, catalog: Catalog, batch: Iterable[Event], new: Iterable[NewDelivery]
) -> None:
    """End the subscriptions that a one-shot notification ends; _Raced where one has ended meanwhile."""
    data = {event.id: event.data for event in batch}
    ended = {
        (key, delivery.recipient_id)
        for delivery in new
        if delivery.state in OPEN and catalog.with_twins[delivery.type].one_shot
        for key in policy.audiences(catalog.with_twins[delivery.type], data[delivery.event_id])
    }
    if await topics.end(connection, dialect, ended) != len(ended):
        raise _Raced
