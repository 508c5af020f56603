"""Decide: turn events into deliveries, with a record of why. One transaction for a batch, whatever its size."""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier import metrics, policy
from notifier.domain.catalog import Catalog
from notifier.domain.deliveries import OPEN, State, by_queue
from notifier.domain.events import Event
from notifier.domain.recipients import Recipient
from notifier.pipeline import deliver
from notifier.pipeline.apart import apart
from notifier.pipeline.collect import collect
from notifier.pipeline.engine import EXPAND_AGAIN, SIGNAL_AGAIN, Engine, WorkerEngine
from notifier.pipeline.often import Often
from notifier.pipeline.plan import Plan, audience_keys, make_plan
from notifier.pipeline.spending import read_spent
from notifier.pipeline.taking import Taken, due_at_once, goes_at_once, take_hold, write_as_held
from notifier.runtime.stages import Stage, meter, metered
from notifier.store.delivery import deliveries, events, marks
from notifier.store.delivery.deliveries import NewDelivery
from notifier.store.people import recipients, topics

log = structlog.get_logger(__name__)

RACES = 3  # times that another transaction may have made one of the same deliveries at the same moment


class _Raced(Exception):
    """Another transaction made one of the deliveries between our look and our insert."""


@dataclass
class Turns:
    """Events of a batch: those that one transaction decides together, those that have to wait for it because they end
    the same subscriptions, and those that speak to segments: `expand` goes through them chunk by chunk."""

    together: list[Event] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    wide: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Decided:
    """What a transaction has decided: whose turn it was, the deliveries that are new, and those to send here."""

    turns: Turns
    new: Sequence[NewDelivery] = ()
    taken: Taken = field(default_factory=dict)


async def decide(engine: WorkerEngine, ids: Sequence[str], *, tries: int | None = None) -> int:
    """Decide those of the events that still wait for it; how many there were. What is to go out now this process begins
    to deliver where it has room, and signals where it hasn't.

    An event that can't be decided is counted and left behind; it keeps no other of its batch back. With `tries`, how
    often they were tried before, a try is counted before it is made: they may be what ended another worker.
    """
    if tries is not None:
        ids = await begin_try(engine, ids, tries)
    decided, failed = await _decide_apart(engine, ids)
    if tries is None:
        await begin_try(engine, failed, 0)
    return decided


async def begin_try(engine: Engine, ids: Sequence[str], tries: int) -> list[str]:
    """Count a try of those of the events that were tried so often; which they are."""
    if not ids:
        return []
    return await events.begin_try(engine.database, ids, tries, engine.clock.now() + SIGNAL_AGAIN)


async def _decide_apart(engine: WorkerEngine, ids: Sequence[str]) -> tuple[int, list[str]]:
    """How many events were decided, and those that can't be."""
    decided, failed = 0, list[str]()
    for part, outcome in await apart(partial(_decide, engine), ids):
        if isinstance(outcome, Exception):
            log.error("decide.failed", id=part[0], exc_info=outcome)
            failed += part
        else:
            decided += outcome
    return decided, failed


async def _decide(engine: WorkerEngine, ids: Sequence[str]) -> int:
    decided = 0
    while ids:
        done, turns = await _decide_together(engine, ids)
        metrics.events_decided.inc(done)
        decided, ids = decided + done, turns.waiting
    return decided


@metered(Stage.DECIDE)
async def _decide_together(engine: WorkerEngine, ids: Sequence[str]) -> tuple[int, Turns]:
    """How many events one transaction decided, and whose turn comes after it."""
    now = engine.clock.now()

    async def work(connection: AsyncConnection) -> _Decided:
        dialect = engine.database.dialect
        turns = _take_turns(engine.catalog, await events.take_undecided(connection, dialect, ids))
        batch = turns.together
        await events.look_again(connection, dialect, turns.wide, now + EXPAND_AGAIN)
        if not batch:
            return _Decided(turns)
        members = await recipients.in_audiences(connection, dialect, list(audience_keys(engine.catalog, batch)))
        plan = await read_and_plan(connection, dialect, engine.catalog, batch, now, members, often=engine.often)
        await marks.add(connection, dialect, plan.marks)
        taken = await _take(connection, engine, batch, members, plan, now)
        planned = write_as_held(plan.deliveries.values(), taken)
        new = await _write_new(connection, dialect, engine.catalog, batch, planned, now)
        counts = dict.fromkeys((event.id for event in batch), 0)
        for delivery in new:
            counts[delivery.event_id] += 1
        ended = _ended(engine.catalog, batch, new)
        if await topics.end(connection, dialect, ended) != len(ended):
            raise _Raced
        await deliveries.add_decisions(connection, dialect, plan.decisions)
        await events.mark_decided(connection, dialect, counts, now)
        return _Decided(turns, new, taken)

    for _ in range(RACES):
        try:
            decided = await engine.database.write(work)
        except _Raced:
            continue
        break
    else:
        return 0, Turns()  # the clock signals the events again
    _begin(engine, decided)
    await signal_due(engine, decided.new, now)
    await engine.signals.expand(decided.turns.wide)
    return len(decided.turns.together), decided.turns


