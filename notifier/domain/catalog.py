"""Notification types: what each is, who hears it, how, for how long, and the shape of the data it needs.

A type is a folder `templates/<id>/` with a `type.toml` (decoded into `NotificationType`) and one `<locale>.toml` of
texts per language. The same file is read by people who don't program, so its words are plain: "30 min", "text",
"money".
"""

import keyword
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from notifier.domain.channels import Unknown, channels, spec
from notifier.domain.clock import parse_duration
from notifier.domain.deliveries import Channel, Lane
from notifier.domain.errors import ConfigurationError
from notifier.domain.messages import Urgency
from notifier.domain.reading import read_text
from notifier.domain.regulation import FILE, Regulation, load_regulation
from notifier.domain.retention import Part
from notifier.domain.sayable import make_check
from notifier.domain.text import LINE, STEP, TEXT
from notifier.domain.twins import TEST, is_test, plain, twin

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
        own = {"id": twin(self.id), "name": f"{self.name} (test)", "event": twin(self.event), "one_shot": False}
        return msgspec.structs.replace(self, **own, **names)


class Catalog:
    """All notification types, by id and by the event they listen to, with a decoder for each event's data; their twins
    too, but in `types` and `event_types`."""

    def __init__(self, types: Iterable[NotificationType], regulation: Regulation = Regulation()) -> None:  # noqa: B008
        self.regulation = regulation
        self.types = {kind.id: kind for kind in types}
        self.listeners: dict[str, list[NotificationType]] = {}
        self.cancels: dict[str, list[NotificationType]] = {}
        self.with_twins = {kind.id: kind for own in self.types.values() for kind in (own, own.twin)}
        for kind in self.with_twins.values():
            self.listeners.setdefault(kind.event, []).append(kind)
            for event in kind.cancelled_by:
                self.cancels.setdefault(event, []).append(kind)
        self.shapes = {event: self._shape(event, name) for event, name in _names(self.event_types).items()}
        self.models = {event: self._model(event, shape) for event, shape in self.shapes.items()}

    @property
    def event_types(self) -> list[str]:
        """Every event type that a notification type listens to or is cancelled by."""
        return sorted({*map(plain, self.listeners), *map(plain, self.cancels)})

    @cached_property
    def urgent(self) -> frozenset[str]:
        """The event types that types of urgency `urgent` listen to."""
        return frozenset(kind.event for kind in self.types.values() if kind.urgency == "urgent")

    def model(self, event_type: str) -> type[msgspec.Struct] | None:
        """The struct that an event's data must convert to, or None where no type knows the event."""
        return self.models.get(event_type)

    def fields(self, event: str) -> dict[str, Field]:
        """The members of an event's data: all that its own types take, and what names the things that it cancels.

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
        """The members by which an event names whom it is for, where one must be there: an event that also cancels has
        a meaning without."""
        names = [name for kind in self.listeners.get(event, []) for _, name in AUDIENCE_FIELDS[kind.audience]]
        return () if event in self.cancels else tuple(dict.fromkeys(names))

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


def load_catalog(templates: Path) -> Catalog:
    """Read every `type.toml` below a folder.

    Raises ConfigurationError with the file and the field for anything that doesn't fit, including a type that refers to
    another that is not there.
    """
    files = sorted(templates.glob("*/type.toml"))
    if not files:
        raise ConfigurationError(
            f"no notification types in {templates}; set NOTIFIER_TEMPLATES to the templates folder"
        )
    types = [_load_type(file) for file in files]
    catalog = Catalog(types, load_regulation(templates))
    _check_limits(catalog)
    _check_retention(catalog)
    for kind in types:
        for role, other in [*(("supersedes", each) for each in kind.supersedes), *(("closes", e) for e in kind.closes)]:
            if other not in catalog.types:
                raise ConfigurationError(
                    f"{kind.id}/type.toml: {role} names {other!r}, which is not a notification type"
                )
            shared = catalog.types[other].about
            if shared not in kind.data or kind.data[shared].optional:
                raise ConfigurationError(
                    f"{kind.id}/type.toml: {role} names {other!r}, so its data needs {shared!r} as a required field"
                )
        for sample in kind.samples:
            try:
                msgspec.convert(sample.data, catalog.models[kind.event])
            except msgspec.ValidationError as error:
                raise ConfigurationError(f"{kind.id}/type.toml: sample {sample.name!r}: {error}") from None
    return catalog


def _check_limits(catalog: Catalog) -> None:
    for id_ in catalog.regulation.types:
        if id_ not in catalog.types:
            raise ConfigurationError(f"{FILE}: types.{id_}: there is no such notification type")
        if catalog.types[id_].class_ == "security":
            raise ConfigurationError(f"{FILE}: types.{id_}: a security notification type can't have a limit")


def _check_retention(catalog: Catalog) -> None:
    """Raise ConfigurationError where an event's data would go while a message about it may still be sent or shown."""
    retention = catalog.regulation.retention
    for kind in catalog.types.values():
        period = retention.period(Part.DATA, kind.class_)
        if period is not None and period < kind.ttl:
            raise ConfigurationError(
                f"{FILE}: retention: data of the class {kind.class_} ({retention.told(Part.DATA, kind.class_)}) must "
                f"be kept at least for the time_to_live of {kind.id} ({kind.time_to_live})"
            )


