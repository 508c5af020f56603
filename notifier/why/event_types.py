"""What an event type means for whoever reports it: the fields of its data, and in words who would hear of it.

Pure: all of it is read from the catalog, so that it can't differ from what is decided.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from notifier.domain.catalog import (
    AUDIENCE_FIELDS,
    MAX_TEXT,
    Audience,
    AwaitedOutcome,
    Catalog,
    Class,
    Field,
    Kind,
    NotificationType,
)
from notifier.domain.channels import spec
from notifier.domain.deliveries import Channel
from notifier.domain.messages import Urgency

SHAPES: Final[dict[Kind, str]] = {
    "text": f"text, up to {MAX_TEXT} characters",
    "number": "number",
    "integer": "whole number",
    "money": "money: amount and currency",
    "time": "time with a zone (RFC 3339)",
    "zone": "IANA zone, such as Europe/Berlin",
    "flag": "true or false",
}
"""What a field takes, in words."""

_AUDIENCES: Final[dict[Audience, str]] = {
    "driver": "the driver",
    "fleet_managers": "the managers of the fleet",
    "site_operators": "the operators of the site",
    "team": "the members of the team",
    "subscribers": "the subscribers of the topic",
    "segment": "the members of the segment",
}


class FieldView(msgspec.Struct, frozen=True, kw_only=True):
    """One field of an event's data: what it takes (`shape`) and what it is (`about`), in words."""

    name: str
    type: Kind
    shape: str
    required: bool
    about: str


class ListenerView(msgspec.Struct, frozen=True, kw_only=True, rename={"class_": "class"}):
    """A notification type that an event type sets off; `words` are sentences, each of which stands alone."""

    notification_type: str
    name: str
    class_: Class
    category: str
    audience: Audience
    channels: tuple[Channel, ...]
    urgency: Urgency
    words: list[str]


class EventTypeView(msgspec.Struct, frozen=True, kw_only=True):
    """An event type: its fields, who would hear of it, what it takes back (`cancels`) and which outcomes it is
    (`answers`), both in sentences.

    Where `names_one_of` has fields, an event must have one of them: they name whom it is for.
    """

    type: str
    fields: list[FieldView]
    names_one_of: tuple[str, ...]
    listeners: list[ListenerView]
    cancels: list[str]
    answers: list[str]


def describe(catalog: Catalog, event: str) -> EventTypeView:
    """Describe an event type of the catalog."""
    fields = catalog.fields(event)
    whom = catalog.whom(event)
    return EventTypeView(
        type=event,
        fields=[_field(name, field) for name, field in fields.items()],
        names_one_of=whom if all(fields[name].optional for name in whom) else (),
        listeners=[_listener(catalog, kind) for kind in catalog.listeners.get(event, [])],
        cancels=[
            f"It takes back “{kind.name}” about the same {kind.about}, as far as that has not gone out."
            for kind in catalog.cancels.get(event, [])
        ],
        answers=[
            f"It is the outcome of “{kind.name}” {_same(kind, kind.outcome, 'about')}, within {kind.outcome.within}."
            for kind in _answered(catalog, event)
            if kind.outcome is not None
        ],
    )


def summary(catalog: Catalog, event: str) -> str:
    """Return an event type's meaning in a line: what it sends to whom, takes back, and is the outcome of."""
    sends = [f"Sends “{kind.name}” to {_AUDIENCES[kind.audience]}." for kind in catalog.listeners.get(event, [])]
    back = [kind.id for kind in catalog.cancels.get(event, [])]
    answered = [kind.id for kind in _answered(catalog, event)]
    return " ".join(
        [
            *sends,
            *([f"Takes back {_named(catalog, back)}."] if back else []),
            *([f"Is the outcome of {_named(catalog, answered)}."] if answered else []),
        ]
    )


def _field(name: str, field: Field) -> FieldView:
    shape = "one of " + ", ".join(field.one_of) if field.one_of else SHAPES[field.type]
    least = "" if field.min is None else f", {field.min} or more"
    return FieldView(
        name=name, type=field.type, shape=shape + least, required=not field.optional, about=field.about
    )  # fmt: skip


def _listener(catalog: Catalog, kind: NotificationType) -> ListenerView:
    return ListenerView(
        notification_type=kind.id, name=kind.name, class_=kind.class_, category=kind.category, audience=kind.audience,
        channels=kind.channels, urgency=kind.urgency,
        words=[*_whom(kind), *_way(kind), *_choice(kind), *_limits(catalog, kind), *_end(catalog, kind)],
    )  # fmt: skip


