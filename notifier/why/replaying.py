"""Replay a past day: decide its events again by other types or rules, and report what would differ. It writes nothing.

Each decision is made again at its own moment, with the person standing where it says they stood. Caps count what was
sent by then, not what would have been sent instead.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from itertools import groupby

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier import policy
from notifier.domain.catalog import Catalog
from notifier.domain.clock import DAY
from notifier.domain.deliveries import State
from notifier.domain.events import Event
from notifier.domain.ids import instant_of
from notifier.domain.recipient_facts import EVERY_TYPE, of_type
from notifier.domain.recipients import Recipient
from notifier.pipeline.plan import SendsInWindow, audience_keys, make_plan
from notifier.policy import phrases
from notifier.store.core.buckets import in_each
from notifier.store.core.database import Database
from notifier.store.delivery.decisions import Decision
from notifier.store.people import recipient_facts, recipients
from notifier.store.reading import history
from notifier.store.reading.explaining import Answered, DecisionRecord
from notifier.store.reading.history import DecisionKey

AT_ONCE = 100  # events: deciding them takes some 30 ms, in which a web process accepts nothing
EXAMPLES = 3  # examples of each difference: events for `notifier explain`

Members = Mapping[str, list[Recipient]]

_Facts = tuple[SendsInWindow, Members]

Outcome = tuple[State, str | None, int]
"""An answer's state, its reason, and when it is due."""

Outcomes = dict[tuple[str, str, str], Outcome]
"""By type, recipient and channel; a person's devices all fare alike."""


class ReplayExample(msgspec.Struct, frozen=True, kw_only=True):
    """An example of a difference."""

    event: str
    recipient: str | None


class ReplayDifference(msgspec.Struct, frozen=True, kw_only=True):
    """Answers of one type on one channel that would change: from what to what, how many, and some examples."""

    type: str
    channel: str
    before: str
    after: str
    count: int
    examples: list[ReplayExample]


