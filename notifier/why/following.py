"""What became of deliveries, told to whoever reported their events: states, reasons in words, codes and their meaning;
no address, no text, nothing that a person chose. Pure, from stored records."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from notifier.domain.campaigns import NEVER
from notifier.domain.catalog import Catalog
from notifier.domain.clock import to_datetime
from notifier.domain.deliveries import HeldChannel, State
from notifier.domain.twins import is_test, plain
from notifier.policy import phrases
from notifier.store.reading.explaining import Answered, DecisionRecord, Found
from notifier.store.reading.listing import DeliveryDossier, DigestState, ListedDelivery
from notifier.why.explain import UTC, EventState, event_view, gone, is_of, next_of, state_of, undecided
from notifier.why.telling import AttemptView, EventView, attempts, meaning


class EventReference(msgspec.Struct, frozen=True, kw_only=True):
    """An event: its `id` here, and how its source named it; `test` where a test key reported it."""

    id: str
    type: str
    test: bool
    source: str
    source_id: str


class AnswerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided for a channel: the state that its delivery began in, and `why` in words; `delivery` is that
    delivery, null where there is none."""

    channel: HeldChannel
    answer: State
    reason: str | None
    why: str
    due_at: datetime
    delivery: str | None


class DecisionStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What an event of a notification type meant for a person: what was decided for each channel, and what became of
    the deliveries. `recipient` is null where the event named nobody who is known."""

    type: str
    name: str
    recipient: str | None
    decided_at: datetime
    answers: list[AnswerStatus]
    deliveries: list["DeliveryStatus"]


class EventStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an event. `why_not` says why nothing was decided, `gone` what of it isn't kept any more; `next` is
    the cursor of the next page of decisions."""

    event: EventView
    state: EventState
    decisions: list[DecisionStatus]
    why_not: list[str]
    gone: list[str]
    next: str | None


class DigestStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the digest in which a delivery went out; `at` is when that last changed."""

    state: State
    reason: str | None
    why: str
    at: datetime


class _Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """What is told of a delivery, in a list and alone."""

    id: str
    event: EventReference
    type: str
    recipient: str | None
    channel: HeldChannel
    state: State
    reason: str | None
    why: str
    created_at: datetime
    at: datetime
    due_at: datetime | None
    code: str | None
    meaning: str | None
    digest: DigestStatus | None
    redrive_of: str | None


class DeliveryStatus(_Delivery, frozen=True, kw_only=True):
    """What became of a delivery, in a list: `attempts` is their number. `recipient` is null where the event named
    nobody who is known; `why` is the state and its reason in words, `at` when that last changed; `due_at` is when a
    pending delivery is to be sent, null while its campaign is paused; `code` is the provider's last code, with its
    `meaning`; `digest` is told of a delivery that goes out as part of one; `redrive_of` is the delivery that this one
    replaces."""

    attempts: int


class DeliveryHistory(_Delivery, frozen=True, kw_only=True):
    """What became of a delivery, as `DeliveryStatus` tells it, with each attempt at a provider; `redriven_as` is the
    delivery that replaced it."""

    attempts: list[AttemptView]
    redriven_as: str | None


def status(line: ListedDelivery, digest: DigestState | None) -> DeliveryStatus:
    """What became of a delivery, and of its digest where it has one."""
    return DeliveryStatus(**_told(line, digest), attempts=line.attempts)


def history(found: DeliveryDossier, digest: DigestState | None) -> DeliveryHistory:
    """What became of a delivery, with its attempts."""
    made = attempts(found.line.channel, found.tried)
    return DeliveryHistory(**_told(found.line, digest), attempts=made, redriven_as=found.redriven_as)


def _told(line: ListedDelivery, digest: DigestState | None) -> dict[str, Any]:
    event = EventReference(
        id=line.event_id, type=plain(line.event_type), test=is_test(line.event_type), source=line.source,
        source_id=line.source_id,
    )  # fmt: skip
    return {
        "id": line.id,
        "event": event,
        "type": plain(line.type),
        "recipient": line.recipient_id or None,
        "channel": line.channel,
        "state": line.state,
        "reason": line.reason,
        "why": phrases.state(line.state, line.reason),
        "created_at": to_datetime(line.created_at),
        "at": to_datetime(line.updated_at),
        "due_at": to_datetime(line.due_at) if line.state == State.PENDING and line.due_at < NEVER else None,
        "code": line.code,
        "meaning": meaning(line.channel, line.code),
        "digest": None if digest is None else _digest(digest),
        "redrive_of": line.redrive_of,
    }


def _digest(digest: DigestState) -> DigestStatus:
    return DigestStatus(
        state=digest.state, reason=digest.reason, why=phrases.state(digest.state, digest.reason),
        at=to_datetime(digest.updated_at),
    )  # fmt: skip


def event_status(catalog: Catalog, found: Found, digests: Mapping[str, DigestState]) -> EventStatus:
    """What became of an event: who was told, who wasn't and why, and of each delivery what came of it."""
    return EventStatus(
        event=event_view(found.event),
        state=state_of(found),
        decisions=[_decision(catalog, found, digests, made) for made in found.decisions],
        why_not=[] if found.decisions else undecided(catalog, found),
        gone=list(gone(found)),
        next=next_of(found),
    )


def _decision(
    catalog: Catalog, found: Found, digests: Mapping[str, DigestState], made: DecisionRecord
) -> DecisionStatus:
    kind = catalog.with_twins.get(made.type)
    own = [each for each in found.sent.values() if is_of(each, made, found.sent)]
    return DecisionStatus(
        type=plain(made.type),
        name=made.type if kind is None else kind.name,
        recipient=made.recipient_id or None,
        decided_at=to_datetime(made.decided_at),
        answers=[_answer(each, made) for each in made.answers],
        deliveries=[status(each, digests.get(each.digest_id or "")) for each in own],
    )


def _answer(answered: Answered, made: DecisionRecord) -> AnswerStatus:
    zone = UTC if made.standing is None else made.standing.zone
    return AnswerStatus(
        channel=answered.channel, answer=answered.answer, reason=answered.reason,
        why=phrases.answer(answered.answer, answered.reason, answered.due_at, made.decided_at, zone),
        due_at=to_datetime(answered.due_at), delivery=answered.delivery,
    )  # fmt: skip
