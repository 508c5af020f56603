"""A costly answer that is remembered for a moment: whoever asks meanwhile hears it again, and costs nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from notifier.domain.clock import Clock

T = TypeVar("T")


class Recent(Generic[T]):
    """The latest answer of `find`, for `good_for` milliseconds at least and for `rest` times as long as it took.

    Many who ask at once share one question. What `find` raises reaches all of them, and is not remembered. A caller
    that is cancelled gives up the answer only.
    """

    def __init__(self, find: Callable[[], Awaitable[T]], clock: Clock, good_for: int, rest: int = 0) -> None:
        self._find = find
        self._clock = clock
        self._good_for = good_for
        self._rest = rest
        self._known: list[T] = []
        self._until = 0
        self._asking: asyncio.Task[T] | None = None

    async def get(self) -> T:
        """Return the answer as it was found lately."""
        if self._known and self._clock.now() < self._until:
            return self._known[0]
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
            self._asking.add_done_callback(self._asked)
        return await asyncio.shield(self._asking)

    async def _ask(self) -> T:
        began = self._clock.now()
        found = await self._find()
        ended = self._clock.now()
        self._known, self._until = [found], ended + max(self._good_for, self._rest * (ended - began))
        return found

    def _asked(self, task: asyncio.Task[T]) -> None:
        self._asking = None
        if not task.cancelled():
            task.exception()  # everybody who asked may have gone meanwhile: then nobody else would fetch it
