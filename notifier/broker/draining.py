"""How a worker process ends: what is under way finishes, what was not begun is given back."""

import time

import dramatiq


def drain(worker: dramatiq.Worker, timeout: int) -> None:
    """Stop a worker, whose threads have so many milliseconds in all to finish what they are at.

    Dramatiq's own stop takes all the time so far off what is left, and does so at every thread: of some tens of them it
    no longer waits for the last, whose batch is cut off with its messages on the wire. It is called when they have
    ended.
    """
    for thread in worker.workers:
        thread.stop()
    deadline = time.monotonic() + timeout / 1000
    for thread in worker.workers:
        thread.join(max(deadline - time.monotonic(), 0))
    worker.stop(timeout=timeout)
