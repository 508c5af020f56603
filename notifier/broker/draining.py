"""How a worker process ends: what is under way finishes, what was not begun is given back."""

import time
from typing import Final

import dramatiq

LAST: Final = 4_000
"""Milliseconds for the consumers, each of which waits for its queue for a second at a time, to end as well."""


def drain(worker: dramatiq.Worker, timeout: int) -> None:
    """Stop a worker, whose threads have so many milliseconds in all to finish what they are at, and then its consumers.

    Dramatiq's own stop takes all the time so far off what is left, and does so at every thread: of some tens of them it
    no longer waits for the last, whose batch is cut off with its messages on the wire. It is called when they have
    ended, or will not.
    """
    for thread in worker.workers:
        thread.stop()
    deadline = time.monotonic() + timeout / 1000
    for thread in worker.workers:
        thread.join(max(deadline - time.monotonic(), 0))
    worker.stop(timeout=LAST)
