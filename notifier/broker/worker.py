"""Dramatiq's worker: how its threads wait, and how it ends: what is under way finishes, what was not begun is given
back."""

import time
from collections.abc import Collection
from queue import Empty, PriorityQueue
from typing import Any, Final

import dramatiq

WAIT: Final = 2_000
"""Milliseconds that a consumer waits for its queue at a time: well below the broker's time-out for any answer."""
LAST: Final = 2 * WAIT
"""Milliseconds for the consumers to end, each of which may have begun to wait just now."""


class Work(PriorityQueue[Any]):
    """The messages that a worker's threads have yet to begin; they sleep while there are none, until it is closed.

    Dramatiq's threads wake up once a second: of tens of them it is a third of what a process costs that does nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self._closed = False

    def get(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: ARG002
        """The next message; Empty where it is closed, or where there is none and the caller doesn't wait."""
        if not block:
            return super().get(block=False)
        with self.not_empty:
            self.not_empty.wait_for(lambda: self._closed or self._qsize())
            if self._closed:
                raise Empty
            return self._get()

    def close(self) -> None:
        """Let those that wait go on."""
        with self.mutex:
            self._closed = True
            self.not_empty.notify_all()


class Worker(dramatiq.Worker):
    """A worker that holds so many messages of each queue, and has a thread for every one of them."""

    def __init__(self, broker: dramatiq.Broker, queues: Collection[str], batches: int) -> None:
        super().__init__(broker, queues=set(queues), worker_threads=batches * len(queues), worker_timeout=WAIT)
        self.queue_prefetch = batches
        self.work_queue = self._work = Work()

    def drain(self, timeout: int) -> None:
        """Stop, with so many milliseconds in all for what is under way to finish, and then the consumers.

        Dramatiq's own stop takes all the time so far off what is left, and does so at every thread: of some tens of
        them it no longer waits for the last, whose batch is cut off with its messages on the wire. It is called when
        they have ended, or will not.
        """
        for thread in self.workers:
            thread.stop()
        self._work.close()
        deadline = time.monotonic() + timeout / 1000
        for thread in self.workers:
            thread.join(max(deadline - time.monotonic(), 0))
        self.stop(timeout=LAST)
