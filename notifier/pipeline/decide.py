"""Decide: turn events into deliveries, with a record of why. One transaction for a batch, whatever its size."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier import metrics, policy
from notifier.catalog import Catalog, NotificationType
from notifier.deliveries import Channel, Lane, Reason, State, by_queue, make_id
from notifier.errors import StoreUnavailable
from notifier.events import Event
from notifier.pipeline.collect import collect
from notifier.pipeline.engine import SIGNAL_AGAIN, Engine
from notifier.policy import Answer, Rule
from notifier.recipients import Recipient
from notifier.standing import Standing
from notifier.store import deliveries, events, marks, recipients, standing
from notifier.store.deliveries import Decision, NewDelivery
from notifier.store.marks import Mark

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
    now = engine.clock.now()

    async def work(connection: AsyncConnection) -> tuple[int, list[NewDelivery]]:
        dialect = engine.database.dialect
        undecided = await events.take_undecided(connection, dialect, ids)
        if not undecided:
            return 0, []
        members = await recipients.in_audiences(connection, dialect, list(_audience_keys(engine.catalog, undecided)))
        spent = await _spent(connection, dialect, engine.catalog, undecided, members, now)
        plan = make_plan(engine.catalog, undecided, members, now, spent)
        known = await deliveries.existing(connection, dialect, list(plan.deliveries))
        new = [delivery for delivery in plan.deliveries.values() if delivery.id not in known]
        new = await collect(connection, dialect, engine.catalog, undecided, new, now)
        if await deliveries.add(connection, dialect, new) != len(new):
            raise _Raced
        counts = dict.fromkeys((event.id for event in undecided), 0)
        for delivery in new:
            counts[delivery.event_id] += 1
        await deliveries.add_decisions(connection, dialect, plan.decisions)
        await marks.add(connection, dialect, plan.marks)
        await events.mark_decided(connection, dialect, counts, now)
        return len(undecided), new

    for _ in range(RACES):
        try:
            decided, new = await engine.database.write(work)
        except _Raced:
            continue
        break
    else:
        return 0  # the clock signals the events again
    metrics.events_decided.inc(decided)
    # Bulk waits for the clock, which lets it in as there is room.
    at_once = (d for d in new if d.state == State.PENDING and d.due_at <= now and d.lane != Lane.BULK)
    await engine.signals.deliver(by_queue((d.id, d.channel, d.lane) for d in at_once))
    return decided


async def _spent(
    connection: AsyncConnection, dialect: str, catalog: Catalog, batch: Iterable[Event],
    members: Mapping[str, list[Recipient]], now: int,
) -> Spent:  # fmt: skip
    """What counts to the caps of the categories that this batch speaks in."""
    wanted: dict[str, list[str]] = {}
    for event in batch:
        for kind in catalog.listeners.get(event.type, []):
            if kind.category in catalog.regulation.caps:
                wanted.setdefault(kind.category, []).extend(each.id for each in _people(kind, event, members))
    types = {name: [kind.id for kind in catalog.types.values() if kind.category == name] for name in wanted}
    return await standing.spent(connection, dialect, wanted, types, catalog.regulation, now)


def make_plan(
    catalog: Catalog, batch: Iterable[Event], members: Mapping[str, list[Recipient]], now: int, spent: Spent
) -> Plan:
    """The rows for a batch of events, oldest event first, so that of two alike the first stands.

    `spent` is what people were told of capped categories, and grows by what they are told here.
    """
    plan = Plan()
    for event in sorted(batch, key=lambda event: (event.occurred_at, event.id)):
        for mark in policy.outdates(catalog, event):
            plan.marks.append(Mark(about=mark.about, until=mark.until, reason=mark.reason, event_id=event.id))
        for kind in catalog.listeners.get(event.type, []):
            _plan_type(plan, catalog, kind, event, _people(kind, event, members), now, spent)
    return plan


def _people(kind: NotificationType, event: Event, members: Mapping[str, list[Recipient]]) -> list[Recipient]:
    # The most exact name decides: a token that is somebody else's must not tell a stranger.
    found = (members[key] for key in policy.audiences(kind, event.data) if key in members)
    return next(found, [])


def _plan_type(
    plan: Plan, catalog: Catalog, kind: NotificationType, event: Event, people: Sequence[Recipient], now: int,
    spent: Spent,
) -> None:  # fmt: skip
    if not people:
        nobody = Answer(
            channel=Channel.NONE, state=State.SUPPRESSED, due_at=now, rule=Rule.ADDRESS, reason=Reason.UNKNOWN_RECIPIENT
        )
        # By event and not by collapse key: every event about a person we don't know is counted.
        delivery = _delivery(kind, event, "", nobody, make_id("delivery", kind.id, event.id, "", Channel.NONE, ""), now)
        plan.deliveries[delivery.id] = delivery
        plan.decisions.append(_decision(kind, event, "", [_told(nobody)], now, None))
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


def _with_spent(person: Recipient, spent: Spent) -> Recipient:
    mine = spent.get(person.id, {})
    return msgspec.structs.replace(person, standing=msgspec.structs.replace(person.standing, spent=dict(mine)))


def _audience_keys(catalog: Catalog, batch: Iterable[Event]) -> Iterable[str]:
    for event in batch:
        for kind in catalog.listeners.get(event.type, []):
            yield from policy.audiences(kind, event.data)


def _delivery(
    kind: NotificationType, event: Event, recipient_id: str, answer: Answer, id_: str, now: int
) -> NewDelivery:
    pending = answer.state == State.PENDING
    signalled_here = pending and kind.lane != Lane.BULK and answer.due_at <= now
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
