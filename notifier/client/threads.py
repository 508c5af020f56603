"""Reports events from ordinary code: threads share one `AsyncProducer`, on a thread of its own."""

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future, wait
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from weakref import WeakSet

from notifier.client.producer import REQUEST_TIMEOUT, TIMEOUT, AsyncProducer
from notifier.client.spool import SPOOL_BYTES
from notifier.domain.errors import Problem

T = TypeVar("T")


class Producer:
    """Reports events over HTTP from code without asyncio; threads may share a producer and so its batches.

    A process that forks, such as a web server's master, has a producer in each child: what was under way at the fork is
    the parent's, and the child opens connections of its own at its first call. A spool stays the parent's: with one, a
    child's calls raise RuntimeError, and it needs a producer of its own.
    """

    def __init__(
        self,
        url: str,
        key: str,
        source: str,
        *,
        timeout: float = TIMEOUT,
        request_timeout: float = REQUEST_TIMEOUT,
        spool: str | Path | None = None,
        spool_bytes: int = SPOOL_BYTES,
    ) -> None:
        self._make: Callable[[], AsyncProducer] = lambda: AsyncProducer(
            url, key, source, timeout=timeout, request_timeout=request_timeout, spool=spool, spool_bytes=spool_bytes
        )
        self._at_once = spool is not None
        self._open = False
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._inner = self._make()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._calls: set[Future[Any]] = set()

    def __enter__(self) -> Self:
        if self._at_once:  # what the spool holds needs no call to be sent
            self._loop = self._start()
        self._open = True
        _OPEN.add(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self, timeout: float | None = None) -> list[str]:
        """Take no more calls and wait for those under way, as `AsyncProducer.close` does."""
        with self._lock:
            self._open = False
            loop, self._loop = self._loop, None
        _OPEN.discard(self)
        if loop is None:
            return []
        unsent = asyncio.run_coroutine_threadsafe(self._inner.close(timeout), loop).result()
        wait(list(self._calls))
        self._end(loop)
        return unsent

    def _end(self, loop: asyncio.AbstractEventLoop) -> None:
        thread, self._thread = self._thread, None
        loop.call_soon_threadsafe(loop.stop)
        if thread is not None:
            thread.join()
        loop.close()

    def send(
        self,
        type: str,
        data: Mapping[str, Any],
        *,
        id: str | None = None,
        subject: str | None = None,
        time: datetime | None = None,
    ) -> str:
        """Report one event, as `AsyncProducer.send` does."""
        return self._run(lambda inner: inner.send(type, data, id=id, subject=subject, time=time))

    def send_many(self, events: Sequence[Mapping[str, Any]]) -> list[str | Problem]:
        """Report several events, as `AsyncProducer.send_many` does."""
        return self._run(lambda inner: inner.send_many(events))

    def _run(self, work: Callable[[AsyncProducer], Coroutine[Any, Any, T]]) -> T:
        with self._lock:
            if not self._open:
                raise RuntimeError("use the producer as a context manager: with Producer(…) as producer")
            loop = self._loop = self._loop or self._start()
            done = asyncio.run_coroutine_threadsafe(work(self._inner), loop)
            self._calls.add(done)
        done.add_done_callback(self._calls.discard)
        return done.result()

    def after_fork(self) -> None:
        """Begin anew in a child process, whose parent keeps the thread, what it had under way and its connections."""
        _LEFT_BEHIND.extend((self._inner, self._loop))
        self._begin()

    def _start(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=loop.run_forever, name="notifier-producer", daemon=True)
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._inner.__aenter__(), loop).result()
        except BaseException:
            self._end(loop)
            raise
        return loop


_OPEN: Final[WeakSet[Producer]] = WeakSet()
_LEFT_BEHIND: Final[list[object]] = []
"""The parent process's loop: never closed here, since both processes share its kernel poll object."""


def _after_fork() -> None:
    for producer in _OPEN:
        producer.after_fork()


if hasattr(os, "register_at_fork"):  # Windows can't fork and lacks this function
    os.register_at_fork(after_in_child=_after_fork)
