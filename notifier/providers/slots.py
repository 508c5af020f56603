"""Slots for what may be under way at once: whoever finds none waits for one, and they are given in turn."""

import asyncio
from collections import deque


class SlotPool:
    """A fixed number of slots, on the running loop."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def take(self, deadline: float) -> bool:
        """Take a slot, and wait for one where none is free; whether it was waited for.

        TimeoutError where there is none by the loop's time `deadline`. What is free is nobody's who waits.
        """
        if self._free:
            self._free -= 1
            return False
        slot: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(slot)
        try:
            async with asyncio.timeout_at(deadline):
                await slot
        except (TimeoutError, asyncio.CancelledError):
            if slot.done() and not slot.cancelled():  # the answer came at the same moment
                self.give_back()
            raise
        return True

    def give_back(self) -> None:
        """Leave a slot, to who has waited longest."""
        while self._waiting:
            slot = self._waiting.popleft()
            if not slot.done():  # otherwise nobody waits for the slot any more
                slot.set_result(None)
                return
        self._free += 1
