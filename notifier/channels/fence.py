"""The fence around a lease: a worker that stood still past its lease sends nothing more, whatever it was about to do.

A time-out alone doesn't see to that. A process that is stopped (SIGSTOP, a frozen machine) goes on in the middle of
what the event loop had begun, and what is about to be written is written before any timer is looked at.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

from notifier.channels.providers import HELD
from notifier.errors import Unavailable

_ends: ContextVar[float] = ContextVar("lease_ends", default=math.inf)


@asynccontextmanager
async def leased(seconds: float) -> AsyncIterator[None]:
    """Sends in here have so many seconds, TimeoutError after that."""
    before = _ends.set(time.monotonic() + seconds)
    try:
        async with asyncio.timeout(seconds):
            yield
    finally:
        _ends.reset(before)


def check(provider: str) -> None:
    """Raise Unavailable, which is not counted as a try, where the lease has ended.

    Transports call it where nothing waits any more between it and the last byte that makes the message the provider's.
    """
    if time.monotonic() >= _ends.get():  # not the loop's time, which stood still as well
        raise Unavailable(provider, "lease_ended", "the lease ran out before it was sent", retry_class=HELD)
