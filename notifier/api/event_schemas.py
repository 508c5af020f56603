"""Events in the OpenAPI document: a schema for each type of event, told apart by `type`, with examples from samples."""

from collections.abc import Mapping, Sequence
from typing import Any

from notifier.domain import cloudevents
from notifier.domain.catalog import Catalog, NotificationType

REFERENCE = "#/components/schemas/{name}"
EVENT_DATA = "EventData"
ENVELOPES: Mapping[str, tuple[str, ...]] = {"CloudEvent": ("data_base64",), "TrialEvent": ()}
"""Schemas of an event of any type, and the members that a type's schema can't describe: JSON Schema can't look into
Base64."""

SOURCE = "your-service"
"""The source of every example."""

Schemas = dict[str, Any]


def with_event_types(components: Schemas, catalog: Catalog, data: Mapping[str, str]) -> Schemas:
    """Return the components with a schema for every event type of the catalog, each with its own data.

    `data` names the schema of each event type's data: `event.` and the type, in the letters that a name may have.
    """
    told = {name: _told(components[name], catalog, event) for event, name in data.items()}
    kinds: Schemas = {}
    for name, beyond in ENVELOPES.items():
        envelope = components[name]
        one = {event: f"{name}.{each.removeprefix('event.')}" for event, each in data.items()}
        kinds |= {one[event]: _of_type(envelope, one[event], event, data[event], beyond) for event in one}
        kinds[name] = {
            "title": name,
            "description": envelope["description"],
            "oneOf": [_reference(each) for each in one.values()],
            "discriminator": {
                "propertyName": "type",
                "mapping": {event: REFERENCE.format(name=each) for event, each in one.items()},
            },
        }
    any_data = {
        "title": EVENT_DATA,
        "description": "The data of an event, as its type defines them.",
        "anyOf": [_reference(name) for name in data.values()],
    }
    return {**components, **told, **kinds, EVENT_DATA: any_data}


def examples(catalog: Catalog, media: str) -> dict[str, Any]:
    """Return example bodies of a media type, by name: one for each sample of each type that an event triggers."""
    events = {
        _name(kind, number): (f"{kind.name}: {sample.name}", an_event(kind, number))
        for kind in catalog.types.values()
        for number, sample in enumerate(kind.samples)
    }
    match media:
        case cloudevents.STRUCTURED:
            return {name: {"summary": told, "value": event} for name, (told, event) in events.items()}
        case cloudevents.BATCH:
            first = [event for _, event in events.values()][:2]
            return {"batch": {"summary": "Two events in one call", "value": first}}
        case _:
            return {name: {"summary": told, "value": event["data"]} for name, (told, event) in events.items()}


def an_event(kind: NotificationType, number: int = 0) -> dict[str, Any]:
    """Return an event that triggers a type, as a producer would report it, with the data of one of the type's
    samples."""
    return {
        "specversion": "1.0",
        "id": _name(kind, number),
        "source": SOURCE,
        "type": kind.event,
        "data": kind.samples[number].data,
    }


def event_of(catalog: Catalog, event: str) -> dict[str, Any]:
    """Return an example of an event type, as a producer would report it."""
    return next(iter(samples_of(catalog, event).values()))


def samples_of(catalog: Catalog, event: str) -> dict[str, dict[str, Any]]:
    """Return examples of an event type by what they show; one that only cancels names what it takes back."""
    heard = {
        f"{kind.name}: {sample.name}": an_event(kind, number)
        for kind in catalog.listeners.get(event, [])
        for number, sample in enumerate(kind.samples)
    }
    bare = {"specversion": "1.0", "id": f"{event}-1", "source": SOURCE, "type": event}
    return heard or {event: {**bare, "data": _samples(catalog, event)[0]}}


def _name(kind: NotificationType, number: int) -> str:
    return f"{kind.id}-{number + 1}"


def _of_type(envelope: Schemas, name: str, event: str, data: str, beyond: tuple[str, ...]) -> Schemas:
    properties = {member: told for member, told in envelope["properties"].items() if member not in beyond}
    return {
        **envelope,
        "title": name,
        "description": f"The event {event}.",
        "properties": {**properties, "type": {"type": "string", "enum": [event]}, "data": _reference(data)},
        "required": [*(each for each in envelope["required"] if each != "data"), "data"],
    }


def _told(schema: Schemas, catalog: Catalog, event: str) -> Schemas:
    """Return the schema of an event's data: what each member means, whom the event must name, and examples."""
    fields = catalog.fields(event)
    whom = catalog.whom(event)
    return {
        **schema,
        "description": f"The data of the event {event}.",
        "properties": {
            name: {**told, "description": fields[name].about} for name, told in schema["properties"].items()
        },
        **(_one_of(whom) if whom and all(fields[name].optional for name in whom) else {}),
        "examples": _samples(catalog, event),
    }


def _one_of(names: Sequence[str]) -> Schemas:
    """Return a schema that requires one of these members. It uses conditions, which client generators ignore: of an
    `anyOf` they would make as many classes."""
    first, *others = names
    given = {"required": [first], "properties": {first: {"not": {"type": "null"}}}}
    return {"if": given, "else": _one_of(others)} if others else given


def _samples(catalog: Catalog, event: str) -> list[dict[str, Any]]:
    """Return the samples' data; an event that only cancels names the subjects of the samples of the types that it
    cancels."""
    heard = [sample.data for kind in catalog.listeners.get(event, []) for sample in kind.samples]
    return heard or [{kind.about: kind.samples[0].data[kind.about] for kind in catalog.cancels.get(event, [])}]


def _reference(name: str) -> Schemas:
    return {"$ref": REFERENCE.format(name=name)}
