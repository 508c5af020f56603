"""Local dispatch: a worker process sends deliveries that it decides itself, as far as it has room, without signal or
claim."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from time import monotonic, process_time
from types import MappingProxyType
from typing import Any, Final

import structlog

from notifier import metrics
from notifier.broker import LANES
from notifier.broker.signals import IDS_A_MESSAGE
from notifier.domain.deliveries import Channel, Lane
from notifier.providers.bulkheads import Bulkhead

MOST_BEGUN: Final = 8
"""Concurrent batches of one queue without a signal, for channels that are limited by a rate and not by connections."""
AHEAD: Final = 0.5
"""The most seconds that a decision waits for a free slot: the time of a batch of each channel on two busy cores."""
LOOK: Final = 0.05
"""Seconds between two checks whether the process is busy: a few of the scheduler's time slices."""
BUSY: Final = 0.2
"""The share of a core above which a process is busy: in a burst it uses two thirds, and almost nothing while it waits
for answers."""

FEW: Final = 25
"""Messages of one queue that keep no other waiting for long."""

log = structlog.get_logger(__name__)
Queue = tuple[Channel, Lane]
NOWHERE: Final[Mapping[Queue, Bulkhead]] = MappingProxyType({})


class LocalDispatcher:
    """The bulkheads of the queues that this process serves, and the batches that it started without a signal.

    `spent` is how many seconds of CPU the process has used so far.
    """

    def __init__(
        self, bulkheads: Mapping[Queue, Bulkhead] = NOWHERE, spent: Callable[[], float] = process_time
    ) -> None:
        self._bulkheads = bulkheads
        self._spent = spent
        self._begun: dict[Queue, set[asyncio.Task[None]]] = {queue: set() for queue in bulkheads}
        self._lingering: set[asyncio.Task[None]] = set()
        self._closed = False

    def takes(self, queue: Queue, wanted: int) -> int:
        """How many of a queue's deliveries this process takes now; the others go through the broker."""
        bulkhead = self._bulkheads.get(queue)
        if self._closed or bulkhead is None or not bulkhead.has_room or len(self._begun[queue]) >= MOST_BEGUN:
            return 0
        return min(wanted, IDS_A_MESSAGE)  # a batch of a signal's size: other processes may have room for the rest

    def begin(self, queue: Queue, messages: int, work: Coroutine[Any, Any, object]) -> None:
        """Start work on a batch of local claims, in its bulkhead."""
        self._bulkheads[queue].squeeze_in(messages)
        task = asyncio.create_task(self._run(queue, messages, work))
        self._begun[queue].add(task)
        task.add_done_callback(self._begun[queue].discard)

    async def catch_up(self) -> None:
        """Wait for room while this process is busy, at most `AHEAD`: deliveries decided without room are rows that
        somebody has to claim. A process that isn't busy waits for providers, and other queues must not wait for those.
        """
        until = monotonic() + AHEAD
        while full := [each for each in self._bulkheads.values() if not each.has_room]:
            began, spent = monotonic(), self._spent()
            await full[0].wait_for_room(LOOK)
            if monotonic() > until or self._spent() - spent < BUSY * (monotonic() - began):
                return

    async def wind_down(self) -> None:
        """Wait until hardly any message of any queue is in hand: what comes behind all others is not decided before."""
        for each in self._bulkheads.values():
            await each.wait_for_few(FEW)

    def let_linger(self, queue: Queue, sending: asyncio.Task[None]) -> None:
        """Track to its end a batch that only waits for slow answers, and so takes nobody's room."""
        task = asyncio.create_task(self._see_to(queue, sending))
        self._lingering.add(task)
        task.add_done_callback(self._lingering.discard)

    async def close(self) -> None:
        """Take no more deliveries, and wait for the batches started here."""
        self._closed = True
        while under_way := [*self._lingering, *(task for begun in self._begun.values() for task in begun)]:
            await asyncio.wait(under_way)

    async def _run(self, queue: Queue, messages: int, work: Coroutine[Any, Any, object]) -> None:
        try:
            await self._see_to(queue, work)
        finally:
            self._bulkheads[queue].leave(messages)

    async def _see_to(self, queue: Queue, work: Awaitable[object]) -> None:
        try:
            await work
        except Exception as error:
            # As for a failed signal: the rows exist, and the clock finds them when their lease ends.
            metrics.messages_failed.labels(LANES[queue]).inc()
            log.error("deliver.failed", queue=LANES[queue], exc_info=error)
