"""The rows that a batch of events leads to: pure, from the recipients read before."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Any, NamedTuple

import msgspec

from notifier import policy
from notifier.domain.catalog import Catalog, NotificationType
from notifier.domain.deliveries import Channel, Reason, State
from notifier.domain.events import Event
from notifier.domain.experiments import NONE, Running, exposure_id
from notifier.domain.ids import dated, instant_of, make_id
from notifier.domain.recipient_facts import EVERY_TYPE, RecipientFacts, of_type
from notifier.domain.recipients import Recipient
from notifier.domain.twins import like
from notifier.pipeline.engine import SIGNAL_AGAIN
from notifier.policy import ChannelAnswer, Rule
from notifier.store.delivery.awaited import Awaited
from notifier.store.delivery.decisions import Decision
from notifier.store.delivery.deliveries import NewDelivery
from notifier.store.delivery.supersessions import Supersession

SendsInWindow = dict[str, dict[str, tuple[int, ...]]]
"""When people were notified in capped categories, by recipient and category (`recipient_facts.sends_in_window`), and by
types with a limit or by all together (`recipient_facts.told_by_type`), where they were counted."""


@dataclass
class Plan:
    """The rows to write for a batch of events."""

    deliveries: dict[str, NewDelivery] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)
    supersessions: list[Supersession] = field(default_factory=list)
    awaited: dict[str, Awaited] = field(default_factory=dict)  # by the delivery that was decided first for the person
    answers: dict[str, int] = field(default_factory=dict)  # when the outcomes of subjects came

    def awaited_of(self, new: Iterable[NewDelivery]) -> list[Awaited]:
        """The outcomes that are awaited because of deliveries that are new."""
        return [self.awaited[each.id] for each in new if each.id in self.awaited]


class _Shared(NamedTuple):
    """The fields shared by all deliveries of one event and type: their subject, and when they expire."""

    subject_key: str
    expires_at: int
    now: int
    variant: str | None = None


def make_plan(
    catalog: Catalog, batch: Iterable[Event], members: Mapping[str, list[Recipient]], now: int, spent: SendsInWindow,
    running: Running = NONE,
) -> Plan:  # fmt: skip
    """The rows for a batch of events, oldest event first, so that of two alike the first stands.

    `sends_in_window` is what people were told of capped categories, and grows by what they are told here.
    """
    plan = Plan()
    for event in sorted(batch, key=lambda event: (event.occurred_at, event.id)):
        plan_effects(plan, catalog, event)
        for kind in kinds_of(catalog, event):
            plan_type(plan, catalog, kind, event, people_of(kind, event, members), now, spent, running)
    return plan


def plan_effects(plan: Plan, catalog: Catalog, event: Event) -> None:
    """Add the supersessions that an event causes, and the outcomes that it is."""
    plan.supersessions += supersessions_of(catalog, event)
    for key, at in answers_of(catalog, event).items():
        plan.answers.setdefault(key, at)


def _answer_people(
    plan: Plan, catalog: Catalog, kind: NotificationType, event: Event, people: Sequence[Recipient] | None
) -> None:
    """Add the outcomes that an event is by person, of the people whom it is for by a type."""
    awaiting = catalog.answers_for_people.get(event.type)
    if awaiting is None or kind.audience != "driver":
        return
    for person in people or ():
        for other in awaiting:
            plan.answers.setdefault(policy.person_key(other, person.id), event.starts_at)


def answers_of(catalog: Catalog, event: Event) -> dict[str, int]:
    """The subjects whose outcome an event is, with the instant."""
    return dict.fromkeys(policy.answered(catalog, event), event.starts_at)


def supersessions_of(catalog: Catalog, event: Event) -> list[Supersession]:
    """The supersessions that an event causes."""
    return [
        Supersession(subject_key=mark.subject_key, until=mark.until, reason=mark.reason, event_id=event.id)
        for mark in policy.outdates(catalog, event)
    ]


def kinds_of(catalog: Catalog, event: Event) -> list[NotificationType]:
    """The types to decide about an event: all that listen, and of a copy those whose people are where it is."""
    kinds = catalog.listeners.get(event.type, [])
    return kinds if event.audiences is None else [kind for kind in kinds if policy.own_audiences(kind, event)]


def people_of(kind: NotificationType, event: Event, members: Mapping[str, list[Recipient]]) -> list[Recipient] | None:
    """The recipients of a type's notification about an event, none where all of them are in other buckets; None where
    there is nobody."""
    # The most exact name decides: a token of another person must not notify a stranger.
    return next((members[key] for key in policy.own_audiences(kind, event) if key in members), None)


def plan_type(
    plan: Plan, catalog: Catalog, kind: NotificationType, event: Event, people: Sequence[Recipient] | None, now: int,
    spent: SendsInWindow, running: Running,
) -> None:  # fmt: skip
    """Add a type's deliveries and decisions for these people, and the outcomes that the event is of theirs."""
    if people is None:
        subscribed = kind.audience == "subscribers"
        plan_nobody(plan, kind, event, Reason.EMPTY_AUDIENCE if subscribed else Reason.UNKNOWN_RECIPIENT, now)
    _answer_people(plan, catalog, kind, event, people)
    alike = _Shared(policy.subject_key(kind, event.data), policy.expires_at(kind, event), now)
    turns = _turns(kind, event)
    trying = running.on(kind.id)
    asked_here = 0
    capped, category = kind.category in catalog.regulation.caps, like(kind.category, kind.id)
    limited = {of_type(kind.id), of_type(like(EVERY_TYPE, kind.id))}
    for person, elsewhere in zip(people or (), turns, strict=False):
        mine = spent.get(person.id)
        counted = limited & mine.keys() if mine is not None else ()
        asked = _with_spent(person, spent) if capped or counted else person
        part = None if trying is None else trying.part(person.id)
        shared, told_as = (alike, kind) if part is None else (alike._replace(variant=part.variant), part.kind)
        answers = policy.decide(told_as, event, asked, now, catalog.regulation, asked_here + elsewhere)
        was_to_hear = any(answer.state in policy.SPEAKING for answer in answers)
        if part is not None:
            answers = policy.try_out(answers, part.arm, shared.expires_at)
        told, fresh = [], False
        for answer in answers:
            id_ = policy.delivery_id(kind, event, person.id, answer.channel, answer.target)
            fresh = fresh or id_ not in plan.deliveries
            plan.deliveries.setdefault(id_, _delivery(kind, event, person.id, answer, id_, shared))
            told.append(_told(answer, id_))
        plan.decisions.append(_decision(kind, event, person.id, told, now, asked.facts))
        if kind.outcome is not None and fresh and was_to_hear:
            _await(plan, kind, person, list(zip(answers, told, strict=True)), shared)
        if any(answer.state in policy.SPEAKING for answer in answers):
            asked_here += 1
            if capped:
                mine = spent.setdefault(person.id, {})
                mine[category] = (*mine.get(category, ()), now)
            if mine is not None and fresh:
                mine.update({name: (*mine[name], *_first(answers)) for name in counted})


