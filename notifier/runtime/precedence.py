"""Work that goes first, and work that waits until none of the first is in hand."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Precedence:
    """What goes first says so while it is in hand; what comes later waits for a moment in which nothing is."""

    def __init__(self) -> None:
        self._in_hand = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @contextmanager
    def first(self) -> Iterator[None]:
        """Have others wait meanwhile."""
        self._in_hand += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._in_hand -= 1
            if not self._in_hand:
                self._idle.set()

    async def wait(self) -> None:
        """Wait until nothing that goes first is in hand."""
        await self._idle.wait()
