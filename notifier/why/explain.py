"""Explain: what happened to an event, person by person, with every rule's answer in words. Pure, from stored records.

The rules are asked again, at the moment of the decision and with the facts recorded with it. A message is rendered
again from its event, and proven by the hash of the original.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec

from notifier import policy
from notifier.domain import channels
from notifier.domain.catalog import Catalog, NotificationType
from notifier.domain.clock import to_datetime
from notifier.domain.deliveries import HeldChannel, State, channel_of
from notifier.domain.events import Event
from notifier.domain.links import Links
from notifier.domain.messages import Content, Private
from notifier.domain.recipient_facts import facts_shown
from notifier.domain.twins import is_test, plain
from notifier.policy import Case, phrases
from notifier.policy.deciding import STATES
from notifier.rendering import Renderer
from notifier.store.reading.explaining import Answered, DecisionRecord, DeliveryRecord, Found, SupersessionRecord
from notifier.why import telling
from notifier.why.again import is_kept, make_again
from notifier.why.telling import AttemptView, EventView

UTC = "UTC"

HIDDEN = "https://…/u/…"
"""The placeholder for a working link in a mail."""

MessageParts = dict[str, str]
"""A message's content by the names of its parts."""


EventState = Literal["waits", "decided", "quarantined"]


class RuleView(msgspec.Struct, frozen=True, kw_only=True):
    """A rule's answer, also in words; `says` is None where the rule lets the message pass."""

    rule: str
    says: policy.Action | None
    words: str


class AnswerView(msgspec.Struct, frozen=True, kw_only=True):
    """The decision for a channel. `rules` answer in their order; the first whose `says` isn't None decides.

    They are asked by the type and the rules as they are today: `unchanged` is False where those would decide otherwise
    now, None where nobody wrote down where the person stood, or the type is gone, or the channel.
    """

    channel: HeldChannel
    answer: State
    reason: str | None
    words: str
    due_at: datetime
    delivery: str | None
    rules: list[RuleView]
    unchanged: bool | None


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """The source of a message: the locale of its texts and the zone of its times."""

    locale: str | None
    time_zone: str | None
    version: int | None = None


class DeliveryView(Private, frozen=True, kw_only=True):
    """A delivery as it is now. `content` is rendered again from its event; `proven` says whether it is identical to
    what was sent: None where nothing was sent, or what it takes to say so is not kept. `variant` is the arm of an
    experiment, as `experiment/arm/allocation`."""

    id: str
    event: str
    channel: HeldChannel
    state: State
    reason: str | None
    words: str
    code: str | None
    meaning: str | None
    due_at: datetime
    updated_at: datetime
    expires_at: datetime
    provider: str | None
    provider_reference: str | None
    redrive_of: str | None
    digest: str | None
    variant: str | None
    template: Template
    content: MessageParts | None
    proven: bool | None
    attempts: list[AttemptView]


class TimelineEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the timeline."""

    at: datetime
    channel: HeldChannel | None
    words: str


class DecisionView(Private, frozen=True, kw_only=True):
    """The decision on one notification type for one person; `standing` is the person's facts at the time."""

    type: str
    name: str
    recipient: str | None
    decided_at: datetime
    time_zone: str
    standing: dict[str, Any] | None
    answers: list[AnswerView]
    deliveries: list[DeliveryView]
    timeline: list[TimelineEntry]


class Explanation(Private, frozen=True, kw_only=True):
    """Everything about an event, or what it meant for one person. `why_not` says why nothing was decided, `gone` what
    of it isn't kept any more; `next` is the cursor of the next page."""

    event: EventView
    state: EventState
    decisions: list[DecisionView]
    why_not: list[str]
    gone: list[str]
    next: str | None


def explain(catalog: Catalog, renderer: Renderer, links: Links, found: Found) -> Explanation:
    """Explain an event from its records."""
    return Explanation(
        event=event_view(found.event),
        state=state_of(found),
        decisions=[_decision(catalog, renderer, links, found, each) for each in found.decisions],
        why_not=[] if found.decisions else undecided(catalog, found),
        gone=list(gone(found)),
        next=next_of(found),
    )


def event_view(event: Event) -> EventView:
    """The event as its source named it."""
    return EventView(
        id=event.id, type=plain(event.type), test=is_test(event.type), source=event.source, source_id=event.source_id,
        subject=event.subject, occurred_at=to_datetime(event.occurred_at), accepted_at=to_datetime(event.accepted_at),
    )  # fmt: skip


def state_of(found: Found) -> EventState:
    """How far an event has come."""
    return "decided" if found.decided_at else "quarantined" if found.quarantined_at else "waits"


def next_of(found: Found) -> str | None:
    """The cursor of the next page of decisions, None on the last."""
    last = found.decisions[-1] if found.more else None
    return None if last is None else f"{last.type}/{last.recipient_id}"


