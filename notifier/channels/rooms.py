"""Room for batches: a batch is claimed when its first messages can go out, not while others keep all connections."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Room:
    """Lets a batch in while fewer messages than `places` are inside, however many it brings.

    One message at a time finds room nearly always; of batches of a hundred there are no more than keep the connections
    busy, and those that wait are rows that anybody may take.
    """

    def __init__(self, places: float) -> None:
        self._places = places
        self._inside = 0
        self._waiting = 0
        self._left = asyncio.Event()

    def try_enter(self, messages: int) -> bool:
        """Let a batch in where there is room and nobody waits for it; whoever is in has to leave."""
        if self._waiting or self._inside >= self._places:
            return False
        self._inside += messages
        return True

    def leave(self, messages: int) -> None:
        """Make room again."""
        self._inside -= messages
        self._left.set()

    @asynccontextmanager
    async def enter(self, messages: int) -> AsyncIterator[None]:
        """Wait for room, and leave at the end."""
        self._waiting += 1
        try:
            while self._inside >= self._places:
                self._left.clear()
                await self._left.wait()
            self._inside += messages
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self.leave(messages)
