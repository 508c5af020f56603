"""Decide: turn events into deliveries, with a record of why. One transaction for a batch, whatever its size."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier import metrics, policy
from notifier.catalog import Catalog, NotificationType
from notifier.deliveries import Channel, Reason, State, by_queue, make_id
from notifier.errors import StoreUnavailable
from notifier.events import Event
from notifier.pipeline.collect import collect
from notifier.pipeline.engine import SIGNAL_AGAIN, Engine
from notifier.policy import Answer, Rule
from notifier.recipients import Recipient
from notifier.standing import Standing
from notifier.store import deliveries, events, marks, recipients, segments, standing, topics
from notifier.store.deliveries import Decision, NewDelivery
from notifier.store.marks import Mark
from notifier.store.segments import NO_CHUNK

log = structlog.get_logger(__name__)

RACES = 3  # times that another transaction may have made one of the same deliveries at the same moment


Spent = dict[str, dict[str, tuple[int, ...]]]
"""When people were told of capped categories, by recipient and category (`standing.spent`)."""


class _Raced(Exception):
    """Another transaction made one of the deliveries between our look and our insert."""


@dataclass
class Plan:
    """What a batch of events comes to: rows to write."""

    deliveries: dict[str, NewDelivery] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)


@dataclass
class Turns:
    """Events of a batch: those that one transaction decides together, those that have to wait for it because they end
    the same subscriptions, and those that speak to segments and go chunk by chunk."""

    together: list[Event] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    wide: list[str] = field(default_factory=list)


async def decide(engine: Engine, ids: Sequence[str], *, tries: int | None = None) -> int:
    """Decide those of the events that still wait for it, signal what is to go out now; how many there were.

    An event that can't be decided is counted and left behind; it keeps no other of its batch back. With `tries`, how
    often they were tried before, a try is counted before it is made: they may be what ended another worker.
    """
    if tries is not None:
        ids = await _begin_try(engine, ids, tries)
    decided, failed = await _decide_apart(engine, ids)
    if tries is None:
        await _begin_try(engine, failed, 0)
    return decided


async def _begin_try(engine: Engine, ids: Sequence[str], tries: int) -> list[str]:
    if not ids:
        return []
    return await events.begin_try(engine.database, ids, tries, engine.clock.now() + SIGNAL_AGAIN)


async def _decide_apart(engine: Engine, ids: Sequence[str]) -> tuple[int, list[str]]:
    """How many events were decided, and those that can't be: a batch that fails is halved until they stand alone."""
    if not ids:
        return 0, []
    try:
        return await _decide(engine, ids), []
    except StoreUnavailable:
        raise
    except Exception as error:
        if len(ids) == 1:
            log.error("decide.failed", id=ids[0], exc_info=error)
            return 0, list(ids)
    middle = len(ids) // 2
    first, second = await _decide_apart(engine, ids[:middle]), await _decide_apart(engine, ids[middle:])
    return first[0] + second[0], first[1] + second[1]


async def _decide(engine: Engine, ids: Sequence[str]) -> int:
    decided = 0
    while ids:
        done, turns = await _decide_together(engine, ids)
        for id_ in turns.wide:
            done += await _expand(engine, id_)
        metrics.events_decided.inc(done)
        decided, ids = decided + done, turns.waiting
    return decided


async def _decide_together(engine: Engine, ids: Sequence[str]) -> tuple[int, Turns]:
    """How many events one transaction decided, and whose turn comes after it."""
    now = engine.clock.now()

    async def work(connection: AsyncConnection) -> tuple[int, list[NewDelivery], Turns]:
        dialect = engine.database.dialect
        turns = _take_turns(engine.catalog, await events.take_undecided(connection, dialect, ids))
        undecided = turns.together
        if not undecided:
            return 0, [], turns
        plan = await read_and_plan(connection, dialect, engine.catalog, undecided, now)
        known = await deliveries.existing(connection, dialect, list(plan.deliveries))
        new = [delivery for delivery in plan.deliveries.values() if delivery.id not in known]
        new = await collect(connection, dialect, engine.catalog, undecided, new, now)
        if await deliveries.add(connection, dialect, new) != len(new):
            raise _Raced
        counts = dict.fromkeys((event.id for event in undecided), 0)
        for delivery in new:
            counts[delivery.event_id] += 1
        ended = _ended(engine.catalog, undecided, new)
        if await topics.end(connection, dialect, ended) != len(ended):
            raise _Raced
        await deliveries.add_decisions(connection, dialect, plan.decisions)
        await marks.add(connection, dialect, plan.marks)
        await events.mark_decided(connection, dialect, counts, now)
        return len(undecided), new, turns

    for _ in range(RACES):
        try:
            decided, new, turns = await engine.database.write(work)
        except _Raced:
            continue
        break
    else:
        return 0, Turns()  # the clock signals the events again
    await _signal(engine, new, now)
    return decided, turns


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
        if delivery.state == State.PENDING and catalog.types[delivery.type].one_shot
        for key in policy.audiences(catalog.types[delivery.type], data[delivery.event_id])
    }