def gone(found: Found) -> Iterator[str]:
    """What of an event's records is known to be no longer kept."""
    if found.event.is_blank:
        yield "What the event carried is no longer kept, so no message can be shown."
    named = {each.delivery for made in found.decisions for each in made.answers if each.delivery is not None}
    if missing := len(named - found.sent.keys()):
        yield f"{'1 delivery is' if missing == 1 else f'{missing} deliveries are'} no longer kept."


def rules_told(case: Case) -> list[RuleView]:
    """Every rule's answer about a case, in words."""
    return [
        RuleView(rule=name, says=None if said is None else said.action, words=phrases.rule(case, name, said))
        for name, said in policy.trace(case)
    ]


def why_not(catalog: Catalog, event: Event, recipient: str, audiences: frozenset[str]) -> list[str]:
    """Why an event sends nothing to a person in these audiences, one sentence for each type that listens."""
    told = [_not_meant(kind, event, recipient, audiences) for kind in catalog.listeners.get(event.type, [])]
    return told or [f"No notification type listens to {plain(event.type)}; it only takes others back."]


def _not_meant(kind: NotificationType, event: Event, recipient: str, audiences: frozenset[str]) -> str:
    keys = policy.audiences(kind, event.data)
    if not keys:
        return f"{kind.name}: this event names nobody."
    about = " and ".join(_spoken(key) for key in keys)
    among = [key for key in keys if key in audiences]
    if not among:
        return f"{kind.name}: this event is about {about}; {recipient} is in none of its audiences."
    if among[0] != keys[0]:
        return (
            f"{kind.name}: this event is about {about}; the most exact name decides, and {recipient} is only in the "
            f"audience of {_spoken(among[0])}."
        )
    return f"{kind.name}: {recipient} is in the audience of {_spoken(among[0])} now, and was not when it was decided."


def _spoken(key: str) -> str:
    return key.replace(":", " ", 1)


def undecided(catalog: Catalog, found: Found) -> list[str]:
    """Why nothing was decided of an event, or of the one person who was asked about."""
    if found.quarantined_at is not None and found.decided_at is None:
        return [f"The event is put aside: {phrases.reason('quarantined')}."]
    if found.decided_at is None:
        return ["The event waits to be decided."]
    if found.recipient and not found.known:
        return [f"Nobody with the id {found.recipient} is known here."]
    if found.event.is_blank and catalog.listeners.get(found.event.type):
        return ["Decisions about it, if there were any, are no longer kept: nothing says whom it was about."]
    if found.recipient:
        return why_not(catalog, found.event, found.recipient, found.audiences)
    return [f"No notification type listened to {plain(found.event.type)}; it only took others back."]


def _decision(catalog: Catalog, renderer: Renderer, links: Links, found: Found, made: DecisionRecord) -> DecisionView:
    kind = catalog.with_twins.get(made.type)
    zone = UTC if made.standing is None else made.standing.zone
    answers = [_answer(catalog, kind, found.event, made, each, zone) for each in made.answers]
    sent = [each for each in found.sent.values() if is_of(each, made, found.sent)]
    deliveries = [_delivery(catalog, renderer, links, made, each, found.tried.get(each.id, [])) for each in sent]
    return DecisionView(
        type=plain(made.type),
        name=made.type if kind is None else kind.name,
        recipient=made.recipient_id or None,
        decided_at=to_datetime(made.decided_at),
        time_zone=zone,
        standing=None if made.standing is None else facts_shown(made.standing),
        answers=answers,
        deliveries=deliveries,
        timeline=sorted(_timeline(found, made, answers, sent, deliveries), key=lambda moment: moment.at),
    )


def is_of(sent: DeliveryRecord, made: DecisionRecord, every: dict[str, DeliveryRecord]) -> bool:
    """Whether a decision names a delivery, a digest that holds it, or a delivery that it replaces."""
    named = {each.delivery for each in made.answers}
    named |= {every[id_].digest_id for id_ in named if id_ in every}
    while sent.id not in named and sent.redrive_of not in named:
        if sent.redrive_of is None or sent.redrive_of not in every:
            return False
        sent = every[sent.redrive_of]
    return True


def _answer(
    catalog: Catalog, kind: NotificationType | None, event: Event, made: DecisionRecord, answered: Answered, zone: str
) -> AnswerView:
    rules: list[RuleView] = []
    unchanged = None
    channel = channel_of(answered.channel)
    if kind is not None and made.standing is not None and channel is not None:
        case = policy.case_of(kind, event, channel, made.standing, made.decided_at, catalog.regulation)
        rules = rules_told(case)
        if answered.reason not in policy.BY_EXPERIMENT:
            unchanged = _agrees(policy.judge(case), answered)
    return AnswerView(
        channel=answered.channel, answer=answered.answer, reason=answered.reason,
        words=phrases.answer(answered.answer, answered.reason, answered.due_at, made.decided_at, zone),
        due_at=to_datetime(answered.due_at), delivery=answered.delivery, rules=rules, unchanged=unchanged,
    )  # fmt: skip


