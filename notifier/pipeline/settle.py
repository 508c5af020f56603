"""Settle: what the outcome of an attempt makes of a delivery. Pure; `deliver` writes the answers, a batch at a time."""

from dataclasses import dataclass
from random import Random
from typing import Final

import msgspec

from notifier.clock import MINUTE, SECOND
from notifier.deliveries import Channel, Reason, State
from notifier.errors import AddressGone, Misconfigured, OptedOut, OutcomeUnknown, SendError
from notifier.messages import Receipt
from notifier.store.deliveries import Attempt, Ready, Settled


class Ended(msgspec.Struct, frozen=True):
    """Looked at again just before the wire, the delivery was not to be sent."""

    state: State
    reason: str


@dataclass(frozen=True)
class Backoff:
    """Pauses between tries, in milliseconds: `first`, doubled each time up to `most`, between half and all of it by
    chance.
    """

    first: int
    most: int

    def pause(self, tries: int, random: Random) -> int:
        whole = min(self.first * 2 ** (tries - 1), self.most)
        return random.randint(whole // 2, whole)


BACKOFF: Final = {
    Channel.PUSH: Backoff(20 * SECOND, 10 * MINUTE),  # Google asks for at least 10 s before the first retry
    Channel.SMS: Backoff(5 * SECOND, 5 * MINUTE),
    Channel.EMAIL: Backoff(30 * SECOND, 30 * MINUTE),
}
MISCONFIGURED: Final = Backoff(2 * MINUTE, 30 * MINUTE)  # a person has to mend it; meanwhile don't hammer the provider
MAX_ATTEMPTS: Final = 30  # with the pauses above more than a day; the time to live ends most deliveries long before


def settle(ready: Ready, outcome: Receipt | SendError | Ended, locale: str | None, now: int, random: Random) -> Settled:
    """The delivery's next state, and when it is due again where it is to be tried again."""
    provider = reference = None
    due_at, signal_at = now, None
    match outcome:
        case Receipt():
            state, reason = State.SENT, None
            provider, reference = outcome.provider, outcome.reference
        case Ended():
            state, reason = outcome.state, outcome.reason
        case OutcomeUnknown():
            state, reason, provider = State.UNKNOWN, outcome.kind, outcome.provider
            signal_at = now + _pause(ready, outcome, random)
        case OptedOut():
            state, reason, provider = State.SUPPRESSED, outcome.kind, outcome.provider
        case SendError() if not outcome.retry:
            state, reason, provider = State.FAILED, outcome.kind, outcome.provider
        case SendError() if ready.attempts + 1 >= MAX_ATTEMPTS:
            state, reason, provider = State.FAILED, Reason.ATTEMPTS_EXHAUSTED.value, outcome.provider
        case SendError():
            state, reason, provider = State.PENDING, outcome.kind, outcome.provider
            due_at = signal_at = now + _pause(ready, outcome, random)
            if due_at >= ready.expires_at:
                # It could only be sent when it is of no use any more: say so now.
                state, due_at, signal_at = State.EXPIRED, now, None
    return Settled(
        id=ready.id, state=state, reason=reason, due_at=due_at, signal_at=signal_at, provider=provider,
        provider_reference=reference, locale=locale,
    )  # fmt: skip


def attempt(ready: Ready, outcome: Receipt | SendError, started_at: int, ended_at: int) -> Attempt:
    """The record of one try at a provider."""
    kind, code = (outcome.kind, outcome.code) if isinstance(outcome, SendError) else (State.SENT.value, None)
    return Attempt(
        delivery_id=ready.id, number=ready.attempts + 1, started_at=started_at, ended_at=ended_at,
        provider=outcome.provider,
        outcome=kind, code=code,
    )  # fmt: skip


def lost_device(ready: Ready, outcome: Receipt | SendError | Ended) -> str | None:
    """The device to forget: the one that push's provider says is no more."""
    return ready.target if ready.channel == Channel.PUSH and isinstance(outcome, AddressGone) else None


def _pause(ready: Ready, error: SendError, random: Random) -> int:
    backoff = MISCONFIGURED if isinstance(error, Misconfigured) else BACKOFF[ready.channel]
    asked = round((error.retry_after or 0) * 1000)
    return max(backoff.pause(ready.attempts + 1, random), asked)
