"""The fence around a lease: a worker that stood still past its lease sends nothing more, whatever it was about to do.

A time-out alone doesn't see to that. A process that is stopped (SIGSTOP, a frozen machine) goes on in the middle of
what the event loop had begun, and what is about to be written is written before any timer is looked at.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

from notifier.channels.codes import HELD
from notifier.errors import Unavailable


class _Lease(NamedTuple):
    began: float
    ends: float


_lease: ContextVar[_Lease | None] = ContextVar("lease", default=None)


@contextmanager
def leased(seconds: float) -> Iterator[None]:
    """Sends in here, and in tasks that begin in here, have so many seconds."""
    now = time.monotonic()
    before = _lease.set(_Lease(now, now + seconds))
    try:
        yield
    finally:
        _lease.reset(before)


def began() -> float:
    """When the sends of this lease began, by the loop's clock; now where there is none."""
    lease = _lease.get()
    return time.monotonic() if lease is None else lease.began


def is_over() -> bool:
    """Whether the lease has ended; by a clock that goes on while a process stands still, as the loop's doesn't."""
    lease = _lease.get()
    return lease is not None and time.monotonic() >= lease.ends


def check(provider: str) -> None:
    """Raise Unavailable, which is not counted as a try, where the lease has ended.

    Transports call it where nothing waits any more between it and the last byte that makes the message the provider's.
    """
    if is_over():
        raise Unavailable(provider, "lease_ended", "the lease ran out before it was sent", retry_class=HELD)
