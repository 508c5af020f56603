"""Bulkheads: a queue's batch is claimed when its first messages can go out, not while others keep all connections."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress


class Bulkhead:
    """Lets a batch in while fewer messages than its `capacity` are inside, however many it brings.

    One message at a time finds room nearly always; of batches of a hundred there are no more than keep the connections
    busy, and those that wait are rows that anybody may take.
    """

    def __init__(self, capacity: float) -> None:
        self._capacity = capacity
        self._inside = 0
        self._waiting = 0
        self._left = asyncio.Event()

    @property
    def has_room(self) -> bool:
        """Whether a batch that comes now would come in, and pass nobody who waits."""
        return not self._waiting and self._inside < self._capacity

    def squeeze_in(self, messages: int) -> None:
        """Admit a batch that this process has claimed already, without waiting; the caller must `leave`."""
        self._inside += messages

    def leave(self, messages: int) -> None:
        """Release the places of a batch."""
        self._inside -= messages
        self._left.set()

    @asynccontextmanager
    async def enter(self, messages: int) -> AsyncIterator[None]:
        """Wait for room, hold it for the block, and leave at the end."""
        self._waiting += 1
        try:
            while self._inside >= self._capacity:
                self._left.clear()
                await self._left.wait()
        finally:
            self._waiting -= 1
        self.squeeze_in(messages)
        try:
            yield
        finally:
            self.leave(messages)

    async def wait_for_room(self, seconds: float) -> None:
        """Wait until there is room, for so many seconds at most, without taking it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wait(lambda: self.has_room)

    async def wait_for_few(self, messages: int) -> None:
        """Wait until no more than so many messages are inside, and no batch waits."""
        await self._wait(lambda: not self._waiting and self._inside <= messages)

    async def _wait(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self._left.clear()
            await self._left.wait()
