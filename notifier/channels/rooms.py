"""Room for batches: a batch is claimed when its first messages can go out, not while others keep all connections."""

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

CALM: Final = 2.0
"""Seconds since the last batch of the others after which they are taken to have nothing to send."""


RESTS: Final = 3
"""Times as long as its last batch took that a room rests where others go before it: on a machine that is busy, their
messages find three moments in four free."""


class Room:
    """Lets a batch in while fewer messages than `places` are inside, however many it brings.

    One message at a time finds room nearly always; of batches of a hundred there are no more than keep the connections
    busy, and those that wait are rows that anybody may take.

    `before` are the rooms whose batches go before this one's: while they have any, this room rests after each batch.
    Once they are calm all of the time is its own.
    """

    def __init__(self, places: float, before: Sequence["Room"] = ()) -> None:
        self._places = places
        self._before = before
        self._inside = 0
        self._entered_at = -math.inf
        self._rests_until = -math.inf
        self._left = asyncio.Event()

    @asynccontextmanager
    async def enter(self, messages: int) -> AsyncIterator[None]:
        """Wait for room."""
        clock = asyncio.get_running_loop().time
        while True:
            while self._inside >= self._places:
                self._left.clear()
                await self._left.wait()
            rest = self._rests_until - clock()
            if rest <= 0 or self._calm(clock()):
                break
            await asyncio.sleep(rest)
        self._inside += messages
        self._entered_at = began = clock()
        try:
            yield
        finally:
            self._inside -= messages
            self._rests_until = clock() + RESTS * (clock() - began)
            self._left.set()

    def _calm(self, now: float) -> bool:
        return all(now - room._entered_at > CALM and not room._inside for room in self._before)  # noqa: SLF001 (its own)
