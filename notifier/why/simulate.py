"""Simulate: what an event would send to whom, by the code that decides, and writing nothing."""

from collections.abc import Mapping, Sequence
from datetime import datetime, time
from typing import Annotated, Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier import policy
from notifier.domain.catalog import Catalog, NotificationType
from notifier.domain.channels import KnownAddresses, reachable, spec
from notifier.domain.clock import to_datetime, to_instant
from notifier.domain.cloudevents import EventReader, TypeName
from notifier.domain.deliveries import Channel, State
from notifier.domain.errors import Problem, RenderError
from notifier.domain.events import Event
from notifier.domain.experiments import NONE, Running
from notifier.domain.messages import Private
from notifier.domain.preferences import NETWORK, Key, Preferences, PreferencesPatch, laid_upon
from notifier.domain.problems import problem
from notifier.domain.recipient_facts import RecipientFacts
from notifier.domain.recipients import Recipient, RecipientDetails, check_preferences
from notifier.domain.sayable import is_showable
from notifier.pipeline.forwarding import turns_ahead
from notifier.pipeline.plan import audience_keys
from notifier.pipeline.planning import read_and_plan, with_first_seen
from notifier.policy import phrases
from notifier.policy.hours import local, next_free
from notifier.rendering import Renderer
from notifier.store.core import buckets
from notifier.store.core.database import Database
from notifier.store.delivery import deliveries, identities
from notifier.store.delivery.decisions import Decision
from notifier.store.delivery.deliveries import NewDelivery
from notifier.store.people import on_call, preferences, reach, recipients
from notifier.store.reading import explaining
from notifier.store.reading.explaining import SupersessionRecord
from notifier.why.explain import HIDDEN, MessageParts, RuleView, content_told, rules_told, why_not

MOST_PEOPLE = 100  # people reported one by one: for a campaign there is `notifier replay-day`
SOURCE = "simulation"
SOMEBODY = "somebody"
"""The id of a hypothetical person."""

Members = dict[str, list[Recipient]]


class TrialEvent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A hypothetical event: its type, its data and when it happened, at the moment of the simulation unless `time` says
    otherwise."""

    type: TypeName
    data: dict[str, Any] = {}
    time: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class Supposed(RecipientDetails, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A hypothetical person, in place of whoever the event names. `consents` are those they are supposed to have given,
    by category and channel."""

    consents: dict[Key, dict[str, bool]] = {}


