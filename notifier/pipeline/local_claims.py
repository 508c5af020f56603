"""Local claims: deliveries that the deciding worker sends itself are written as claimed, with no second read. Pure.

A claim a moment later would return what the decision has just read, in one transaction with the rows it writes.
"""

from collections.abc import Iterable, Mapping
from itertools import chain

import msgspec

from notifier.domain import channels
from notifier.domain.catalog import Catalog
from notifier.domain.channels import Reach
from notifier.domain.deliveries import State
from notifier.domain.events import Event
from notifier.domain.recipients import Recipient, device_id
from notifier.pipeline.claim_batcher import Claim
from notifier.pipeline.local_dispatcher import Queue
from notifier.pipeline.signalling import is_immediate
from notifier.store.delivery.deliveries import NewDelivery, Ready
from notifier.store.delivery.supersessions import Supersession

LocalClaims = Mapping[Queue, list[Claim]]
"""The deliveries of a decision that this process sends itself, by queue, each queue's under one lease."""


def due_immediately(catalog: Catalog, planned: Iterable[NewDelivery], now: int) -> dict[Queue, list[NewDelivery]]:
    """Deliveries that go out as soon as they are decided, by queue. Fallback steps have to check the earlier ones
    first."""
    queues: dict[Queue, list[NewDelivery]] = {}
    for each in planned:
        if is_immediate(catalog, each, now) and not each.step:
            queues.setdefault((each.channel, each.lane), []).append(each)
    return queues


def claim_locally(
    chosen: Mapping[Queue, list[NewDelivery]], batch: Iterable[Event], members: Mapping[str, list[Recipient]],
    marks: Mapping[str, Supersession], tokens: Mapping[Queue, str], ends_at: int,
) -> LocalClaims:  # fmt: skip
    """The chosen deliveries as claims under their queue's token until the lease ends, with everything needed to send
    them."""
    events = {event.id: event for event in batch}
    people = {person.id: person for person in chain.from_iterable(members.values())}
    return {
        queue: [
            Claim(
                tokens[queue],
                ends_at,
                _ready(each, events[each.event_id], people[each.recipient_id], marks.get(each.subject_key)),
                together=True,
            )
            for each in deliveries
        ]
        for queue, deliveries in chosen.items()
    }


def write_as_claimed(planned: Iterable[NewDelivery], taken: LocalClaims) -> list[NewDelivery]:
    """The planned rows, with locally claimed ones in the state that a claim would leave them in."""
    held = {each.ready.id: each for each in chain.from_iterable(taken.values())}
    return [
        msgspec.structs.replace(each, state=State.SENDING, lease_token=own.token, next_check_at=own.ends_at, attempts=1)
        if (own := held.get(each.id)) is not None
        else each
        for each in planned
    ]


def _ready(delivery: NewDelivery, event: Event, person: Recipient, supersession: Supersession | None) -> Ready:
    spec = channels.spec(delivery.channel)
    device = None
    if spec.per_device:
        device = next((each for each in person.devices if device_id(each) == delivery.target), None)
    return Ready(
        id=delivery.id, event_id=event.id, recipient_id=person.id, type=delivery.type, channel=delivery.channel,
        lane=delivery.lane, target=delivery.target, subject_key=delivery.subject_key, created_at=delivery.created_at,
        expires_at=delivery.expires_at, redrive_of=None, variant=delivery.variant, attempts=0, crashes=0,
        occurred_at=event.occurred_at, accepted_at=event.accepted_at, data=event.data, facts=person.facts,
        reach=Reach(name=person.name, email=person.email, phone=person.phone, device=device, own=person.own),
        address_key=None if spec.key is None else getattr(person, f"{spec.key}_key"),
        supersession=supersession, reached=False, told=True, digest_items=None,
        traces=() if event.trace is None else (event.trace,),
    )  # fmt: skip
