"""The fence around a lease: a worker that stood still past its lease sends nothing more, whatever it was about to do.

A time-out alone doesn't see to that. A process that is stopped (SIGSTOP, a frozen machine) goes on in the middle of
what the event loop had begun, and what is about to be written is written before any timer is looked at.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from notifier.domain.clock import elapsed
from notifier.domain.errors import Unavailable
from notifier.providers.codes import DEFERRED

BEGIN_WITHIN: Final = 5.0
"""Seconds of the lease within which a message must be handed to a provider, whatever it waited for and whichever
provider failed before; the rest of the lease is for that provider's answer. A message that takes longer goes back to
its row, unsent."""


class Lease:
    """A lease as whoever sends under it sees it: from when, by the loop's time, and until when, by `clock.elapsed`.

    It is extended when it is renewed.
    """

    __slots__ = ("began", "ends")

    def __init__(self, began: float, ends: float) -> None:
        self.began = began
        self.ends = ends

    @property
    def is_over(self) -> bool:
        """By the clock as it is now: the loop's is that of when it last woke up."""
        return elapsed() >= self.ends


_lease: ContextVar[Lease | None] = ContextVar("lease", default=None)


@contextmanager
def leased(seconds: float) -> Iterator[Lease]:
    """Sends in here, and in tasks that begin in here, have so many seconds."""
    lease = Lease(time.monotonic(), elapsed() + seconds)
    before = _lease.set(lease)
    try:
        yield lease
    finally:
        _lease.reset(before)


def keep_to(lease: Lease) -> None:
    """From here on what this task sends, and tasks that it begins, has this lease."""
    _lease.set(lease)


def begin_by() -> float:
    """The loop's time by which a message of this lease must be with its provider: as if it began now where there is
    none."""
    lease = _lease.get()
    return (time.monotonic() if lease is None else lease.began) + BEGIN_WITHIN


def is_over() -> bool:
    """Whether the lease has ended."""
    lease = _lease.get()
    return lease is not None and lease.is_over


def check(provider: str) -> None:
    """Raise Unavailable, which is not counted as a try, where the lease has ended.

    Transports call it where nothing waits any more between it and the last byte that makes the message the provider's.
    """
    if is_over():
        raise Unavailable(
            provider,
            "lease_ended",
            "the lease ran out before the message was sent",
            retry_class=DEFERRED,
            about="ourselves",
        )
