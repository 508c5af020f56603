"""Notification types as they stand in files: `templates/<id>/type.toml` is read, checked and decoded."""

import keyword
import tomllib
from pathlib import Path

import msgspec

from notifier.domain.catalog import AUDIENCE_FIELDS, MAX_EVENT_TYPE, Catalog, NotificationType
from notifier.domain.channels import channels, spec
from notifier.domain.clock import parse_duration
from notifier.domain.deliveries import Channel
from notifier.domain.errors import ConfigurationError
from notifier.domain.reading import read_text
from notifier.domain.regulation import FILE, load_regulation
from notifier.domain.retention import Part
from notifier.domain.twins import TEST, is_test, twin


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
    _check_answers_for_people(catalog)
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


def _check_answers_for_people(catalog: Catalog) -> None:
    """Raise ConfigurationError where an outcome is awaited of people by an event that is for nobody."""
    for event, kinds in catalog.answers_for_people.items():
        if not any(kind.audience == "driver" for kind in catalog.listeners.get(event, [])):
            raise ConfigurationError(
                f'{kinds[0].id}/type.toml: outcome is awaited by = "person", but no type with the audience driver '
                f"listens to the event {event!r}, so that nobody knows whose it is"
            )


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
        within = kind.outcome.within if kind.outcome else None
        for duration in (kind.time_to_live, kind.fallback, kind.escalation, window, within):
            if duration is not None:
                parse_duration(duration)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, ValueError) as error:
        raise ConfigurationError(f"{where}: {error}") from None
    _check_data(kind, where)
    for name in (kind.event, *kind.cancelled_by, *(kind.outcome.events if kind.outcome else ())):
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
    if kind.clicks and not any(spec(channel).lead for channel in kind.channels):
        counted = " or ".join(channel for channel in channels() if spec(channel).lead)
        raise ConfigurationError(f"{where}: clicks are counted by {counted} alone; add that channel or leave it out")
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
