"""Who hears of an event, and on which channels, or why not: pure functions, no I/O."""

from collections.abc import Iterator
from typing import Any

import msgspec

from notifier.catalog import AUDIENCE_FIELDS, Catalog, NotificationType
from notifier.deliveries import Channel, Reason, State, make_id
from notifier.events import Event
from notifier.recipients import Recipient, device_id


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the policy says of one channel (and, for push, one device) of one recipient.

    `state` is pending where a message should go out at `due_at`, else how the delivery ends before it began; `target`
    is the device's id for push, "" where the recipient's one number or mailbox is meant.
    """

    channel: Channel
    target: str = ""
    state: State
    due_at: int
    reason: Reason | None = None


def audiences(kind: NotificationType, data: dict[str, Any]) -> list[str]:
    """The audience keys that an event's data names for a type, most exact first; empty where it names nobody."""
    fields = AUDIENCE_FIELDS[kind.audience]
    return [f"{group}:{data[field]}" for group, field in fields if data.get(field) is not None]


def decide(kind: NotificationType, event: Event, recipient: Recipient, now: int) -> list[Answer]:
    """One answer per channel of the type, in its order; for push one per device."""
    return [answer for channel in kind.channels for answer in _decide_channel(kind, event, recipient, channel, now)]


def _decide_channel(
    kind: NotificationType, event: Event, recipient: Recipient, channel: Channel, now: int
) -> Iterator[Answer]:
    if kind.class_ != "security" and not recipient.wants(kind.category, channel):
        yield Answer(channel=channel, state=State.SUPPRESSED, due_at=now, reason=Reason.SWITCHED_OFF)
        return
    targets = _targets(recipient, channel)
    if not targets:
        yield Answer(channel=channel, state=State.SUPPRESSED, due_at=now, reason=Reason.NO_ADDRESS)
    for target in targets:
        if event.starts_at + kind.ttl <= now:
            yield Answer(channel=channel, target=target, state=State.EXPIRED, due_at=now, reason=Reason.EXPIRED)
        else:
            yield Answer(channel=channel, target=target, state=State.PENDING, due_at=now)


def _targets(recipient: Recipient, channel: Channel) -> list[str]:
    match channel:
        case Channel.PUSH:
            return [device_id(device) for device in recipient.devices]
        case Channel.SMS:
            return [""] if recipient.phone else []
        case Channel.EMAIL:
            return [""] if recipient.email else []
        case _:
            return []


def about(kind: NotificationType, data: dict[str, Any]) -> str:
    """The id of what a notification is about: events that cancel or replace it name the same."""
    return make_id("about", kind.id, str(data[kind.about]))


def sameness(kind: NotificationType, data: dict[str, Any]) -> str:
    """The collapse key: two events with the same are one notification, and a newer push takes the older's place."""
    return make_id("same", kind.id, *(str(data[field]) for field in kind.same))


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