async def _signal(engine: Engine, new: Iterable[NewDelivery], now: int) -> None:
    """Say of deliveries that are due that they are; of what doesn't go at once the clock does, as there is room."""
    at_once = (d for d in new if d.state == State.PENDING and d.due_at <= now and engine.catalog.types[d.type].at_once)
    await engine.signals.deliver(by_queue((d.id, d.channel, d.lane) for d in at_once))


async def _expand(engine: Engine, id_: str) -> int:
    """Decide an event for the next chunk of its segment, and signal the one after; 1 where that was the last, else 0.

    What a chunk comes to and how far it reached are one transaction, so a worker that ends anywhere leaves no person
    out and tells none twice. Types with other audiences are decided with the first chunk.
    """
    now = engine.clock.now()

    async def work(connection: AsyncConnection) -> tuple[bool, Plan] | None:
        dialect = engine.database.dialect
        taken = await events.take_undecided(connection, dialect, [id_])
        if not taken:
            return None
        (event,) = taken
        kinds = engine.catalog.listeners.get(event.type, [])
        wide = [kind for kind in kinds if kind.audience == "segment"]
        segment = await segments.read(connection, str(event.data["segment_id"]))
        chunk = NO_CHUNK
        if segment is not None:
            chunk = await segments.chunk(connection, dialect, segment, event.cursor or "", engine.chunk)
        members = {key: chunk.people for kind in wide for key in policy.audiences(kind, event.data)}
        plan = Plan()
        if event.cursor is None:
            others = [key for kind in kinds if kind not in wide for key in policy.audiences(kind, event.data)]
            members |= await recipients.in_audiences(connection, dialect, others)
            _plan_marks(plan, engine.catalog, event)
        spent = await _spent(connection, dialect, engine.catalog, [event], members, now)
        for kind in kinds:
            if kind not in wide and event.cursor is None:
                _plan_type(plan, engine.catalog, kind, event, _people(kind, event, members), now, spent)
            elif kind in wide and chunk.people:
                _plan_type(plan, engine.catalog, kind, event, chunk.people, now, spent)
            elif kind in wide and segment is None:
                _plan_nobody(plan, kind, event, Reason.UNKNOWN_SEGMENT, now)
            elif kind in wide and not chunk.more and not await deliveries.has_decisions(connection, id_, kind.id):
                _plan_nobody(plan, kind, event, Reason.EMPTY_AUDIENCE, now)
        added = await deliveries.add(connection, dialect, list(plan.deliveries.values()))
        await deliveries.add_decisions(connection, dialect, plan.decisions)
        await marks.add(connection, dialect, plan.marks)
        again_at = now + SIGNAL_AGAIN if chunk.more else None
        await events.advance(connection, id_, added, chunk.last or event.cursor, now, again_at)
        return not chunk.more, plan

    outcome = await engine.database.write(work)
    if outcome is None:
        return 0
    finished, plan = outcome
    await _signal(engine, plan.deliveries.values(), now)  # what was there already was signalled before: no harm
    if not finished:
        await engine.signals.decide([id_])
    return int(finished)


async def read_and_plan(
    connection: AsyncConnection, dialect: str, catalog: Catalog, batch: Sequence[Event], now: int,
    members: Mapping[str, list[Recipient]] | None = None, *, hold: bool = True,
) -> Plan:  # fmt: skip
    """The rows for a batch of events, by what is known of the people they name; nothing is written.

    `members` stand in for those who are in the audiences. Without `hold` nobody's place under a cap is kept for them.
    """
    if members is None:
        members = await recipients.in_audiences(connection, dialect, list(audience_keys(catalog, batch)))
    spent = await _spent(connection, dialect, catalog, batch, members, now, hold=hold)
    return make_plan(catalog, batch, members, now, spent)


async def _spent(
    connection: AsyncConnection, dialect: str, catalog: Catalog, batch: Iterable[Event],
    members: Mapping[str, list[Recipient]], now: int, *, hold: bool = True,
) -> Spent:  # fmt: skip
    """What counts to the caps of the categories that this batch speaks in."""
    wanted: dict[str, list[str]] = {}
    for event in batch:
        for kind in catalog.listeners.get(event.type, []):
            if kind.category in catalog.regulation.caps:
                wanted.setdefault(kind.category, []).extend(each.id for each in _people(kind, event, members))
    types = {name: [kind.id for kind in catalog.types.values() if kind.category == name] for name in wanted}
    return await standing.spent(connection, dialect, wanted, types, catalog.regulation, now, hold=hold)