def _load_type(file: Path) -> NotificationType:
    where = f"{file.parent.name}/{file.name}"
    try:
        kind = msgspec.convert({**tomllib.loads(read_text(file)), "id": file.parent.name}, NotificationType)
        window = kind.digest.window if kind.digest else None
        for duration in (kind.time_to_live, kind.fallback, kind.escalation, window):
            if duration is not None:
                parse_duration(duration)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, ValueError) as error:
        raise ConfigurationError(f"{where}: {error}") from None
    _check_data(kind, where)
    for name in (kind.event, *kind.cancelled_by):
        if is_test(name) or len(twin(name)) > MAX_EVENT_TYPE:
            raise ConfigurationError(
                f"{where}: the event {name!r} begins with {TEST!r} or is longer than {MAX_EVENT_TYPE - len(TEST)}"
            )
    for role, names in (
        ("about", (kind.about,)), ("same", kind.same), ("digest.key", kind.digest.key if kind.digest else ()),
    ):  # fmt: skip
        for name in names:
            if name not in kind.data or kind.data[name].optional:
                raise ConfigurationError(f"{where}: {role} names {name!r}, which must be a required field of its data")
    if kind.one_shot and kind.audience != "subscribers":
        raise ConfigurationError(f"{where}: one_shot ends a subscription; it needs the audience subscribers")
    if kind.until is not None and (kind.until not in kind.data or kind.data[kind.until].type != "time"):
        raise ConfigurationError(f"{where}: until names {kind.until!r}, which must be a field of type time in its data")
    if not kind.channels or Channel.NONE in kind.channels:
        raise ConfigurationError(f"{where}: channels must name one or more of {', '.join(channels())}")
    if kind.digest and not any(spec(channel).collects for channel in kind.channels):
        collects = " or ".join(channel for channel in channels() if spec(channel).collects)
        raise ConfigurationError(f"{where}: only messages by {collects} come together, so a digest needs that channel")
    if kind.digest and (kind.fallback or kind.escalation):
        raise ConfigurationError(
            f"{where}: a digest delays messages, so it can't be combined with fallback or escalation; keep one"
        )
    if kind.mandatory and kind.class_ == "marketing":
        raise ConfigurationError(f"{where}: mandatory can't be set for marketing, which every person may switch off")
    for channel, what in kind.when_unknown.items():
        if what == "ask" and not spec(channel).can_ask:
            raise ConfigurationError(
                f"{where}: when_unknown: the provider of {channel} has no status query; take another value than ask"
            )
    if not kind.samples:
        raise ConfigurationError(f"{where}: add at least one [[samples]]; previews and checks need it")
    return kind


def _check_data(kind: NotificationType, where: str) -> None:
    for name, field in kind.data.items():
        if not name.isidentifier() or keyword.iskeyword(name):
            raise ConfigurationError(f"{where}: {name!r} can't be a field; use letters, digits and _")
        if field.one_of and field.type != "text":
            raise ConfigurationError(f"{where}: one_of is for text, and {name!r} is {field.type}")
        if field.min is not None and field.type not in ("number", "integer"):
            raise ConfigurationError(f"{where}: min is for numbers, and {name!r} is {field.type}")
    if [field.type for field in kind.data.values()].count("zone") > 1:
        raise ConfigurationError(f"{where}: data can have at most one field of type zone, for all its times")
    for _, name in AUDIENCE_FIELDS[kind.audience]:
        if name not in kind.data or kind.data[name].type != "text":
            raise ConfigurationError(f"{where}: the audience is found by {name!r}, which must be a field of type text")