class Differences(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a replay. `by_today` counts decisions for which only today's facts are known, `failed` events
    whose data these types don't accept, `gone` those whose data are no longer kept."""

    events: int
    decisions: int
    answers: int
    differ: int
    by_today: int
    failed: int
    gone: int
    changes: list[ReplayDifference]


class _Tally:
    """Running counts of a replay."""

    def __init__(self) -> None:
        self.events = self.decisions = self.answers = self.by_today = self.failed = self.gone = 0
        self.changes: dict[tuple[str, str, str, str], tuple[int, list[ReplayExample]]] = {}

    def compare(self, event: Event, before: Outcomes, after: Outcomes, at: int) -> None:
        for key in sorted(before.keys() | after.keys()):
            self.answers += 1
            then, now = before.get(key), after.get(key)
            if then == now:
                continue
            type_, person, channel = key
            told = _told(then, at), _told(now, at)
            change = type_, channel, told[0], told[1] if told[0] != told[1] else f"{told[1]}, until another time"
            count, examples = self.changes.get(change, (0, []))
            example = ReplayExample(event=event.id, recipient=person or None)
            self.changes[change] = count + 1, [*examples, example][:EXAMPLES]

    def told(self) -> Differences:
        changes = [
            ReplayDifference(type=type_, channel=channel, before=before, after=after, count=count, examples=examples)
            for (type_, channel, before, after), (count, examples) in self.changes.items()
        ]
        return Differences(
            events=self.events, decisions=self.decisions, answers=self.answers,
            differ=sum(each.count for each in changes), by_today=self.by_today, failed=self.failed, gone=self.gone,
            changes=sorted(changes, key=lambda each: (-each.count, each.type, each.channel, each.before, each.after)),
        )  # fmt: skip


async def replay(database: Database, catalog: Catalog, day: int, progress: Callable[[float], None]) -> Differences:
    """Decide again, by a catalog's types and rules, the events decided on the day that begins at an instant.

    `progress` is told how much of the time of all events until then has been walked over, from 0 to 1.
    """
    tally = _Tally()
    async for events, done in _walk(database, day):
        tally.events += len(events)
        await _replay(database, catalog, events, tally)
        progress(done)
    return tally.told()


async def replay_page(
    database: Database, catalog: Catalog, day: int, after: str
) -> tuple[Differences, str | None]:  # fmt: skip
    """Decide again, as `replay` does, those of a day's events that are on the page of events behind an id.

    Returns what would differ, and the id behind which the next page begins, None at the end. It decides a few at a
    time, so that whatever else the process has to do waits for no more than these.
    """
    tally = _Tally()
    events, last = await history.walk(database, after, day, day + DAY)
    tally.events = len(events)
    for first in range(0, len(events), AT_ONCE):
        await _replay(database, catalog, events[first : first + AT_ONCE], tally)
    return tally.told(), last


async def _walk(database: Database, day: int) -> AsyncIterator[tuple[list[tuple[Event, int]], float]]:
    after: str | None = ""
    first: int | None = None
    while after is not None:
        events, after = await history.walk(database, after, day, day + DAY)
        if after is None:
            yield events, 1.0
        else:  # ids follow each other as their events do
            first = instant_of(after) if first is None else first
            yield events, (instant_of(after) - first) / (day + DAY - first)


async def _replay(database: Database, catalog: Catalog, events: Sequence[tuple[Event, int]], tally: _Tally) -> None:
    kept = [(event, at) for event, at in events if not event.is_blank]
    tally.gone += len(events) - len(kept)
    fit = {event.id: (event, at) for event, at in kept if _fits(catalog, event)}
    tally.failed += len(kept) - len(fit)
    begun: set[str] = set()
    async for made in _decisions(database, list(fit)):
        spent, today = await _read(database, catalog, [event for event, _ in fit.values()], made)
        for id_, group in groupby(made, key=lambda each: each.event_id):
            _again(catalog, fit[id_][0], list(group), spent, today, tally, new=id_ not in begun)
            begun.add(id_)
    rest = [each for id_, each in fit.items() if id_ not in begun]
    if any(catalog.listeners.get(event.type) for event, _ in rest):  # no type listened at that time
        _, today = await _read(database, catalog, [event for event, _ in rest], [])
        for event, at in rest:
            tally.compare(event, {}, _planned(make_plan(catalog, [event], today, at, {}).decisions), at)


def _fits(catalog: Catalog, event: Event) -> bool:
    model = catalog.model(event.type)
    try:
        return model is None or msgspec.convert(event.data, model) is not None
    except msgspec.ValidationError:
        return False


async def _decisions(database: Database, events: Sequence[str]) -> AsyncIterator[list[DecisionRecord]]:
    """The decisions about events, by parts, for a campaign's don't fit in memory; others' aren't torn apart."""
    after: DecisionKey | None = DecisionKey()
    while after is not None and events:
        made, more = await history.decisions(database, events, after)
        if not more:
            after = None
        else:
            made = [each for each in made if each.event_id != made[-1].event_id] or made
            after = DecisionKey(made[-1].event_id, made[-1].type, made[-1].recipient_id)
        yield made


async def _read(
    database: Database, catalog: Catalog, events: Sequence[Event], made: Sequence[DecisionRecord]
) -> _Facts:
    """What people were sent of the capped categories, up to today; and who is in the audiences of events today, for
    types that nobody decided then and decisions that don't say where people stood."""
    types_made: dict[str, set[str]] = {}
    unremembered = {each.event_id for each in made if each.standing is None and each.recipient_id}
    for each in made:
        types_made.setdefault(each.event_id, set()).add(each.type)
    asked = [
        event
        for event in events
        if event.id in unremembered
        or any(kind.id not in types_made.get(event.id, ()) for kind in catalog.listeners.get(event.type, []))
    ]
    caps = catalog.regulation.caps
    people = sorted({each.recipient_id for each in made if each.recipient_id})
    types = {name: [kind.id for kind in catalog.types.values() if kind.category == name] for name in caps}
    wanted = {name: people for name in caps if types[name] and people}
    limited: dict[str, set[str]] = {}
    for each in made:
        kind = catalog.types.get(each.type)
        if each.recipient_id and kind and catalog.regulation.limit_of(kind.id, kind.category):
            limited.setdefault(kind.id, set()).add(each.recipient_id)
        if each.recipient_id and catalog.regulation.per_person:
            limited.setdefault(EVERY_TYPE, set()).add(each.recipient_id)
    since = min((each.decided_at for each in made), default=0)

    async def work(connection: AsyncConnection) -> _Facts:
        dialect = database.dialect
        spent = await recipient_facts.sends_in_window(connection, dialect, wanted, types, catalog.regulation, since)
        by_type = await recipient_facts.told_by_type(connection, dialect, limited, since - catalog.regulation.longest)
        for id_, told in by_type.items():
            spent.setdefault(id_, {}).update(told)
        return spent, await recipients.in_audiences(connection, dialect, list(audience_keys(catalog, asked)))

    found = await in_each(database, lambda bucket: bucket.look(work))
    return found[0] if len(found) == 1 else _joined(found)


def _joined(found: Sequence[_Facts]) -> _Facts:
    """What several buckets know of their people, each of whom is in one."""
    spent: SendsInWindow = {}
    members: dict[str, list[Recipient]] = {}
    for told, here in found:
        for id_, sent in told.items():
            mine = spent.setdefault(id_, {})
            mine |= {name: moments for name, moments in sent.items() if moments or name not in mine}
        for key, group in here.items():
            members.setdefault(key, []).extend(group)
    return spent, members


def _again(
    catalog: Catalog,
    event: Event,
    made: Sequence[DecisionRecord],
    spent: SendsInWindow,
    today: Members,
    tally: _Tally,
    *,
    new: bool,
) -> None:
    """Decide an event again for those whom these decisions are about; with `new` also by types that decided nothing."""
    types = {each.type for each in made}
    people_today = {each.id: each for group in today.values() for each in group}
    for at, group in groupby(sorted(made, key=lambda each: each.decided_at), key=lambda each: each.decided_at):
        then = [each for each in group if _is_known(each, people_today) and not _was_tried(each)]
        tally.decisions += len(then)
        tally.by_today += sum(each.standing is None and each.recipient_id != "" for each in then)
        members = _members(catalog, event, then, people_today)
        if new:
            for kind in catalog.listeners.get(event.type, []):
                if kind.id not in types:
                    keys = policy.audiences(kind, event.data)
                    members |= {key: today[key] for key in keys if key in today and key not in members}
        plan = make_plan(catalog, [event], members, at, _spent_by(catalog, at, then, spent))
        asked = {(each.type, each.recipient_id) for each in then}
        after = _planned(
            each
            for each in plan.decisions
            if (each.type, each.recipient_id) in asked or (new and each.type not in types)
        )
        tally.compare(event, _outcomes((each.type, each.recipient_id, each.answers) for each in then), after, at)


def _is_known(made: DecisionRecord, today: Mapping[str, Recipient]) -> bool:
    """Whether a decision can be made again: who it was about then, or now, is known."""
    return bool(made.standing) or not made.recipient_id or made.recipient_id in today


def _was_tried(made: DecisionRecord) -> bool:
    """Whether an experiment decided: what it tried is over, and no difference that a policy makes."""
    return any(each.reason in policy.BY_EXPERIMENT for each in made.answers)


def _members(
    catalog: Catalog, event: Event, then: Sequence[DecisionRecord], today: Mapping[str, Recipient]
) -> dict[str, list[Recipient]]:
    """Who was in each audience then, those on call in the order in which they were asked."""
    members: dict[str, dict[str, Recipient]] = {}
    for each in sorted(then, key=_turn):
        kind = catalog.types.get(each.type)
        keys = [] if kind is None else policy.audiences(kind, event.data)
        if not each.recipient_id or not keys:
            continue
        stood = each.standing
        person = today[each.recipient_id] if stood is None else Recipient(
            id=each.recipient_id, name=None, email=None, phone=None, devices=[], facts=stood
        )  # fmt: skip
        members.setdefault(keys[0], {}).setdefault(each.recipient_id, person)
    return {key: list(group.values()) for key, group in members.items()}


def _turn(made: DecisionRecord) -> tuple[str, int]:
    return made.type, min((each.due_at for each in made.answers if each.answer == State.PENDING), default=0)


def _spent_by(catalog: Catalog, at: int, then: Sequence[DecisionRecord], spent: SendsInWindow) -> SendsInWindow:
    """What people had been told of capped categories and types by a moment: as decisions say, else as the rows do.

    Of two types of one event the second has counted the first, which is counted again here: the shorter list is meant.
    """
    found: SendsInWindow = {}
    for each in then:
        recorded = each.standing.sends_in_window if each.standing else {}
        mine = found.setdefault(each.recipient_id, {})
        kind = catalog.types.get(each.type)
        limited = kind is not None and catalog.regulation.limit_of(kind.id, kind.category) is not None
        types = [*([each.type] if limited else []), *([EVERY_TYPE] if catalog.regulation.per_person else [])]
        for name in (*catalog.regulation.caps, *map(of_type, types)):
            sent = spent.get(each.recipient_id, {}).get(name, ())
            told = recorded[name] if name in recorded else tuple(moment for moment in sent if moment < at)
            mine[name] = min(mine.get(name, told), told, key=len)
    return found


def _planned(made: Iterable[Decision]) -> Outcomes:
    return _outcomes((each.type, each.recipient_id, msgspec.convert(each.answers, list[Answered])) for each in made)


def _outcomes(made: Iterable[tuple[str, str, Sequence[Answered]]]) -> Outcomes:
    return {
        (type_, person, each.channel): (each.answer, each.reason, each.due_at)
        for type_, person, answers in made
        for each in reversed(answers)
    }


def _told(outcome: Outcome | None, at: int) -> str:
    if outcome is None:
        return "no decision"
    state, reason, due_at = outcome
    if state == State.PENDING:
        return "to be sent immediately" if due_at <= at else f"held: {phrases.reason(reason or 'pending')}"
    return phrases.state(state, reason)
