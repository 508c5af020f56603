"""Keys that tell repeats apart from new notifications, and what an event makes out of date."""

from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from itertools import chain
from typing import Any, Final

import msgspec

from notifier.domain import identifiers
from notifier.domain.buckets import DRIVER
from notifier.domain.catalog import AUDIENCE_FIELDS, Catalog, NotificationType
from notifier.domain.clock import to_instant
from notifier.domain.deliveries import Channel, Reason
from notifier.domain.events import Event
from notifier.domain.ids import dated, make_id

NEVER: Final = 2**63 - 1
"""An instant that never comes."""

SHARED = 1024  # cached keys of a batch's events: all recipients of one event share them

_shared_id = lru_cache(SHARED)(make_id)


def audiences(kind: NotificationType, data: dict[str, Any]) -> list[str]:
    """The audience keys that an event's data names for a type, most exact first; empty where it names nobody."""
    fields = AUDIENCE_FIELDS[kind.audience]
    return [identifiers.audience(group, data[field]) for group, field in fields if data.get(field) is not None]


def own_audiences(kind: NotificationType, event: Event) -> list[str]:
    """Those of the audience keys that an event is decided for where it is: a copy (`domain.buckets`) has some of
    them."""
    named = audiences(kind, event.data)
    return named if event.audiences is None else [key for key in named if key in event.audiences]


def subject_key(kind: NotificationType, data: dict[str, Any]) -> str:
    """The id of what a notification is about: events that cancel or replace it name the same."""
    return _shared_id("about", kind.id, str(data[kind.about]))


def person_key(kind: NotificationType, recipient_id: str) -> str:
    """The id by which a type's outcome is awaited of a person, and by which nothing else is kept."""
    return make_id("person", kind.id, recipient_id)


def collapse_key(kind: NotificationType, data: dict[str, Any]) -> str:
    """The collapse key: two events with the same are one notification, and a newer push takes the older's place."""
    return _shared_id("same", kind.id, *[str(data[field]) for field in kind.same])


def delivery_id(kind: NotificationType, event: Event, recipient_id: str, channel: Channel, target: str) -> str:
    """The id of a delivery. A type that updates in place makes one per event, every other one per collapse key.

    It has the date of the first event with the same.
    """
    key = event.id if kind.in_place else collapse_key(kind, event.data)
    first = event.first_seen.get(kind.id, event.accepted_at)
    return dated(make_id("delivery", kind.id, key, recipient_id, channel, target), first)


def digest_group(kind: NotificationType, data: dict[str, Any], recipient_id: str) -> str:
    """The id of a digest group: one type's messages for one person with the same values of the digest's key."""
    key = kind.digest.key if kind.digest else ()
    return make_id("digest", kind.id, *(str(data[field]) for field in key), recipient_id)


def useless_from(kind: NotificationType, data: dict[str, Any]) -> int:
    """The instant from which a notification is useless, as its data say."""
    told = None if kind.until is None else data.get(kind.until)
    return NEVER if told is None else to_instant(msgspec.convert(told, datetime))


def expires_at(kind: NotificationType, event: Event) -> int:
    """When a notification is of no use any more: its time to live is over, or sooner, as its data say."""
    return min(event.starts_at + kind.ttl, useless_from(kind, event.data))


class Outdated(msgspec.Struct, frozen=True):
    """Deliveries about `about` whose event happened at or before `until` are out of date, for a reason."""

    subject_key: str
    until: int
    reason: Reason


def outdates(catalog: Catalog, event: Event) -> list[Outdated]:
    """What an event makes untrue: types it cancels, those its own types replace, and their older selves in place."""
    return [Outdated(subject_key(kind, event.data), until, reason) for kind, until, reason in _outdated(catalog, event)]


def answered(catalog: Catalog, event: Event) -> list[str]:
    """The subject keys of the notifications whose outcome an event is."""
    return [subject_key(kind, event.data) for kind in catalog.answers.get(event.type, [])]


def concerns_many(catalog: Catalog, event: Event) -> bool:
    """Whether what an event makes untrue or answers may be on its way to others than the one person whom it names by
    id."""
    outdated = (kind for kind, _, _ in _outdated(catalog, event))
    concerned = chain(outdated, catalog.answers.get(event.type, []))
    return any(kind.audience != "driver" or DRIVER not in event.data for kind in concerned)


def _outdated(catalog: Catalog, event: Event) -> Iterator[tuple[NotificationType, int, Reason]]:
    """The types of which an event makes notifications untrue, up to when, and why."""
    for kind in catalog.cancels.get(event.type, []):
        yield kind, event.starts_at, Reason.CANCELLED
    for kind in catalog.listeners.get(event.type, []):
        for other in kind.closes:
            yield catalog.with_twins[other], event.starts_at, Reason.CANCELLED
        for other in kind.supersedes:
            yield catalog.with_twins[other], event.starts_at, Reason.SUPERSEDED
        if kind.in_place:
            yield kind, event.starts_at - 1, Reason.SUPERSEDED
