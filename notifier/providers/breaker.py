"""A circuit breaker: a failing provider gets no messages for a while, then probes, and comes back.

    closed ── fails ──▶ open ── its rest is over ──▶ half-open ── probes pass ──▶ closed
                          ▲                              │
                          └───────── a probe fails ──────┘

Plain state in one process; nothing here waits. An opened breaker is told to the other processes, and opens theirs
(`notifier.providers.shared`); each then probes for itself.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Literal

from notifier.domain.clock import HOUR, SECOND, Clock

IN_A_ROW: Final = 10
"""Consecutive failures that open the breaker, however slowly they come."""
WINDOW: Final = 30 * SECOND
"""The window over which the share of failures is computed: its current half, and the half before while needed."""
LEAST: Final = 20
"""Outcomes within the window below which the share means nothing."""
SHARE: Final = 0.5
"""The share of failures that opens the breaker: at one in two, messages are better sent by another provider, or
later."""
RESTS: Final = {"unavailable": 5 * SECOND, "unknown": 10 * SECOND, "misconfigured": 60 * SECOND}
"""How long the breaker stays open, by the kind of failure that opened it. Short, since an alert waits up to that long
once the provider is back; longer where each probe may be a message sent twice, and where a person has to fix the
setup."""
PROBES: Final = 3
"""Probe messages let through after a rest. When all of them succeed, the breaker closes."""
PROBE_PAUSE: Final = SECOND
"""The delay of all other messages while the probes are under way."""
MAX_ASKED: Final = HOUR
"""The longest Retry-After that is followed: a date that is wrong by a year must not close a channel."""

Outcome = Literal["good", "neither", "unavailable", "unknown", "misconfigured"]
"""What a call's outcome tells about the provider: that it works, nothing, or how it fails."""


class BreakerState(IntEnum):
    """A circuit breaker's state, numbered as in the metric."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class Breaker:
    """The circuit breaker of one provider. Every call is begun and ended; `rest` says whether one may begin."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until = 0
        self._tripped = False
        self._closed_at = -HOUR
        self._epoch = 0  # a call that began in an earlier state says nothing about the current one
        self._change()

    @property
    def state(self) -> BreakerState:
        if self._until > self._clock.now():
            return BreakerState.OPEN
        return BreakerState.HALF_OPEN if self._tripped else BreakerState.CLOSED

    @property
    def up_for(self) -> int:
        """Milliseconds since the breaker closed; 0 while it is not closed."""
        return 0 if self._tripped else self._clock.now() - self._closed_at

    def rest(self) -> int:
        """Milliseconds until a call may begin; 0 if it may begin now."""
        left = self._until - self._clock.now()
        if left > 0:
            return left
        return PROBE_PAUSE if self._tripped and self._probes + self._passed >= PROBES else 0

    def begin(self) -> int:
        """A call begins; what to end it by."""
        if self._tripped:
            self._probes += 1
        return self._epoch

    def end(self, began: int, outcome: Outcome) -> int:
        """A call has ended; the milliseconds for which that opened the breaker, else 0."""
        if began != self._epoch:
            return 0
        if self._tripped:
            self._probes -= 1
        if outcome == "neither":
            return 0
        if outcome == "good":
            self._succeed()
            return 0
        self._in_a_row += 1
        self._window().bad += 1
        if self._tripped or self._fails():
            self.leave_alone(RESTS[outcome], tripped=True)
            return RESTS[outcome]
        return 0

    def leave_alone(self, milliseconds: int, *, tripped: bool) -> None:
        """Let no call begin for so long: a breaker has opened, here or elsewhere, or the provider asked for it."""
        self._until = max(self._until, self._clock.now() + milliseconds)
        if tripped:
            self._tripped = True
            self._change()

    def _succeed(self) -> None:
        self._in_a_row = 0
        self._window().good += 1
        if self._tripped:
            self._passed += 1
            if self._passed == PROBES:
                self._tripped = False
                self._closed_at = self._clock.now()
                self._change()

    def _change(self) -> None:
        self._epoch += 1
        self._probes = self._passed = self._in_a_row = 0
        self._half = self._half_before = _Half(self._clock.now())

    def _window(self) -> "_Half":
        """The half of the window that it is now; the half before counts as well."""
        now = self._clock.now()
        if now - self._half.began >= WINDOW // 2:
            self._half_before = self._half if now - self._half.began < WINDOW else _Half(now)
            self._half = _Half(now)
        return self._half

    def _fails(self) -> bool:
        halves = {self._half, self._half_before}
        bad = sum(half.bad for half in halves)
        calls = bad + sum(half.good for half in halves)
        return self._in_a_row >= IN_A_ROW or (calls >= LEAST and bad >= SHARE * calls)


@dataclass(slots=True, eq=False)
class _Half:
    """Counts of call outcomes since an instant: one half of the breaker's window."""

    began: int
    good: int = 0
    bad: int = 0