def _whom(kind: NotificationType) -> Iterator[str]:
    names = [name for _, name in AUDIENCE_FIELDS[kind.audience]]
    yield f"It is for {_AUDIENCES[kind.audience]} named by {_listed(names, 'or')}."
    if kind.escalation:
        yield (
            f"Those on call are told one after the other, each {kind.escalation} after the one before, until somebody "
            "acknowledges it."
        )


def _way(kind: NotificationType) -> Iterator[str]:
    ways = [spec(channel).by for channel in kind.channels]
    if kind.fallback:
        yield f"It comes {', then '.join(ways)}: each channel waits {kind.fallback} for the one before to be seen."
    else:
        yield f"It comes {_listed(ways, 'and')}{' at once' if len(ways) > 1 else ''}."
    if kind.digest:
        collected = _listed([spec(each).by for each in kind.channels if spec(each).collects], "and")
        yield (
            f"What comes {collected} is collected for {kind.digest.window}: events alike in "
            f"{_listed(kind.digest.key, 'and')} come as one message."
        )


def _choice(kind: NotificationType) -> Iterator[str]:
    always = _always(kind)
    if kind.class_ == "marketing":
        yield f"It goes only to people who have consented to {kind.category}, at hours at which marketing is allowed."
    elif kind.class_ == "security":
        yield "Nobody can switch it off."
    else:
        yield f"People can switch off the category {kind.category}" + (
            f", but not {_listed(always, 'and')}." if always else "."
        )
    if kind.off_by_default:
        off = _listed([spec(channel).by for channel in kind.off_by_default], "and")
        yield f"It comes {off} only to people who have switched that on."
    yield "People's quiet hours hold it back." if kind.waits_for_morning else "It comes in people's quiet hours, too."


def _limits(catalog: Catalog, kind: NotificationType) -> Iterator[str]:
    limit = catalog.regulation.limit_of(kind.id, kind.category)
    if limit and kind.class_ != "security":
        free = [] if kind.id in catalog.regulation.types else _always(kind)
        beside = f", not counting what comes {_listed(free, 'and')}" if free else ""
        yield f"One person gets at most {limit.most} of it within {limit.window}{beside}."
    cap = catalog.regulation.caps.get(kind.category)
    if cap:
        late = "the rest waits" if kind.over_cap == "hold" else "the rest is not sent"
        yield f"One person gets at most {cap.most} of the category {kind.category} within {cap.window}; {late}."


def _end(catalog: Catalog, kind: NotificationType) -> Iterator[str]:
    if kind.in_place:
        yield f"A newer event alike in {_listed(kind.same, 'and')} takes the place of what was sent."
    else:
        yield f"Two events alike in {_listed(kind.same, 'and')} are one notification: the second sends nothing."
    past = f", or once {kind.until} is past" if kind.until else ""
    yield f"{kind.time_to_live} after the event it is of no use and is not sent any more{past}."
    if kind.supersedes:
        yield f"It supersedes {_named(catalog, kind.supersedes)} about the same {kind.about}."
    if kind.closes:
        yield f"It says that {_named(catalog, kind.closes)} is over: only who was told of that hears of it."
    if kind.cancelled_by:
        yield (
            f"{_listed(kind.cancelled_by, 'or')} with the same {kind.about} takes it back, as far as it has not gone "
            "out."
        )
    if kind.outcome is not None:
        yield (
            f"Its outcome is “{kind.outcome.name}”: {_listed(kind.outcome.events, 'or')} "
            f"{_same(kind, kind.outcome, 'with')} within {kind.outcome.within}."
        )
    if kind.one_shot:
        yield "It ends the subscription of whoever was told."


def _always(kind: NotificationType) -> list[str]:
    return [spec(channel).by for channel in kind.channels if kind.is_mandatory_on(channel)]


def _named(catalog: Catalog, types: Sequence[str]) -> str:
    return _listed([f"“{catalog.types[each].name}”" for each in types], "and")


def _listed(names: Iterable[str], joint: str) -> str:
    *first, last = names
    return f"{', '.join(first)} {joint} {last}" if first else last


def _answered(catalog: Catalog, event: str) -> list[NotificationType]:
    """Return the types whose outcome an event is."""
    return [*catalog.answers.get(event, []), *catalog.answers_for_people.get(event, [])]


def _same(kind: NotificationType, outcome: AwaitedOutcome, word: str) -> str:
    """Return what an event and the notification whose outcome it is have in common."""
    return f"{word} the same {kind.about}" if outcome.by == "subject" else "for the same person"
