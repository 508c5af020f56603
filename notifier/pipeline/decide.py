"""Decide: turn events into deliveries, with a record of why. One transaction for a batch, whatever its size."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier import metrics, policy
from notifier.catalog import Catalog, NotificationType
from notifier.deliveries import Channel, Lane, Reason, State, by_queue, make_id
from notifier.errors import StoreUnavailable
from notifier.events import Event
from notifier.pipeline.engine import SIGNAL_AGAIN, Engine
from notifier.policy import Answer
from notifier.recipients import Recipient
from notifier.store import deliveries, events, recipients
from notifier.store.deliveries import Decision, NewDelivery, Supersession

log = structlog.get_logger(__name__)

RACES = 3  # times that another transaction may have made one of the same deliveries at the same moment


class _Raced(Exception):
    """Another transaction made one of the deliveries between our look and our insert."""


@dataclass
class Plan:
    """What a batch of events comes to: rows to write."""

    deliveries: dict[str, NewDelivery] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)
    supersessions: list[Supersession] = field(default_factory=list)


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
        plan = make_plan(engine.catalog, undecided, members, now)
        known = await deliveries.existing(connection, dialect, list(plan.deliveries))
        new = [delivery for delivery in plan.deliveries.values() if delivery.id not in known]
        if await deliveries.add(connection, dialect, new) != len(new):
            raise _Raced
        counts = dict.fromkeys((event.id for event in undecided), 0)
        for delivery in new:
            counts[delivery.event_id] += 1
        await deliveries.add_decisions(connection, dialect, plan.decisions)
        await deliveries.add_supersessions(connection, dialect, plan.supersessions)
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


def make_plan(catalog: Catalog, batch: Iterable[Event], members: dict[str, list[Recipient]], now: int) -> Plan:
    """The rows for a batch of events, oldest event first, so that of two alike the first stands."""
    plan = Plan()
    for event in sorted(batch, key=lambda event: (event.occurred_at, event.id)):
        for mark in policy.outdates(catalog, event):
            plan.supersessions.append(
                Supersession(about=mark.about, until=mark.until, reason=mark.state, event_id=event.id)
            )
        for kind in catalog.listeners.get(event.type, []):
            _plan_type(plan, kind, event, members, now)
    return plan


def _plan_type(plan: Plan, kind: NotificationType, event: Event, members: dict[str, list[Recipient]], now: int) -> None:
    # The most exact name decides: a token that is somebody else's must not tell a stranger.
    found = (members[key] for key in policy.audiences(kind, event.data) if key in members)
    people = {person.id: person for person in next(found, [])}
    if not people:
        nobody = Answer(channel=Channel.NONE, state=State.SUPPRESSED, due_at=now, reason=Reason.UNKNOWN_RECIPIENT)
        # By event and not by collapse key: every event about a person we don't know is counted.
        delivery = _delivery(kind, event, "", nobody, make_id("delivery", kind.id, event.id, "", Channel.NONE, ""), now)
        plan.deliveries[delivery.id] = delivery
        plan.decisions.append(_decision(kind, event, "", [_told(nobody)], now))
    for person in people.values():
        told = []
        for answer in policy.decide(kind, event, person, now):
            id_ = policy.delivery_id(kind, event, person.id, answer.channel, answer.target)
            plan.deliveries.setdefault(id_, _delivery(kind, event, person.id, answer, id_, now))
            told.append(_told(answer) | {"delivery": id_})
        plan.decisions.append(_decision(kind, event, person.id, told, now))


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
        target=answer.target,
        lane=kind.lane, about=policy.about(kind, event.data), state=answer.state, reason=answer.reason, created_at=now,
        updated_at=now, due_at=answer.due_at, expires_at=event.starts_at + kind.ttl, signal_at=signal_at,
    )  # fmt: skip


def _told(answer: Answer) -> dict[str, Any]:
    return {"channel": answer.channel, "answer": answer.state, "reason": answer.reason, "due_at": answer.due_at}


def _decision(
    kind: NotificationType, event: Event, recipient_id: str, answers: list[dict[str, Any]], now: int
) -> Decision:
    return Decision(event_id=event.id, type=kind.id, recipient_id=recipient_id, decided_at=now, answers=answers)