async def _take(
    connection: AsyncConnection, engine: WorkerEngine, batch: Sequence[Event], members: Mapping[str, list[Recipient]],
    plan: Plan, now: int,
) -> Taken:  # fmt: skip
    """Those of the planned deliveries that this process has room for, held from here on: for as long as a claim would
    hold them, and by what a claim would answer."""
    due = due_at_once(engine.catalog, plan.deliveries.values(), now)
    chosen = {queue: each[: engine.nearby.takes(queue, len(each))] for queue, each in due.items()}
    abouts = {delivery.about for each in chosen.values() for delivery in each}
    if not abouts:
        return {}
    known = await marks.of(connection, engine.database.dialect, abouts)
    return take_hold(chosen, batch, members, known, secrets.token_hex(16), engine.clock.now() + engine.hold.lasts)


def _begin(engine: WorkerEngine, decided: _Decided) -> None:
    """Begin to deliver what was taken, but for what was there before: that is somebody else's."""
    own = {delivery.id for delivery in decided.new}
    for queue, taken in decided.taken.items():
        held = [each for each in taken if each.ready.id in own]
        if held:
            engine.nearby.begin(queue, len(held), deliver.hand_over(engine, queue[0], held))


async def _write_new(
    connection: AsyncConnection, dialect: str, catalog: Catalog, batch: Sequence[Event], planned: list[NewDelivery],
    now: int,
) -> list[NewDelivery]:  # fmt: skip
    """Write those of the deliveries that are not there already, and the digests that collect some; which they are."""
    if not any(each.state == State.COLLECTED for each in planned):
        if await deliveries.add(connection, dialect, planned) == len(planned):
            return planned
        return await deliveries.own(connection, dialect, planned)
    # A digest is not to be opened for what was told before: looked up first.
    known = await deliveries.existing(connection, dialect, [each.id for each in planned])
    new = [each for each in planned if each.id not in known]
    new = await collect(connection, dialect, catalog, batch, new, now)
    if await deliveries.add(connection, dialect, new) != len(new):
        raise _Raced
    return new


def _take_turns(catalog: Catalog, batch: Iterable[Event]) -> Turns:
    turns = Turns()
    ending: set[str] = set()
    for event in sorted(batch, key=lambda event: (event.occurred_at, event.id)):
        kinds = catalog.listeners.get(event.type, [])
        topics_ = {key for kind in kinds if kind.one_shot for key in policy.audiences(kind, event.data)}
        if any(kind.audience == "segment" for kind in kinds):
            turns.wide.append(event.id)
        elif topics_ & ending:
            turns.waiting.append(event.id)
        else:
            turns.together.append(event)
            ending |= topics_
    return turns


def _ended(catalog: Catalog, batch: Iterable[Event], new: Iterable[NewDelivery]) -> set[tuple[str, str]]:
    """The subscriptions that end with what is told: their audience keys and recipients."""
    data = {event.id: event.data for event in batch}
    return {
        (key, delivery.recipient_id)
        for delivery in new
        if delivery.state in OPEN and catalog.types[delivery.type].one_shot
        for key in policy.audiences(catalog.types[delivery.type], data[delivery.event_id])
    }


async def signal_due(engine: Engine, new: Iterable[NewDelivery], now: int) -> None:
    """Say of deliveries that are due that they are; of what doesn't go at once the clock does, as there is room."""
    at_once = (delivery for delivery in new if goes_at_once(engine.catalog, delivery, now))
    await engine.signals.deliver(by_queue((d.id, d.channel, d.lane) for d in at_once))


async def read_and_plan(
    connection: AsyncConnection, dialect: str, catalog: Catalog, batch: Sequence[Event], now: int,
    members: Mapping[str, list[Recipient]], *, hold: bool = True, often: Often | None = None,
) -> Plan:  # fmt: skip
    """The rows for a batch of events, by what is known of the people they name; nothing is written.

    `members` are those of each audience. Without `hold` nobody's place under a cap is kept for them; with `often` it is
    counted only of those whom the process decides about often what a type told them.
    """
    spent = await read_spent(connection, dialect, catalog, batch, members, now, hold=hold, often=often)
    with meter(Stage.DECIDE):
        return make_plan(catalog, batch, members, now, spent)
