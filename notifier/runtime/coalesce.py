"""Batches that make themselves: flush at once when idle, and while a flush is under way collect the next one."""

import asyncio
import contextvars
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Coalescer(Generic[T, R]):
    """Brings concurrent callers' items together into one call of `flush` at a time.

    No timer, so nothing waits while it is quiet; under load a batch is what came during the flush before it. A caller
    may name a lane, such as an API key: lanes take turns, so that what waits in one keeps no other waiting. `flush`
    takes up to `limit` items and answers one result for each, in order; what it raises reaches every caller of that
    batch, and no other. A flush is of no caller in particular, so it runs in the context in which this was made.

    >>> writer = Coalescer(write_rows, limit=1000)
    >>> results = await writer.add([row])
    """

    def __init__(self, flush: Callable[[list[T]], Awaitable[Sequence[R]]], limit: int) -> None:
        self._flush = flush
        self._limit = limit
        self._context = contextvars.copy_context()
        self._lanes: dict[str, deque[tuple[Sequence[T], asyncio.Future[Sequence[R]]]]] = {}
        self._running: asyncio.Task[None] | None = None

    async def add(self, items: Sequence[T], lane: str = "") -> Sequence[R]:
        """The results for these items, once their batch (their batches, where they are more than `limit`) is flushed.

        A caller that is cancelled gives up the answer only: its items are flushed all the same.
        """
        if len(items) > self._limit:
            parts = [items[start : start + self._limit] for start in range(0, len(items), self._limit)]
            return [
                result for part in await asyncio.gather(*(self.add(part, lane) for part in parts)) for result in part
            ]
        if not items:
            return []
        done: asyncio.Future[Sequence[R]] = asyncio.get_running_loop().create_future()
        self._lanes.setdefault(lane, deque()).append((items, done))
        if self._running is None:
            self._running = asyncio.create_task(self._run(), context=self._context.copy())
        return await done

    def stop(self) -> None:
        """End what is under way: callers whose items are not flushed are cancelled."""
        self._give_up()
        if self._running is not None:
            self._running.cancel()

    def _give_up(self) -> None:
        for _, done in (each for lane in self._lanes.values() for each in lane):
            done.cancel()
        self._lanes = {}

    async def _run(self) -> None:
        try:
            while self._lanes:
                await self._flush_one(self._next())
        except asyncio.CancelledError:  # the program is ending: callers must not wait for an answer that won't come
            self._give_up()
            raise
        finally:
            self._running = None

    def _next(self) -> list[tuple[Sequence[T], asyncio.Future[Sequence[R]]]]:
        """What comes next of each lane by turns, as much as fits; lanes that got nothing are first the next time."""
        size, taken = 0, []
        turns = deque(self._lanes)
        while turns:
            name = turns.popleft()
            lane = self._lanes[name]
            if size + len(lane[0][0]) > self._limit:
                continue
            size += len(lane[0][0])
            taken.append(lane.popleft())
            del self._lanes[name]
            if lane:
                self._lanes[name] = lane
                turns.append(name)
        return taken

    async def _flush_one(self, taken: list[tuple[Sequence[T], asyncio.Future[Sequence[R]]]]) -> None:
        try:
            results = await self._flush([item for items, _ in taken for item in items])
        except asyncio.CancelledError:
            for _, done in taken:
                done.cancel()
            raise
        except Exception as error:  # noqa: BLE001 (it belongs to the callers)
            for _, done in taken:
                if not done.done():
                    done.set_exception(error)
            return
        start = 0
        for items, done in taken:
            if not done.done():
                done.set_result(results[start : start + len(items)])
            start += len(items)