def make_plan(
    catalog: Catalog, batch: Iterable[Event], members: Mapping[str, list[Recipient]], now: int, spent: Spent
) -> Plan:
    """The rows for a batch of events, oldest event first, so that of two alike the first stands.

    `spent` is what people were told of capped categories, and grows by what they are told here.
    """
    plan = Plan()
    for event in sorted(batch, key=lambda event: (event.occurred_at, event.id)):
        _plan_marks(plan, catalog, event)
        for kind in catalog.listeners.get(event.type, []):
            _plan_type(plan, catalog, kind, event, _people(kind, event, members), now, spent)
    return plan


def _plan_marks(plan: Plan, catalog: Catalog, event: Event) -> None:
    plan.marks += [
        Mark(about=mark.about, until=mark.until, reason=mark.reason, event_id=event.id)
        for mark in policy.outdates(catalog, event)
    ]


def _people(kind: NotificationType, event: Event, members: Mapping[str, list[Recipient]]) -> list[Recipient]:
    # The most exact name decides: a token that is somebody else's must not tell a stranger.
    found = (members[key] for key in policy.audiences(kind, event.data) if key in members)
    return next(found, [])


def _plan_type(
    plan: Plan, catalog: Catalog, kind: NotificationType, event: Event, people: Sequence[Recipient], now: int,
    spent: Spent,
) -> None:  # fmt: skip
    if not people:
        subscribed = kind.audience == "subscribers"
        _plan_nobody(plan, kind, event, Reason.EMPTY_AUDIENCE if subscribed else Reason.UNKNOWN_RECIPIENT, now)
    turn = 0
    for person in people:
        asked = _with_spent(person, spent) if kind.category in catalog.regulation.caps else person
        answers = policy.decide(kind, event, asked, now, catalog.regulation, turn)
        told = []
        for answer in answers:
            id_ = policy.delivery_id(kind, event, person.id, answer.channel, answer.target)
            plan.deliveries.setdefault(id_, _delivery(kind, event, person.id, answer, id_, now))
            told.append(_told(answer) | {"delivery": id_})
        plan.decisions.append(_decision(kind, event, person.id, told, now, asked.standing))
        if any(answer.state in (State.PENDING, State.COLLECTED) for answer in answers):
            turn += 1
            if asked is not person:
                mine = spent.setdefault(person.id, {})
                mine[kind.category] = (*mine.get(kind.category, ()), now)


def _plan_nobody(plan: Plan, kind: NotificationType, event: Event, reason: Reason, now: int) -> None:
    nobody = Answer(channel=Channel.NONE, state=State.SUPPRESSED, due_at=now, rule=Rule.ADDRESS, reason=reason)
    # By event and not by collapse key: every event about a person we don't know is counted.
    delivery = _delivery(kind, event, "", nobody, make_id("delivery", kind.id, event.id, "", Channel.NONE, ""), now)
    plan.deliveries[delivery.id] = delivery
    plan.decisions.append(_decision(kind, event, "", [_told(nobody) | {"delivery": delivery.id}], now, None))


def _with_spent(person: Recipient, spent: Spent) -> Recipient:
    mine = spent.get(person.id, {})
    return msgspec.structs.replace(person, standing=msgspec.structs.replace(person.standing, spent=dict(mine)))


def audience_keys(catalog: Catalog, batch: Iterable[Event]) -> Iterable[str]:
    """The audiences that events name, for all the types that listen."""
    for event in batch:
        for kind in catalog.listeners.get(event.type, []):
            yield from policy.audiences(kind, event.data)


def _delivery(
    kind: NotificationType, event: Event, recipient_id: str, answer: Answer, id_: str, now: int
) -> NewDelivery:
    pending = answer.state == State.PENDING
    signalled_here = pending and kind.at_once and answer.due_at <= now
    signal_at = now + SIGNAL_AGAIN if signalled_here else answer.due_at if pending else None
    return NewDelivery(
        id=id_, event_id=event.id, recipient_id=recipient_id, type=kind.id, channel=answer.channel,
        target=answer.target, step=answer.step,
        lane=kind.lane, about=policy.about(kind, event.data), state=answer.state, reason=answer.reason, created_at=now,
        updated_at=now, due_at=answer.due_at, expires_at=policy.expires_at(kind, event), signal_at=signal_at,
    )  # fmt: skip


def _told(answer: Answer) -> dict[str, Any]:
    told = {"channel": answer.channel, "answer": answer.state, "reason": answer.reason, "due_at": answer.due_at}
    return told | {"rule": answer.rule, "by": answer.by} if answer.by else told | {"rule": answer.rule}


def _decision(
    kind: NotificationType, event: Event, recipient_id: str, answers: list[dict[str, Any]], now: int,
    where: Standing | None,
) -> Decision:  # fmt: skip
    return Decision(
        event_id=event.id, type=kind.id, recipient_id=recipient_id, decided_at=now, answers=answers, standing=where
    )
