"""Signals that need not travel: what a worker process has decided it begins to deliver itself, where it has room."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import dramatiq
import structlog

from notifier import metrics
from notifier.broker import LANES
from notifier.broker.signals import IDS_A_MESSAGE, Signals
from notifier.channels.rooms import Room
from notifier.deliveries import Channel, Lane

MOST_BEGUN = 8  # batches of one queue under way here that no signal came for: other processes may have more room

log = structlog.get_logger(__name__)
Queue = tuple[Channel, Lane]


class Nearby(Signals):
    """Hands deliveries to `deliver` in this process, for the queues that it serves and while their rooms take them;
    all else goes to the broker.

    A process that ends takes with it no more than a signal: the rows are pending until they are claimed, and the clock
    signals them again.
    """

    def __init__(
        self, broker: dramatiq.Broker, rooms: Mapping[Queue, Room],
        deliver: Callable[[Channel, Sequence[str]], Awaitable[object]],
    ) -> None:  # fmt: skip
        super().__init__(broker)
        self._rooms = rooms
        self._deliver = deliver
        self._begun: dict[Queue, set[asyncio.Task[None]]] = {queue: set() for queue in rooms}

    async def deliver(self, ids_by_queue: Mapping[Queue, Sequence[str]], *, alone: bool = False) -> None:
        if alone:
            return await super().deliver(ids_by_queue, alone=True)
        return await super().deliver({queue: self._begin(queue, ids) for queue, ids in ids_by_queue.items()})

    async def close(self) -> None:
        """Let what was begun here end, then the last signals go."""
        self._rooms = {}
        await asyncio.gather(*(task for tasks in self._begun.values() for task in tasks))
        await super().close()

    def _begin(self, queue: Queue, ids: Sequence[str]) -> Sequence[str]:
        """Begin to deliver as many of these as there is room for; the others."""
        room = self._rooms.get(queue)
        if room is None:
            return ids
        begun = self._begun[queue]
        for first in range(0, len(ids), IDS_A_MESSAGE):
            part = ids[first : first + IDS_A_MESSAGE]
            if len(begun) >= MOST_BEGUN or not room.try_enter(len(part)):
                return ids[first:]
            task = asyncio.create_task(self._hand_over(queue, room, part))
            begun.add(task)
            task.add_done_callback(begun.discard)
        return []

    async def _hand_over(self, queue: Queue, room: Room, ids: Sequence[str]) -> None:
        try:
            await self._deliver(queue[0], ids)
        except Exception as error:
            # As where a message's work fails: the rows are there, and the clock signals them again.
            metrics.messages_failed.labels(LANES[queue]).inc()
            log.error("deliver.failed", queue=LANES[queue], exc_info=error)
        finally:
            room.leave(len(ids))
