"""Notification types: what each is, who hears it, how, for how long, and the shape of the data it needs.

A type is a folder `templates/<id>/` with a `type.toml` (decoded into `NotificationType`) and one `<locale>.toml` of
texts per language. The same file is read by people who don't program, so its words are plain: "30 min", "text",
"money".
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any, Literal

import msgspec

from notifier.domain.channels import Unknown, spec
from notifier.domain.clock import parse_duration
from notifier.domain.deliveries import Channel, Lane
from notifier.domain.errors import ConfigurationError
from notifier.domain.messages import Urgency
from notifier.domain.regulation import Regulation
from notifier.domain.sayable import make_check
from notifier.domain.text import LINE, STEP, TEXT
from notifier.domain.twins import is_test, plain, twin

Class = Literal["transactional", "service", "marketing", "security"]
Audience = Literal["driver", "fleet_managers", "site_operators", "team", "subscribers", "segment"]
Kind = Literal["text", "number", "integer", "money", "time", "zone", "flag"]
Category = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9-]{0,39}(?![\\s\\S])")]

LANES: Mapping[Urgency, Lane] = {
    "low": Lane.BULK,
    "normal": Lane.NORMAL,
    "high": Lane.URGENT,
    "urgent": Lane.URGENT,
}

AUDIENCE_FIELDS: Mapping[Audience, tuple[tuple[str, str], ...]] = {
    "driver": (("driver", "driver_id"), ("token", "token")),
    "fleet_managers": (("fleet", "fleet_id"),),
    "site_operators": (("site", "site_id"),),
    "team": (("team", "team"),),
    "subscribers": (("topic", "topic"),),
    "segment": (("segment", "segment_id"),),
}
"""The fields of an event's data that name an audience, each with the group of its audience key, most exact first."""

LOCALE_NAME = re.compile(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-[A-Z]{2})?")
MAX_TEXT = 500  # characters in a text field: longer than any station name or address, shorter than an essay
MAX_NUMBER = 1e12  # kWh, percent or money in any currency: a larger number is a mistake, and no text could show it
MAX_INTEGER = 2**53 - 1  # what JSON carries unharmed between any two programs (RFC 8259 §6)


class Money(msgspec.Struct, frozen=True):
    """An amount in a currency (ISO 4217), including taxes."""

    amount: Annotated[float, msgspec.Meta(ge=-MAX_NUMBER, le=MAX_NUMBER)]
    currency: Annotated[str, msgspec.Meta(max_length=3, pattern="^[A-Z]{3}$")]


_PYTHON_TYPES: Mapping[Kind, Any] = {
    "text": Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TEXT, pattern=TEXT)],
    "number": Annotated[float, msgspec.Meta(ge=-MAX_NUMBER, le=MAX_NUMBER)],
    "integer": Annotated[int, msgspec.Meta(ge=-MAX_INTEGER, le=MAX_INTEGER)],
    "money": Money,
    "time": Annotated[datetime, msgspec.Meta(tz=True)],
    "zone": Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TEXT)],
    "flag": bool,
}


TypeId = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=STEP)]
MAX_EVENT_TYPE = 190  # characters of an event type: the width of its columns
EventType = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_EVENT_TYPE, pattern=LINE)]


