"""A queue of writers to an SQLite file, across processes: whoever waits is woken when the file is free.

SQLite allows one writer at a time. A writer that meets another sleeps, longer each time, up to 100 ms, and misses the
moment: under load the file is idle half of the time, and some writers wait for ever. The queue is a courtesy and
SQLite's own lock is what counts: where the holder of the turn hangs, writers go on without it.
"""

import asyncio
import fcntl
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

WAIT = 1.0  # seconds to wait for a turn: several times what all concurrent writers take


class SqliteWriteQueue:
    """A lock on a file beside the database (flock): it ends with the process that holds it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._own = asyncio.Lock()
        self._file: int | None = None
        self._stuck = False

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Hold the turn to write, unless the queue hangs or none can be made."""
        crowded = self._own.locked()
        try:
            async with asyncio.timeout(WAIT):
                await self._own.acquire()
        except TimeoutError:
            yield
            return
        try:
            file = await self._lock(at_once=not crowded)
            try:
                yield
            finally:
                if file is not None:
                    fcntl.flock(file, fcntl.LOCK_UN)
        finally:
            self._own.release()

    def close(self) -> None:
        """Close the lock file; one that is still in use is closed when the process ends."""
        if self._file is not None and not self._own.locked():
            os.close(self._file)
            self._file = None

    async def _lock(self, *, at_once: bool) -> int | None:
        """Take the lock: with `at_once` only where it is free, else behind those who wait, or a busy process would have
        turn after turn. None where the queue hangs or none can be made."""
        if self._stuck:
            return None
        try:
            file = self._open()
            if at_once and _take(file):
                return file
            got = _wait_in_a_thread(file)
        except (OSError, RuntimeError):  # no file, no flock on this file system, no thread
            return None
        try:
            async with asyncio.timeout(WAIT):
                await asyncio.shield(got)
        except BaseException as error:
            # The thread goes on waiting, and reports when the queue moves again.
            self._file, self._stuck = None, True
            got.add_done_callback(lambda _: self._move_on(file))
            if not isinstance(error, TimeoutError):
                raise
            return None
        return file

    def _open(self) -> int:
        if self._file is None:
            # Opened for reading, since another user may have made the file: flock needs no more.
            self._file = os.open(self._path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self._file

    def _move_on(self, file: int) -> None:
        os.close(file)
        self._stuck = False


def _take(file: int) -> bool:
    """Try to take the lock without waiting; whether this process has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _wait_in_a_thread(file: int) -> asyncio.Future[None]:
    """Wait for the lock, in a thread that keeps no process from ending."""
    loop = asyncio.get_running_loop()
    got = loop.create_future()

    def wait() -> None:
        with suppress(OSError):  # a file system without locks: the queue is an optimisation only
            fcntl.flock(file, fcntl.LOCK_EX)
        try:
            loop.call_soon_threadsafe(got.set_result, None)
        except RuntimeError:  # the loop is closed: nobody waits for the turn any more
            os.close(file)

    threading.Thread(target=wait, name="turns", daemon=True).start()
    return got