def _turns(kind: NotificationType, event: Event) -> Iterator[int]:
    """How many in other buckets count as asked before each person here; of who came since, as before the last."""
    ahead = next((event.ahead[key] for key in policy.own_audiences(kind, event) if key in event.ahead), ())
    return chain(ahead, repeat(ahead[-1] if ahead else 0))


def _await(
    plan: Plan, kind: NotificationType, person: Recipient, answers: Sequence[tuple[ChannelAnswer, dict[str, Any]]],
    shared: _Shared,
) -> None:  # fmt: skip
    """Add the outcome that is awaited of a person who is to be told, or would be if they were in another arm:
    whatever becomes of the messages."""
    if kind.outcome is None:
        return
    first, channels = answers[0][1]["delivery"], [a.channel for a, _ in answers if a.state in policy.SPEAKING]
    of = shared.subject_key if kind.outcome.by == "subject" else policy.person_key(kind, person.id)
    plan.awaited[first] = Awaited(
        id=dated(make_id("awaited", first), instant_of(first)), subject_key=of, decided_at=shared.now,
        until=shared.now + kind.outcome.milliseconds, type=kind.id, locale=person.facts.language,
        channels=",".join(dict.fromkeys(channels)), variant=shared.variant or "",
        person=None if shared.variant is None else exposure_id(shared.variant.partition("/")[0], person.id),
    )  # fmt: skip


def _first(answers: Iterable[ChannelAnswer]) -> list[int]:
    """The due time of the first of these answers; empty where all are collected."""
    return sorted(answer.due_at for answer in answers if answer.state == State.PENDING)[:1]


def plan_nobody(plan: Plan, kind: NotificationType, event: Event, reason: Reason, now: int) -> None:
    """Add the decision that a type notifies nobody about an event, and why."""
    nobody = ChannelAnswer(channel=Channel.NONE, state=State.SUPPRESSED, due_at=now, rule=Rule.ADDRESS, reason=reason)
    # By event and not by collapse key: every event about a person we don't know is counted.
    id_ = dated(make_id("delivery", kind.id, event.id, "", Channel.NONE, ""), event.accepted_at)
    shared = _Shared(policy.subject_key(kind, event.data), policy.expires_at(kind, event), now)
    plan.deliveries[id_] = _delivery(kind, event, "", nobody, id_, shared)
    plan.decisions.append(_decision(kind, event, "", [_told(nobody, id_)], now, None))


def _with_spent(person: Recipient, spent: SendsInWindow) -> Recipient:
    mine = spent.get(person.id, {})
    return msgspec.structs.replace(person, facts=msgspec.structs.replace(person.facts, sends_in_window=dict(mine)))


def audience_keys(catalog: Catalog, batch: Iterable[Event]) -> Iterable[str]:
    """The audiences that events name, for all the types that listen."""
    for event in batch:
        for kind in catalog.listeners.get(event.type, []):
            yield from policy.own_audiences(kind, event)


def _delivery(
    kind: NotificationType, event: Event, recipient_id: str, answer: ChannelAnswer, id_: str, shared: _Shared
) -> NewDelivery:
    now, pending = shared.now, answer.state == State.PENDING
    signalled_here = pending and kind.immediate and answer.due_at <= now
    next_check_at = now + SIGNAL_AGAIN if signalled_here else answer.due_at if pending else None
    return NewDelivery(
        id=id_, event_id=event.id, recipient_id=recipient_id, type=kind.id, channel=answer.channel,
        target=answer.target, step=answer.step, lane=kind.lane, subject_key=shared.subject_key, state=answer.state,
        reason=answer.reason, created_at=now, updated_at=now,
        due_at=answer.due_at, expires_at=shared.expires_at, next_check_at=next_check_at, variant=shared.variant,
    )  # fmt: skip


def _told(answer: ChannelAnswer, id_: str) -> dict[str, Any]:
    told = {
        "channel": answer.channel, "answer": answer.state, "reason": answer.reason, "due_at": answer.due_at,
        "rule": answer.rule, "delivery": id_,
    }  # fmt: skip
    if answer.by:
        told["by"] = answer.by
    return told


def _decision(
    kind: NotificationType, event: Event, recipient_id: str, answers: list[dict[str, Any]], now: int,
    where: RecipientFacts | None,
) -> Decision:  # fmt: skip
    return Decision(
        event_id=event.id, type=kind.id, recipient_id=recipient_id, decided_at=now, answers=answers, standing=where
    )