class Field(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One variable of a type's data. A number below its `min` is a clock's or a meter's mistake, and told to nobody."""

    type: Kind
    about: str
    optional: bool = False
    one_of: tuple[str, ...] = ()
    min: int | None = None


class Sample(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A payload for previews, tests and checks."""

    name: str
    data: dict[str, Any]


class Digest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Messages that come together: those alike in the fields of `key`, within `window` of the first. `link` is where
    they lead together."""

    key: tuple[str, ...]
    window: str
    link: str

    @property
    def milliseconds(self) -> int:
        return parse_duration(self.window)


class AwaitedOutcome(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a notification is for: one of `events` about the same thing (`by` its subject), or for the same person, at
    most `within` after it was decided. `name` says it in words, such as "The car left"."""

    name: str
    events: tuple[str, ...]
    within: str
    by: Literal["subject", "person"] = "subject"

    @property
    def milliseconds(self) -> int:
        return parse_duration(self.within)


class NotificationType(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, dict=True, rename={"class_": "class"}
):
    """What `type.toml` says; see docs/notification-types.md for each line's meaning."""

    id: TypeId
    name: str
    event: EventType
    class_: Class
    category: Category
    audience: Audience
    channels: tuple[Channel, ...]
    urgency: Urgency = "normal"
    time_to_live: str
    about: str
    same: tuple[str, ...]
    in_place: bool = False
    supersedes: tuple[str, ...] = ()
    cancelled_by: tuple[str, ...] = ()
    outcome: AwaitedOutcome | None = None
    when_unknown: dict[Channel, Unknown] = {}
    mandatory: tuple[Channel, ...] = ()
    through_quiet_hours: bool = False
    off_by_default: tuple[Channel, ...] = ()
    over_cap: Literal["suppress", "hold"] = "suppress"
    digest: Digest | None = None
    fallback: str | None = None
    escalation: str | None = None
    closes: tuple[str, ...] = ()
    one_shot: bool = False
    until: str | None = None
    clicks: bool = False
    link: str
    data: dict[str, Field]
    samples: tuple[Sample, ...]

    @cached_property
    def lane(self) -> Lane:
        # A test never stands before an alert.
        return Lane.BULK if self.class_ == "marketing" or is_test(self.id) else LANES[self.urgency]

    def unknown(self, channel: Channel) -> Unknown:
        """What to do with a message of this type whose outcome is unknown."""
        return self.when_unknown.get(channel) or spec(channel).when_unknown

    def is_mandatory_on(self, channel: Channel) -> bool:
        """Whether people can't switch this type off on a channel; security can't be switched off on any."""
        return self.class_ == "security" or channel in self.mandatory

    @property
    def waits_for_morning(self) -> bool:
        """Whether people's quiet hours hold this type back."""
        return not self.through_quiet_hours and self.class_ != "security"

    @cached_property
    def immediate(self) -> bool:
        """Whether deliveries of this type are signalled once decided; others wait until the clock has room."""
        return self.lane != Lane.BULK and self.audience != "segment"

    @cached_property
    def zone(self) -> str | None:
        """The data field that holds the time zone of the type's times."""
        return next((name for name, field in self.data.items() if field.type == "zone"), None)

    @cached_property
    def ttl(self) -> int:
        """Time to live in milliseconds."""
        return parse_duration(self.time_to_live)

    @cached_property
    def step(self) -> int:
        """Milliseconds that the next channel waits for the one before to be seen; 0 if all are sent at once."""
        return parse_duration(self.fallback) if self.fallback else 0

    @cached_property
    def turn(self) -> int:
        """Milliseconds that the next person on call waits for an acknowledgement; 0 if all are told at once."""
        return parse_duration(self.escalation) if self.escalation else 0

    @cached_property
    def twin(self) -> "NotificationType":
        """The same type for tests (`domain.twins`). It ends no subscription: that is a real person's."""
        names = {name: tuple(map(twin, getattr(self, name))) for name in ("supersedes", "cancelled_by", "closes")}
        own: dict[str, Any] = {
            "id": twin(self.id),
            "name": f"{self.name} (test)",
            "event": twin(self.event),
            "one_shot": False,
        }
        if self.outcome is not None:
            events = tuple(map(twin, self.outcome.events))
            own["outcome"] = msgspec.structs.replace(self.outcome, events=events)
        return msgspec.structs.replace(self, **own, **names)


class Catalog:
    """All notification types, by id and by the event they listen to, with a decoder for each event's data; their twins
    too, but in `types` and `event_types`."""

    def __init__(self, types: Iterable[NotificationType], regulation: Regulation = Regulation()) -> None:  # noqa: B008
        self.regulation = regulation
        self.types = {kind.id: kind for kind in types}
        self.listeners: dict[str, list[NotificationType]] = {}
        self.cancels: dict[str, list[NotificationType]] = {}
        self.answers: dict[str, list[NotificationType]] = {}
        self.answers_for_people: dict[str, list[NotificationType]] = {}
        self.with_twins = {kind.id: kind for own in self.types.values() for kind in (own, own.twin)}
        for kind in self.with_twins.values():
            self.listeners.setdefault(kind.event, []).append(kind)
            for event in kind.cancelled_by:
                self.cancels.setdefault(event, []).append(kind)
            if kind.outcome is not None:
                answers = self.answers if kind.outcome.by == "subject" else self.answers_for_people
                for event in kind.outcome.events:
                    answers.setdefault(event, []).append(kind)
        self.shapes = {event: self._shape(event, name) for event, name in _names(self.event_types).items()}
        self.models = {event: self._model(event, shape) for event, shape in self.shapes.items()}

    @property
    def event_types(self) -> list[str]:
        """Every event type that a notification type listens to, is cancelled by or is answered by; what answers by
        person is listened to as well (`catalog_files`)."""
        return sorted({plain(event) for events in (self.listeners, self.cancels, self.answers) for event in events})

    @cached_property
    def categories(self) -> Mapping[str, str]:
        """The category of each type, by the type's id."""
        return {id_: kind.category for id_, kind in self.types.items()}

    @cached_property
    def urgent(self) -> frozenset[str]:
        """The event types that types of urgency `urgent` listen to."""
        return frozenset(kind.event for kind in self.types.values() if kind.urgency == "urgent")

    def model(self, event_type: str) -> type[msgspec.Struct] | None:
        """The struct that an event's data must convert to, or None where no type knows the event."""
        return self.models.get(event_type)

    def fields(self, event: str) -> dict[str, Field]:
        """The members of an event's data: all that its own types take, and what names the things that it cancels or
        answers.

        Raises ConfigurationError where two types that hear it disagree about one.
        """
        fields: dict[str, Field] = {}
        for kind, name in self._needs(event):
            field = kind.data[name]
            if not _alike(fields.setdefault(name, field), field):
                raise ConfigurationError(
                    f"{kind.id}/type.toml: another type gives {name!r} of the event {event!r} another shape; "
                    "make type, optional, one_of and min the same in both"
                )
        return dict(sorted(fields.items(), key=lambda item: item[1].optional))

    def whom(self, event: str) -> tuple[str, ...]:
        """The members by which an event names whom it is for, where one must be there: an event that also cancels or
        answers has a meaning without."""
        names = [name for kind in self.listeners.get(event, []) for _, name in AUDIENCE_FIELDS[kind.audience]]
        return () if event in self.cancels or event in self.answers else tuple(dict.fromkeys(names))

    def shape(self, event_type: str) -> type[msgspec.Struct]:
        """The struct of data that were accepted: the model without the check of what people can be told (`sayable`)."""
        return self.shapes[event_type]

    def _shape(self, event: str, name: str) -> type[msgspec.Struct]:
        fields = [_struct_field(name, field) for name, field in self.fields(event).items()]
        return msgspec.defstruct(f"event.{name}", fields, frozen=True, kw_only=True, omit_defaults=True)

    def _model(self, event: str, shape: type[msgspec.Struct]) -> type[msgspec.Struct]:
        check = make_check({name: field.type for name, field in self.fields(event).items()})
        own: dict[str, Any] = {"__post_init__": check}
        return msgspec.defstruct(shape.__name__, [], bases=(shape,), namespace=own, frozen=True, omit_defaults=True)

    def _needs(self, event: str) -> Iterator[tuple[NotificationType, str]]:
        yield from ((kind, name) for kind in self.listeners.get(event, []) for name in kind.data)
        yield from ((kind, kind.about) for kind in self.cancels.get(event, []))
        yield from ((kind, kind.about) for kind in self.answers.get(event, []))


def _names(events: Iterable[str]) -> dict[str, str]:
    """A name of its own for each event, in the letters that names of schemas have (OpenAPI 3.1 §4.8.7)."""
    names: dict[str, str] = {}
    for event in events:
        name = re.sub(r"[^\w.-]", "_", event, flags=re.ASCII)
        while name in names.values():
            name += "_"
        names[event] = name
    return names


def _alike(one: Field, other: Field) -> bool:
    return (one.type, one.optional, one.one_of, one.min) == (other.type, other.optional, other.one_of, other.min)


def _struct_field(name: str, field: Field) -> tuple[str, Any] | tuple[str, Any, Any]:
    kind = Literal[field.one_of] if field.one_of else _PYTHON_TYPES[field.type]
    return (name, kind | None, None) if field.optional else (name, kind)
