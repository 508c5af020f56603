"""Dramatiq's worker: how its threads wait, and how it stops: batches under way finish, and messages not begun are
returned."""

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from queue import Empty, PriorityQueue
from threading import Thread
from typing import Any, Final, Protocol, cast

import dramatiq
import structlog
from dramatiq.broker import MessageProxy
from dramatiq.errors import BrokerConnectionError

WAIT: Final = 2_000
"""Milliseconds that a consumer waits for its queue at a time: well below the broker's time-out for any answer."""
LAST: Final = 2 * WAIT
"""Milliseconds for all consumers to end; each may just have begun a wait."""
HELD_PAUSE: Final = 0.1
"""Seconds between two checks of a consumer that takes no more messages whether it has to end."""

log = structlog.get_logger(__name__)


class Work(PriorityQueue[Any]):
    """The messages that a worker's threads have yet to begin; threads sleep while there are none, until it is closed.

    Dramatiq's threads wake up once a second: of tens of them it is a third of what a process costs that does nothing.
    """

    def __init__(self, late: Callable[[], object]) -> None:
        super().__init__()
        self._late = late
        self._closed = False

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Add a message; what is added when it is closed, by a consumer that was just handing it over, is told of by
        `late`, in the caller's thread: no thread takes it any more."""
        super().put(item, block, timeout)
        if self._closed:
            self._late()

    def get(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: ARG002
        """The next message; raises Empty where the queue is closed, or where it is empty and the caller
        doesn't wait."""
        if not block:
            return super().get(block=False)
        with self.not_empty:
            self.not_empty.wait_for(lambda: self._closed or self._qsize())
            if self._closed:
                raise Empty
            return self._get()

    def rest(self) -> Iterator[MessageProxy]:
        """Remove all messages, without waiting."""
        with suppress(Empty):
            while True:
                yield self.get(block=False).message

    def close(self) -> None:
        """Wake the waiting threads."""
        with self.mutex:
            self._closed = True
            self.not_empty.notify_all()


class PausableConsumer(Protocol):
    """A consumer that can be told to take no more messages."""

    def hold(self) -> None: ...


class Worker(dramatiq.Worker):
    """A worker with a limit of messages per queue, and as many threads for it.

    Its broker's consumers are `PausableConsumer`.
    """

    def __init__(self, broker: dramatiq.Broker, queues: Collection[str], batches: int) -> None:
        super().__init__(broker, queues=set(queues), worker_threads=batches * len(queues), worker_timeout=WAIT)
        self.queue_prefetch = batches
        self.work_queue = self._work = Work(late=self._give_back)

    def drain(self, timeout: int) -> None:
        """Stop: take no more, give back at once what was not begun, and let what is under way finish, for so many
        milliseconds in all.

        Dramatiq's own stop goes on taking messages until the last batch has ended, and takes all the time so far off
        what is left, at every thread: of some tens of them it no longer waits for the last, whose batch is cut off with
        its messages on the wire. It is called when they have ended, or will not.
        """
        for thread in self.workers:
            thread.stop()
        self._work.close()
        for consumer in self.consumers.values():
            if consumer.consumer is not None:
                cast("PausableConsumer", consumer.consumer).hold()
        self._give_back()
        _join(self.workers, timeout)
        for consumer in self.consumers.values():
            consumer.stop()
        _join(self.consumers.values(), LAST)
        self.stop(timeout=0)

    def _give_back(self) -> None:
        waiting: dict[str, list[MessageProxy]] = defaultdict(list)
        for message in self._work.rest():
            waiting[message.queue_name].append(message)
        for queue, messages in waiting.items():
            try:
                self.consumers[queue].requeue_messages(messages)
            except BrokerConnectionError as error:  # the clock signals those rows again
                log.warning("worker.not_given_back", queue=queue, messages=len(messages), error=type(error).__name__)


def _join(threads: Iterable[Thread], timeout: int) -> None:
    """Wait for all of them, so many milliseconds in all."""
    deadline = time.monotonic() + timeout / 1000
    for thread in threads:
        thread.join(max(deadline - time.monotonic(), 0))
