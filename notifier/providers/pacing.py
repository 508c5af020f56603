"""The pace of one provider: never more in a second than its rate, the urgent before the rest, and no wait for long.

Each message gets the next free moment, its slot. It waits for a slot that is near; one that is far is not taken, and
the message comes back later, as a row. The more urgent it is the longer it may wait, so that where there is a queue
the others are turned away first.

This is the generic cell rate algorithm (ITU-T I.371), in plain state. What all processes share has it too: Redis as a
script (`shared_in_redis`), the database as the two instants of a `Bucket`.
"""

from dataclasses import dataclass
from typing import Final

from notifier.domain.clock import MINUTE, SECOND
from notifier.domain.messages import Urgency

PATIENCE: Final[dict[Urgency, int]] = {"low": 500, "normal": 650, "high": 800, "urgent": SECOND}
"""The most milliseconds that a message waits for its slot: at least the clock's tick, since all rows due between two
ticks come at once; at most so long that the rest of the lease is left to the provider."""
BURST: Final = 50
"""Milliseconds' worth of the rate that may be sent at once after a pause: an event loop is sometimes that late."""
RAMP: Final = MINUTE
"""From a standstill to the full rate, as Google asks for (firebase.google.com/docs/cloud-messaging/scale-fcm)."""
RAMP_FROM: Final = 0.1
"""The share of the rate at the start of the ramp."""
RAMP_LEAST: Final = 50.0
"""Messages a second that need no ramp: few enough for any provider."""
IDLE: Final = MINUTE
"""A provider without a message for this long starts its ramp anew."""
AWAY: Final = 5 * MINUTE
"""The longest that a message is deferred: by then another provider may be available."""
OVERBOOKED: Final = 1.5
"""How many more messages than slots are called back: some are deferred again and some have ended, and no slot should
stay free."""
GOLDEN: Final = 0.6180339887498949
"""The step of a low-discrepancy sequence (the golden ratio's fraction): it spreads evenly however many there are."""
BACKLOG: Final = 500.0
"""Messages a second and process that return to a provider without a rate."""


def ramped(rate: float, elapsed: float) -> float:
    """The rate that a ramp allows so many milliseconds after a standstill."""
    return min(rate, max(rate * RAMP_FROM, RAMP_LEAST, rate * elapsed / RAMP))


@dataclass(slots=True, kw_only=True)
class Bucket:
    """Slots at a rate, in milliseconds: up to when they are `spoken_for`, and when traffic `began` after a standstill.
    It `ramps` where it is to begin slowly then."""

    ramps: bool
    spoken_for: float = 0.0
    began: float = 0.0

    def take(self, now: float, rate: float, cost: float, patience: float) -> tuple[bool, float]:
        """Whether there is a slot within `patience` for a message that counts `cost`, and the wait for the next one."""
        if self.ramps:
            if now - self.spoken_for > IDLE:
                self.began = now
            rate = ramped(rate, now - self.began)
        slot = max(self.spoken_for, now - BURST)
        wait = max(slot - now, 0.0)
        if wait > patience:
            return False, wait
        self.spoken_for = slot + cost * SECOND / rate
        return True, wait

    def ahead(self, now: float) -> float:
        """Milliseconds for which the rate is already used up."""
        return max(self.spoken_for - now, 0.0)

    def promise(self, until: float) -> None:
        """Record that slots up to an instant were given out outside this bucket."""
        self.spoken_for = max(self.spoken_for, until)


class Backlog:
    """Spreads what is sent away, so that it comes back at the rate and not all at once; the urgent among themselves."""

    def __init__(self) -> None:
        self._last: dict[Urgency, float] = {}
        self._turn = 0.0

    def come_back(self, now: float, wait: float, rate: float, cost: float, urgency: Urgency) -> float:
        """Milliseconds after which to come back, the next slot being `wait` away."""
        last = max(self._last.get(urgency, 0.0), now + wait)
        if last - now < AWAY:
            self._last[urgency] = last + cost * SECOND / (rate * OVERBOOKED)
            return last - now
        # More messages than slots until then: the wait is spread over that time, so that a free slot always finds a
        # message.
        self._turn = (self._turn + GOLDEN) % 1
        return wait + self._turn * max(AWAY - wait, 0.0)
