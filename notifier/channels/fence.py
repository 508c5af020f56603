"""The fence around a lease: a worker that stood still past its lease sends nothing more, whatever it was about to do.

A time-out alone doesn't see to that. A process that is stopped (SIGSTOP, a frozen machine) goes on in the middle of
what the event loop had begun, and what is about to be written is written before any timer is looked at.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from notifier.channels.providers import HELD
from notifier.errors import Unavailable

_ends: ContextVar[float] = ContextVar("lease_ends", default=math.inf)


@contextmanager
def leased(seconds: float) -> Iterator[None]:
    """Sends in here, and in tasks that begin in here, have so many seconds."""
    before = _ends.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _ends.reset(before)


def is_over() -> bool:
    """Whether the lease has ended; by a clock that goes on while a process stands still, as the loop's doesn't."""
    return time.monotonic() >= _ends.get()


def check(provider: str) -> None:
    """Raise Unavailable, which is not counted as a try, where the lease has ended.

    Transports call it where nothing waits any more between it and the last byte that makes the message the provider's.
    """
    if is_over():
        raise Unavailable(provider, "lease_ended", "the lease ran out before it was sent", retry_class=HELD)
