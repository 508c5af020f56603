"""What makes things the same, what they are about, and what an event makes untrue."""

from functools import lru_cache
from typing import Any

import msgspec

from notifier.catalog import AUDIENCE_FIELDS, Catalog, NotificationType
from notifier.deliveries import Channel, State, make_id
from notifier.events import Event

SHARED = 1024  # what a batch is about, and what it is the same as: everybody who hears of one event has these in common

_shared_id = lru_cache(SHARED)(make_id)


def audiences(kind: NotificationType, data: dict[str, Any]) -> list[str]:
    """The audience keys that an event's data names for a type, most exact first; empty where it names nobody."""
    fields = AUDIENCE_FIELDS[kind.audience]
    return [f"{group}:{data[field]}" for group, field in fields if data.get(field) is not None]


def about(kind: NotificationType, data: dict[str, Any]) -> str:
    """The id of what a notification is about: events that cancel or replace it name the same."""
    return _shared_id("about", kind.id, str(data[kind.about]))


def sameness(kind: NotificationType, data: dict[str, Any]) -> str:
    """The collapse key: two events with the same are one notification, and a newer push takes the older's place."""
    return _shared_id("same", kind.id, *[str(data[field]) for field in kind.same])


def delivery_id(kind: NotificationType, event: Event, recipient_id: str, channel: Channel, target: str) -> str:
    """The id of a delivery. A type that updates in place makes one per event, every other one per collapse key."""
    key = event.id if kind.in_place else sameness(kind, event.data)
    return make_id("delivery", kind.id, key, recipient_id, channel, target)


class Outdated(msgspec.Struct, frozen=True):
    """Deliveries about `about` whose event happened at or before `until` end in `state`."""

    about: str
    until: int
    state: State


def outdates(catalog: Catalog, event: Event) -> list[Outdated]:
    """What an event makes untrue: types it cancels, those its own types replace, and their older selves in place."""
    marks = [
        Outdated(about(kind, event.data), event.starts_at, State.CANCELLED)
        for kind in catalog.cancels.get(event.type, [])
    ]
    for kind in catalog.listeners.get(event.type, []):
        marks += [
            Outdated(about(catalog.types[other], event.data), event.starts_at, State.SUPERSEDED)
            for other in kind.supersedes
        ]
        if kind.in_place:
            marks.append(Outdated(about(kind, event.data), event.starts_at - 1, State.SUPERSEDED))
    return marks
