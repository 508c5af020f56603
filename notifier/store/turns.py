"""Whose turn it is to write to an SQLite file: all processes queue, and whoever waits is woken when it is free.

SQLite lets one write at a time. Whoever meets another sleeps, longer each time, up to 100 ms, and passes the moment by:
under load the file is idle half of the time, and some wait for ever.
"""

import asyncio
import contextlib
import fcntl
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

WAIT = 5.0  # seconds for the others of this process, and again for other processes: as long as SQLite would wait


class Turns:
    """A lock on a file beside the database (flock): it ends with the process that holds it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._own = asyncio.Lock()
        self._file: int | None = None

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Nobody else writes inside this. Raises TimeoutError where others do so for too long."""
        crowded = self._own.locked()
        async with asyncio.timeout(WAIT):
            await self._own.acquire()
        try:
            file = await self._lock(at_once=not crowded)
            try:
                yield
            finally:
                fcntl.flock(file, fcntl.LOCK_UN)
        finally:
            self._own.release()

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    async def _lock(self, *, at_once: bool) -> int:
        """Take the lock: `at_once` where it is free, else behind those who wait, or a busy process would have turn
        after turn."""
        if self._file is None:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        file = self._file
        if at_once:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return file
        got = _queue(file)
        try:
            async with asyncio.timeout(WAIT):
                await got
        except BaseException:
            self._file = None  # the thread waits on, and closes it
            if got.done() and not got.cancelled():
                os.close(file)
            raise
        return file


def _queue(file: int) -> asyncio.Future[None]:
    """Wait for the lock in a thread that keeps no process from ending; one that nobody waits for is let go."""
    loop = asyncio.get_running_loop()
    got = loop.create_future()

    def tell() -> None:
        if got.cancelled():
            os.close(file)
        else:
            got.set_result(None)

    def wait() -> None:
        fcntl.flock(file, fcntl.LOCK_EX)
        with contextlib.suppress(RuntimeError):  # the loop is closed, and the file with its process
            loop.call_soon_threadsafe(tell)

    threading.Thread(target=wait, name="turns", daemon=True).start()
    return got