def _agrees(verdict: policy.Verdict, answered: Answered) -> bool:
    """Whether a verdict equals the recorded answer, apart from what depends on other channels, people and messages."""
    going = (State.PENDING, State.COLLECTED)
    if STATES[verdict.action] in going and answered.answer in going:
        return verdict.until is None or verdict.until <= answered.due_at
    return STATES[verdict.action] == answered.answer and verdict.reason == answered.reason


def _delivery(
    catalog: Catalog, renderer: Renderer, links: Links, made: DecisionRecord, sent: DeliveryRecord, tried: Sequence[Any]
) -> DeliveryView:
    content, proven = _as_sent(catalog, renderer, links, made, sent)
    return DeliveryView(
        id=sent.id, event=sent.event_id, channel=sent.channel, state=sent.state, reason=sent.reason,
        words=phrases.state(sent.state, sent.reason), code=sent.code, meaning=telling.meaning(sent.channel, sent.code),
        due_at=to_datetime(sent.due_at), updated_at=to_datetime(sent.updated_at),
        expires_at=to_datetime(sent.expires_at), provider=sent.provider, provider_reference=sent.provider_reference,
        redrive_of=sent.redrive_of, digest=sent.digest_id, variant=sent.variant,
        template=Template(locale=sent.locale, time_zone=sent.time_zone, version=sent.version), content=content,
        proven=proven,
        attempts=telling.attempts(sent.channel, tried),
    )  # fmt: skip


def _as_sent(
    catalog: Catalog, renderer: Renderer, links: Links, made: DecisionRecord, sent: DeliveryRecord
) -> tuple[MessageParts | None, bool | None]:
    """The content of a sent message, and whether it is proven; a working link is not shown."""
    channel = channel_of(sent.channel)
    if sent.locale is None or channel is None or not is_kept(sent):
        return None, None
    link = None
    kind = catalog.with_twins.get(sent.type)
    if kind is not None and channels.spec(channel).unsubscribes:
        link = links.unsubscribe_url(sent.recipient_id, kind.category, channel)
    again = make_again(renderer, sent, [sent.language, made.standing.language if made.standing else None], link)
    if again is None:
        return None, None if sent.content_hash is None else False
    return _without(content_told(again.content), again.unsubscribe_url), again.proven


def _without(told: MessageParts, link: str | None) -> MessageParts:
    """The content with its working link replaced."""
    if link is None:
        return told
    return {name: text.replace(link, HIDDEN) for name, text in told.items()}


def content_told(content: Content) -> MessageParts:
    """A message's content, by the names of its parts."""
    return {name: text for name, text in msgspec.structs.asdict(content).items() if text is not None}


def _timeline(
    found: Found,
    made: DecisionRecord,
    answers: Sequence[AnswerView],
    sent: Sequence[DeliveryRecord],
    told: Sequence[DeliveryView],
) -> Iterator[TimelineEntry]:
    event = found.event
    yield _moment(event.accepted_at, None, f"{event.source} reported {plain(event.type)} ({event.source_id})")
    for answer in answers:
        yield _moment(made.decided_at, answer.channel, f"decided {phrases.way(answer.channel)}: {answer.words}")
    for row, each in zip(sent, told, strict=True):
        yield from _way(row, each, found.marks.get(row.subject_key))


def _way(row: DeliveryRecord, told: DeliveryView, mark: SupersessionRecord | None) -> Iterable[TimelineEntry]:
    if row.redrive_of is not None:
        yield _moment(row.created_at, row.channel, "sent again by hand")
    for each in told.attempts:
        said = ", ".join(filter(None, (each.outcome.replace("_", " "), each.code, each.meaning)))
        yield TimelineEntry(
            at=each.ended_at, channel=row.channel, words=f"try {each.number} at {each.provider}: {said}"
        )
    if row.crashes:
        yield _moment(row.updated_at, row.channel, f"workers that crashed with it in hand: {row.crashes}")
    if row.state in (State.SUPERSEDED, State.CANCELLED) and mark is not None:
        yield _moment(
            mark.accepted_at, row.channel, f"{plain(mark.type)} ({mark.source_id} of {mark.source}) took it back"
        )
    if row.updated_at > row.created_at or row.state != State.PENDING:
        said = f": {row.code}, {told.meaning}" if row.code and told.meaning else ""
        yield _moment(row.updated_at, row.channel, f"{told.words}{said}")


def _moment(at: int, channel: HeldChannel | None, said: str) -> TimelineEntry:
    return TimelineEntry(at=to_datetime(at), channel=channel, words=said)
