"""Settle: the next state of a delivery by the outcome of its attempt. Pure; `deliver` writes the answers in batches."""

from random import Random
from typing import Final

import msgspec

from notifier.domain import channels
from notifier.domain.deliveries import Reason, State
from notifier.domain.effects import Effect, What, hour_of
from notifier.domain.errors import AddressGone, OptedOut, OutcomeUnknown, SendError
from notifier.domain.messages import Receipt
from notifier.domain.twins import is_test
from notifier.providers.codes import suppresses
from notifier.providers.retries import Retry
from notifier.providers.spec import retries
from notifier.store.delivery.deliveries import Ready
from notifier.store.delivery.leases import Attempt, Settled
from notifier.store.people.addresses import Gone
from notifier.store.people.suppressions import Suppression


class Unsent(msgspec.Struct, frozen=True):
    """The outcome of a delivery that the last check stopped before sending: for good, or until `due_at`."""

    state: State
    reason: str
    due_at: int | None = None


class RenderRecord(msgspec.Struct, frozen=True):
    """What explains a message's words later: the locale and zone they were rendered for, the texts' version, and their
    hash."""

    locale: str | None = None
    time_zone: str | None = None
    content_hash: str | None = None
    version: int | None = None


NOT_RENDERED: Final = RenderRecord()
"""The render record of a delivery that ended before it was rendered."""


def settle(
    ready: Ready, token: str, outcome: Receipt | SendError | Unsent, words: RenderRecord, now: int, random: Random, *,
    together: bool = False,
) -> Settled:  # fmt: skip
    """The next state of a delivery held under a token (of a batch lease, where `together`), and its due time where it
    is to be retried."""
    provider = reference = None
    due_at, next_check_at = now, None
    match outcome:
        case Receipt():
            state, reason = outcome.state, None
            provider, reference = outcome.provider, outcome.reference
        case Unsent():
            state, reason = outcome.state, outcome.reason
            if outcome.due_at is not None:
                due_at = next_check_at = outcome.due_at
        case OutcomeUnknown():
            state, reason, provider = State.UNKNOWN, outcome.kind, outcome.provider
            if retry_of(ready, outcome).exhausted(ready.attempts + 1):
                reason = Reason.ATTEMPTS_EXHAUSTED.value
            else:
                next_check_at = now + _pause(ready, outcome, random)
        case OptedOut():
            state, reason, provider = State.SUPPRESSED, outcome.kind, outcome.provider
        case SendError() if not outcome.retry:
            state, reason, provider = State.FAILED, outcome.kind, outcome.provider
        case SendError() if retry_of(ready, outcome).exhausted(ready.attempts + 1):
            state, reason, provider = State.FAILED, Reason.ATTEMPTS_EXHAUSTED.value, outcome.provider
        case SendError():
            state, reason, provider = State.PENDING, outcome.kind, outcome.provider
            due_at = next_check_at = now + _pause(ready, outcome, random)
            if due_at >= ready.expires_at:
                # The retry would come after the message expires: it expires now.
                state, due_at, next_check_at = State.EXPIRED, now, None
    return Settled(
        id=ready.id, recipient_id=ready.recipient_id, channel=ready.channel,
        crashes=ready.crashes, lease_token=token, together=together, state=state, reason=reason,
        code=outcome.code if isinstance(outcome, SendError) else None,
        due_at=due_at, next_check_at=next_check_at, attempts=ready.attempts + was_tried(ready, outcome),
        provider=provider, provider_reference=reference, locale=words.locale, time_zone=words.time_zone,
        content_hash=words.content_hash, version=words.version,
    )  # fmt: skip


def retry_of(ready: Ready, error: SendError) -> Retry:
    """The rules by which a delivery is retried after an error, by its channel and the error's class."""
    return retries(ready.channel)[error.retry_class]


def was_tried(ready: Ready, outcome: Receipt | SendError | Unsent) -> bool:
    """Whether a provider was asked to take the message: not where the delivery ended before, or was held back by the
    rate or a resting provider."""
    return isinstance(outcome, Receipt) or (
        isinstance(outcome, SendError) and (not outcome.retry or retry_of(ready, outcome).attempts is not None)
    )


def attempt(ready: Ready, outcome: Receipt | SendError, started_at: int, ended_at: int) -> Attempt:
    """The record of one attempt at a provider."""
    kind, code = (outcome.kind, outcome.code) if isinstance(outcome, SendError) else (State.SENT.value, None)
    return Attempt(
        delivery_id=ready.id, number=ready.attempts + 1, started_at=started_at, ended_at=ended_at,
        provider=outcome.provider,
        outcome=kind, code=code,
    )  # fmt: skip


def paid(
    ready: Ready, outcome: Receipt | SendError | Unsent, words: RenderRecord, segments: int | None
) -> Effect | None:
    """What a message is paid by that a provider has taken: so many `segments`; None where nothing is paid, as for a
    test."""
    if segments is None or not isinstance(outcome, Receipt) or is_test(ready.type):
        return None
    return Effect(
        hour=hour_of(ready.created_at), type=ready.type, channel=ready.channel, locale=words.locale or "",
        variant=ready.variant or "", what=What.SEGMENTS, after=segments, number=segments,
    )  # fmt: skip


def lost_address(ready: Ready, outcome: Receipt | SendError | Unsent) -> Gone | None:
    """The address to forget: one that its provider reports as gone, on a channel without suppressions. What stands in
    for a provider in tests knows nothing of addresses."""
    if not isinstance(outcome, AddressGone) or is_test(ready.type):
        return None
    spec = channels.spec(ready.channel)
    if spec.key is not None:
        return None
    return Gone(
        channel=ready.channel, recipient_id=ready.recipient_id, device_id=ready.target if spec.per_device else None,
        own=ready.reach.own.get(ready.channel),
    )  # fmt: skip


def bad_address(ready: Ready, outcome: Receipt | SendError | Unsent) -> Suppression | None:
    """The number or mailbox to suppress: one that its provider reports as gone or unwilling; none by a test."""
    if not isinstance(outcome, SendError) or is_test(ready.type):
        return None
    reason = suppresses(ready.channel, outcome)
    return None if reason is None or ready.address_key is None else Suppression(ready.address_key, reason)


def _pause(ready: Ready, error: SendError, random: Random) -> int:
    return retry_of(ready, error).pause(ready.attempts + 1, error.retry_after, random)