class Trial(Private, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A simulation's input. `at` is an instant (RFC 3339), or the next time that the person's clock shows an "HH:MM";
    now unless given. `recipient` is the id of the one person of interest, or a hypothetical one; everybody unless
    given. `preferences` replace the person's own."""

    event: TrialEvent
    at: str | None = None
    recipient: Key | Supposed | None = None
    preferences: Preferences | None = None


class Foreseen(Private, frozen=True, kw_only=True):
    """The outcome for a channel (and, for push, for one device). `repeat` says that the same was sent before, so that
    nothing would be sent; `content` is the message, and `variant` the arm of an experiment that the person is in."""

    channel: Channel
    answer: State
    reason: str | None
    words: str
    due_at: datetime
    step: int
    repeat: bool
    rules: list[RuleView]
    locale: str | None
    content: MessageParts | None
    variant: str | None


class Fate(Private, frozen=True, kw_only=True):
    """The outcome of one notification type for one person, and their local time."""

    type: str
    name: str
    recipient: str | None
    time_zone: str
    local_time: str
    answers: list[Foreseen]


class Simulation(Private, frozen=True, kw_only=True):
    """A simulation's result. `takes_back` are the types whose messages on the same subject would be superseded,
    `why_not` says why the person of interest would get nothing, `more` counts people left out here."""

    at: datetime
    fates: list[Fate]
    takes_back: list[str]
    why_not: list[str]
    more: int


class _Seen(msgspec.Struct, frozen=True):
    """The data that was read: the event at its moment, the person of interest and their audiences, the plan's decisions
    of interest and its deliveries, which of these exist already, and what supersedes them."""

    at: int
    event: Event
    person: Recipient | None
    audiences: frozenset[str]
    decisions: Sequence[Decision]
    deliveries: Mapping[str, NewDelivery]
    known: set[str]
    marks: Mapping[str, SupersessionRecord] = {}


async def simulate(
    database: Database, catalog: Catalog, reader: EventReader, renderer: Renderer, trial: Trial, now: int,
    running: Running = NONE,
) -> Simulation:  # fmt: skip
    """Simulate an event; raises Problem where the event, the time or the person is invalid.

    Each bucket decides for its own people, as with copies of a real event; a person who is asked for has one.
    """
    supposed = _checked(trial)
    if len(database.buckets) == 1:
        return await _simulate(database, catalog, reader, renderer, trial, supposed, [], now, running)
    where = database
    if isinstance(trial.recipient, str):
        where = buckets.of(database, trial.recipient)
    elif supposed is not None:
        where = buckets.of(database, SOMEBODY)
    lines = [] if supposed else await _lines(database, catalog, _event(reader, trial.event, now))
    told = await buckets.in_each(
        where, lambda bucket: _simulate(bucket, catalog, reader, renderer, trial, supposed, lines, now, running)
    )
    return told[0] if len(told) == 1 else _joined(catalog, trial.event.type, told)


Lines = Sequence[Mapping[str, list[int]]]
"""The places of the members of each audience, in the order of their turns, bucket by bucket."""


async def _lines(database: Database, catalog: Catalog, event: Event) -> Lines:
    """Who is in the audiences that an event names, in all buckets; places are read where people are asked in turn."""
    named = set(audience_keys(catalog, [event]))
    present = await buckets.in_each(database, lambda bucket: reach.present(bucket, named))
    kinds = [kind for kind in catalog.listeners.get(event.type, []) if kind.escalation]
    in_turn = {key for kind in kinds for key in policy.audiences(kind, event.data)}
    placed = await buckets.in_each(database, lambda bucket: on_call.lines(bucket, in_turn))
    return [{key: line.get(key, []) for key in here} for here, line in zip(present, placed, strict=True)]


def _ahead(lines: Lines, bucket: int) -> dict[str, list[int]]:
    """How many in other buckets have their turn before each one in this, for the audiences that have members there."""
    return {
        key: turns_ahead({number: line[key] for number, line in enumerate(lines) if key in line}, bucket)
        for key in set[str]().union(*lines)
    }


def _joined(catalog: Catalog, type_: str, told: Sequence[Simulation]) -> Simulation:
    """What an event comes to in all buckets; that there is nobody is told once, and not where there is somebody."""
    fates: list[Fate] = []
    for kind in catalog.listeners.get(type_, []):
        own = [fate for each in told for fate in each.fates if fate.type == kind.id]
        fates += [fate for fate in own if fate.recipient is not None] or own[:1]
    more = sum(each.more for each in told) + max(len(fates) - MOST_PEOPLE, 0)
    return msgspec.structs.replace(told[0], fates=fates[:MOST_PEOPLE], more=more)


async def _simulate(
    database: Database, catalog: Catalog, reader: EventReader, renderer: Renderer, trial: Trial,
    supposed: Supposed | None, lines: Lines, now: int,
    running: Running,
) -> Simulation:  # fmt: skip
    """Simulate an event in one bucket; `lines` are those of all, where there are several."""
    ahead = _ahead(lines, database.bucket)

    async def work(connection: AsyncConnection) -> _Seen:
        dialect = database.dialect
        person = await _person(connection, dialect, trial, supposed)
        at = _instant(trial.at, person, now)
        (event,) = await with_first_seen(
            connection, dialect, catalog, [_event(reader, trial.event, at)], identities.known
        )  # fmt: skip
        keys = list(audience_keys(catalog, [event]))
        here = await _members(connection, dialect, keys, person, supposed is not None)
        members = {**{key: [] for key in ahead}, **here}
        event = msgspec.structs.replace(event, ahead=ahead)
        plan = await read_and_plan(connection, dialect, catalog, [event], at, members, running, hold=False)
        return _Seen(
            at, event, person,
            frozenset(key for key, group in members.items() if person is not None and person in group),
            [each for each in plan.decisions if person is None or each.recipient_id == person.id],
            plan.deliveries,
            await deliveries.existing(connection, dialect, list(plan.deliveries)),
        )  # fmt: skip

    seen = await database.look(work)
    keys = {each.subject_key for each in seen.deliveries.values()}
    seen = msgspec.structs.replace(seen, marks=await explaining.marks_everywhere(database.whole, keys))
    person = seen.person
    return Simulation(
        at=to_datetime(seen.at),
        fates=[_fate(catalog, renderer, made, seen, running) for made in seen.decisions[:MOST_PEOPLE]],
        takes_back=_takes_back(catalog, seen.event),
        why_not=[] if person is None or seen.decisions else why_not(catalog, seen.event, person.id, seen.audiences),
        more=max(len(seen.decisions) - MOST_PEOPLE, 0),
    )


def _checked(trial: Trial) -> Supposed | None:
    """The hypothetical person, with their addresses in canonical form."""
    try:
        if trial.preferences is not None:
            check_preferences(trial.preferences)
        return trial.recipient.checked() if isinstance(trial.recipient, Supposed) else None
    except ValueError as error:
        raise problem(42205, str(error), "/recipient") from None


async def _person(
    connection: AsyncConnection, dialect: str, trial: Trial, supposed: Supposed | None
) -> Recipient | None:
    if supposed is not None:
        names = (*supposed.tenants, NETWORK)
        presets = await preferences.defaults(connection, dialect, names)
        person = _suppose(supposed, [(name, presets[name]) for name in names if name in presets])
    elif isinstance(trial.recipient, str):
        found = await recipients.person(connection, dialect, trial.recipient)
        if found is None:
            raise problem(42205, "there is no recipient with this id", "/recipient")
        person = found
    elif trial.preferences is not None:
        raise problem(42205, "preferences need a recipient; name one", "/preferences")
    else:
        return None
    if trial.preferences is None:
        return person
    chosen = msgspec.structs.replace(person.facts, preferences=check_preferences(trial.preferences))
    return msgspec.structs.replace(person, facts=chosen)


def _suppose(given: Supposed, presets: Sequence[tuple[str, Any]]) -> Recipient:
    chosen = laid_upon(Preferences(), given.preferences or PreferencesPatch())
    own = msgspec.to_builtins(given.addresses) if given.addresses else {}
    known = KnownAddresses(given.email is not None, given.phone is not None, bool(given.devices), frozenset(own))
    facts = RecipientFacts(
        preferences=chosen, defaults=tuple(presets), consents=given.consents,
        region=given.region, locale=given.locale, time_zone=given.time_zone,
        reachable=reachable(known),
    )  # fmt: skip
    return Recipient(
        id=SOMEBODY,
        name=given.name,
        email=given.email,
        phone=given.phone,
        devices=given.devices or [],
        own=own,
        facts=facts,
    )


def _instant(at: str | None, person: Recipient | None, now: int) -> int:
    """The instant given, or the next one at which the person's clock shows the time given."""
    if at is None:
        return now
    try:
        shown = time.fromisoformat(at) if len(at) == len("HH:MM") else None
        if shown is None:
            return _read_instant(at)
    except ValueError:
        raise problem(42205, "write an instant such as 2026-03-09T22:10:00Z, or a time of day: 23:10", "/at") from None
    if person is None:
        raise problem(42205, "a time of day needs a recipient's time zone; name the recipient", "/at")
    found = next_free(now, person.facts.zone, lambda wall: f"{wall:%H:%M}" != at, [shown])
    return now if found is None else found


def _read_instant(text: str) -> int:
    moment = datetime.fromisoformat(text)
    instant = to_instant(moment)
    if not is_showable(moment):
        raise ValueError("the time has no date in some zone")
    return instant


def _event(reader: EventReader, trial: TrialEvent, at: int) -> Event:
    if trial.time is not None and not is_showable(trial.time):
        raise problem(42205, "the time is outside the calendar's range; was the clock ever set?", "/event/time")
    occurred = at if trial.time is None else to_instant(trial.time)
    try:
        checked = reader.made(trial.type, SOURCE, SOURCE, SOURCE, occurred, trial.data)
    except Problem as error:
        raise problem(error.code, error.detail, f"/event{error.pointer or ''}") from None
    return Event(
        id=checked.id, source=SOURCE, source_id=SOURCE, type=trial.type, subject=None, occurred_at=occurred,
        accepted_at=at, digest=checked.digest, data=msgspec.json.decode(checked.data),
    )  # fmt: skip


async def _members(
    connection: AsyncConnection, dialect: str, keys: Sequence[str], person: Recipient | None, supposed: bool
) -> Members:
    """Members of the audiences; a hypothetical person replaces everybody, and other preferences replace
    a person's own."""
    if person is not None and supposed:
        return {key: [person] for key in keys}
    members = await recipients.in_audiences(connection, dialect, keys)
    if person is None:
        return members
    return {key: [person if each.id == person.id else each for each in group] for key, group in members.items()}


def _takes_back(catalog: Catalog, event: Event) -> list[str]:
    kinds = [(kind, kind.about) for kind in catalog.cancels.get(event.type, [])]
    for listener in catalog.listeners.get(event.type, []):
        kinds += [(catalog.types[other], catalog.types[other].about) for other in listener.supersedes]
    return [f"{kind.name}, about the same {about.replace('_', ' ')}" for kind, about in kinds]


def _fate(catalog: Catalog, renderer: Renderer, made: Decision, seen: _Seen, running: Running) -> Fate:
    kind = catalog.types[made.type]
    zone = "UTC" if made.standing is None else made.standing.zone
    return Fate(
        type=kind.id, name=kind.name, recipient=made.recipient_id or None, time_zone=zone,
        local_time=f"{local(seen.at, zone):%A %H:%M}",
        answers=[_foreseen(catalog, renderer, kind, made, each, seen, running) for each in made.answers],
    )  # fmt: skip


def _foreseen(
    catalog: Catalog, renderer: Renderer, kind: NotificationType, made: Decision, told: dict[str, Any], seen: _Seen,
    running: Running,
) -> Foreseen:  # fmt: skip
    event, at = seen.event, seen.at
    channel, answer, delivery = Channel(told["channel"]), State(told["answer"]), seen.deliveries[told["delivery"]]
    facts = made.standing
    zone = "UTC" if facts is None else facts.zone
    said = phrases.answer(answer, told["reason"], told["due_at"], at, zone)
    mark = seen.marks.get(delivery.subject_key)
    repeat = delivery.id in seen.known
    goes_out = answer == State.PENDING and not repeat
    if repeat:
        said = f"nothing more is sent: {phrases.reason('repeat')}"
    elif goes_out and mark is not None and event.starts_at <= mark.until:
        said, goes_out = f"{said}; but {mark.type} has cancelled or superseded it, so it would not be sent", False
    rules: list[RuleView] = []
    if facts is not None:
        rules = rules_told(policy.case_of(kind, event, channel, facts, at, catalog.regulation))
    locale, content = None, None
    if goes_out and facts is not None:
        locale, content, said = _written(renderer, kind, channel, event, facts, said, running.version(delivery.variant))
    return Foreseen(
        channel=channel, answer=answer, reason=told["reason"], words=said, due_at=to_datetime(told["due_at"]),
        step=delivery.step, repeat=repeat, rules=rules, locale=locale, content=content, variant=delivery.variant,
    )  # fmt: skip


def _written(
    renderer: Renderer,
    kind: NotificationType,
    channel: Channel,
    event: Event,
    facts: RecipientFacts,
    said: str,
    version: int | None,
) -> tuple[str | None, MessageParts | None, str]:
    try:
        switched = spec(channel).unsubscribes and policy.may_switch(kind, channel, facts)
        made = renderer.render(
            kind.id, channel, locale=facts.language, time_zone=facts.zone, data=event.data,
            unsubscribe_url=HIDDEN if switched else None,
            version=renderer.known_version(kind.id, version),
        )  # fmt: skip
    except RenderError as error:
        return None, None, f"{said}; but it could not be written: {error}"
    return made.locale, content_told(made.content), said
