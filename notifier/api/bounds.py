"""The bounds of an API key: the sources and event types that it may report, and its events per second."""

import math
from typing import Final

from notifier.domain.clock import SECOND
from notifier.domain.cloudevents import CheckedEvent
from notifier.domain.errors import Problem
from notifier.domain.keys import ApiKey
from notifier.domain.problems import problem
from notifier.providers.shared import Shared

BURST: Final = SECOND
"""Milliseconds' worth of its rate that a key may be ahead; the batch that exceeds it is still accepted whole."""


def within_bounds(key: ApiKey, candidate: CheckedEvent | Problem) -> CheckedEvent | Problem:
    """Return the event where the key may report it; raises Problem 40303 where it may not."""
    if isinstance(candidate, Problem):
        return candidate
    if not key.reports_as(candidate.source):
        return problem(40303, f"the key {key.id} is not bound to this source", "/source")
    return candidate if key.reports_of(candidate.type) else _not_of(key, candidate.type)


def check_type(key: ApiKey, event_type: str, pointer: str = "/type") -> None:
    """Raise Problem 40303 where the key may not report, and so may not stop, events of this type."""
    if not key.reports_of(event_type):
        raise _not_of(key, event_type, pointer)


def check_source(key: ApiKey, source: str) -> None:
    """Raise Problem 40303 where the key may not report, and so may not stop, events of this source."""
    if not key.reports_as(source):
        raise problem(40303, f"the key {key.id} is not bound to this source", "/event/source")


def _not_of(key: ApiKey, event_type: str, pointer: str = "/type") -> Problem:
    return problem(40303, f"the key {key.id} is not bound to the event type {event_type}", pointer)


class Rates:
    """Limits the events per second of each API key, counted across all web processes.

    While the shared counter doesn't answer, events are accepted: losing them would be worse than exceeding the limit.
    """

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    async def admit(self, key: ApiKey, events: int) -> None:
        """Count events of a key; raises Problem 42901 with `retry_after` where the key is over its limit."""
        if key.rate is None or not events:
            return
        taken = await self._shared.take(f"key:{key.id}", key.rate, False, 0, [(events, BURST)])
        if taken is not None and taken.waits[0] < 0:
            wait = math.ceil((-taken.waits[0] - BURST) / SECOND)
            raise problem(42901, f"the key {key.id} may report {key.rate:g} events a second", retry_after=max(wait, 1))

    async def close(self) -> None:
        await self._shared.close()
