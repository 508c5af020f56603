"""Report events from Python: `Producer` from ordinary code, `AsyncProducer` from asyncio.

Both bring concurrent calls together into batches, and send again what the service could not take for the moment: an
event's source and id make a repeat harmless. A call returns when its events are accepted, which means that they are
in the database, and raises ServiceUnavailable where they were not within `timeout` seconds.

>>> with Producer("https://notifier.example.com", key="ntf_…", source="billing") as producer:
...     producer.send("payment.failed", {"account_id": "a1", ...}, id="attempt-7")
"""

import asyncio
import io
import os
import random
import threading
import uuid
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Final, NamedTuple, Self, TypeVar
from weakref import WeakSet

import aiohttp
import msgspec

from notifier.domain.errors import NotifierError, Problem
from notifier.runtime.coalesce import Coalescer

T = TypeVar("T")

TIMEOUT = 60.0  # seconds that a call may take by default: longer than a failover or a restart of the web process
REQUEST_TIMEOUT = 30.0  # seconds for one request, after which it is sent again
FIRST_PAUSE = 0.25  # seconds, doubled each time, with full jitter
MOST_PAUSE = 15.0  # seconds
BATCH = 1000  # the most events in one request that the service accepts
TOO_LARGE = 41301  # the problem code of a too large body: half of the batch may fit


class ServiceUnavailable(NotifierError):
    """The service did not take the events in time; the same events may be sent again later.

    `retry_after` is the seconds that it last asked to wait.
    """

    retry = True

    def __init__(self, message: str, retry_after: float = 0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class _Result(msgspec.Struct):
    status: str
    event: str = ""
    problem: dict[str, Any] = {}


class _Answer(msgspec.Struct):
    results: list[_Result]


class _Item(NamedTuple):
    """An event as JSON, and when (in the loop's seconds) its caller gives up."""

    envelope: msgspec.Raw
    until: float


_TOO_LATE: Final = _Result("refused")
"""The result for a call that nobody awaits any more."""


class AsyncProducer:
    """Reports events over HTTP from asyncio; use it as an async context manager.

    `timeout` is the seconds that a call may take in all, tries and pauses included. Closing takes no more calls and
    waits for those under way, which their time-out ends. `failed_tries` counts the requests so far that were not taken
    for the moment.
    """

    def __init__(self, url: str, key: str, source: str, *, timeout: float = TIMEOUT) -> None:
        self.failed_tries = 0
        self._url = f"{url.rstrip('/')}/v1/events"
        self._source = source
        self._timeout = timeout
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/cloudevents-batch+json"}
        self._writer: Coalescer[_Item, _Result] = Coalescer(self._flush, limit=BATCH)
        self._session: aiohttp.ClientSession | None = None
        self._open = False
        self._calls = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT))
        self._open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._open = False
        await self._idle.wait()
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def send(
        self,
        type: str,
        data: Mapping[str, Any],
        *,
        id: str | None = None,
        subject: str | None = None,
        time: datetime | None = None,
    ) -> str:
        """Report one event; the id it has here.

        Give `id` wherever your own records have one: it keeps a report that is made twice from being told twice. Raises
        Problem where the event can't be taken, ServiceUnavailable where it was not taken in time, RuntimeError where
        the producer isn't open.
        """
        (result,) = await self.send_many([{"type": type, "data": data, "id": id, "subject": subject, "time": time}])
        if isinstance(result, Problem):
            raise result
        return result

    async def send_many(self, events: Sequence[Mapping[str, Any]]) -> list[str | Problem]:
        """Report events given as CloudEvents attributes; for each, in order, the id it has here or why it was
        refused.

        Raises as `send` does where they were not taken, TypeError or UnicodeEncodeError for data that no JSON can hold.
        """
        if not self._open:
            raise RuntimeError("use the producer as a context manager: async with AsyncProducer(…) as producer")
        until = asyncio.get_running_loop().time() + self._timeout
        # Encoded here, so that data that can't be encoded fails this call only, and not the others in its batch.
        items = [_Item(self._envelope(event), until) for event in events]
        self._calls += 1
        self._idle.clear()
        try:
            async with asyncio.timeout_at(until):
                results = await self._writer.add(items)
        except TimeoutError:
            raise ServiceUnavailable(f"{self._url} did not answer within {self._timeout:g} s") from None
        finally:
            self._calls -= 1
            if not self._calls:
                self._idle.set()
        return [result.event if result.status == "accepted" else _problem(result.problem) for result in results]

    def _envelope(self, event: Mapping[str, Any]) -> msgspec.Raw:
        given = {name: value for name, value in event.items() if value is not None}
        envelope = {"specversion": "1.0", "source": self._source, "id": str(uuid.uuid4()), **given}
        return msgspec.Raw(msgspec.json.encode(envelope))

    async def _flush(self, items: list[_Item]) -> Sequence[_Result]:
        now = asyncio.get_running_loop().time()
        waited_for = [item for item in items if item.until > now]
        if not waited_for:
            return [_TOO_LATE] * len(items)
        until = max(item.until for item in waited_for)
        answers = iter(await self._post([item.envelope for item in waited_for], until))
        return [next(answers) if item.until > now else _TOO_LATE for item in items]

    async def _post(self, batch: list[msgspec.Raw], until: float) -> Sequence[_Result]:
        try:
            return await self._post_until_taken(msgspec.json.encode(batch), until)
        except Problem as error:
            if error.code != TOO_LARGE:
                raise
            if len(batch) == 1:
                return [_Result("refused", problem=error.body())]
        half = len(batch) // 2
        return [*await self._post(batch[:half], until), *await self._post(batch[half:], until)]

    async def _post_until_taken(self, body: bytes, until: float) -> Sequence[_Result]:
        clock, pause = asyncio.get_running_loop().time, FIRST_PAUSE
        while True:
            asked = 0.0
            try:
                async with asyncio.timeout_at(until):
                    return await self._post_once(body)
            except ServiceUnavailable as error:
                asked = error.retry_after
            except (aiohttp.ClientError, TimeoutError):
                pass
            self.failed_tries += 1
            left = until - clock()
            if left < max(FIRST_PAUSE, asked):
                raise ServiceUnavailable(f"{self._url} accepted nothing within {self._timeout:g} s", asked)
            jittered = random.uniform(pause / 2, pause)  # noqa: S311 (jitter is no secret)
            await asyncio.sleep(max(min(jittered, left - FIRST_PAUSE), asked))
            pause = min(pause * 2, MOST_PAUSE)

    async def _post_once(self, body: bytes) -> Sequence[_Result]:
        if self._session is None:
            raise RuntimeError("the producer was closed after its callers stopped waiting")
        # A redirect would turn the POST into a GET.
        async with self._session.post(
            self._url, data=io.BytesIO(body), headers=self._headers, allow_redirects=False
        ) as response:
            content = await response.read()
            if response.status >= 500 or response.status == 429:
                told = response.headers.get("Retry-After", "")
                asked = min(float(told), MOST_PAUSE) if told.isdecimal() else 0.0
                raise ServiceUnavailable(f"{self._url} answered {response.status}", asked)
            if response.status == 202:
                return msgspec.json.decode(content, type=_Answer).results
            if response.content_type == "application/problem+json":
                raise _problem(msgspec.json.decode(content))
            raise Problem(
                0, response.status, "Not a response of this service", f"{self._url} answered {response.status}"
            )


class Producer:
    """Reports events over HTTP from code without asyncio; threads may share a producer and so its batches.

    A process that forks, such as a web server's master, has a producer in each child: what was under way at the fork is
    the parent's, and the child opens connections of its own at its first call.
    """

    def __init__(self, url: str, key: str, source: str, *, timeout: float = TIMEOUT) -> None:
        self._make: Callable[[], AsyncProducer] = lambda: AsyncProducer(url, key, source, timeout=timeout)
        self._open = False
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._inner = self._make()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._open = True
        _OPEN.add(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with self._lock:
            self._open = False
            loop, thread, self._loop = self._loop, self._thread, None
        _OPEN.discard(self)
        if loop is not None and thread is not None:
            asyncio.run_coroutine_threadsafe(self._inner.__aexit__(kind, error, at), loop).result()
            loop.call_soon_threadsafe(loop.stop)
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
        return done.result()

    def after_fork(self) -> None:
        """Begin anew in a child process, whose parent keeps the thread, what it had under way and its connections."""
        _LEFT_BEHIND.extend((self._inner, self._loop))
        self._begin()

    def _start(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=loop.run_forever, name="notifier-producer", daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._inner.__aenter__(), loop).result()
        return loop


_OPEN: Final[WeakSet[Producer]] = WeakSet()
_LEFT_BEHIND: Final[list[object]] = []
"""The parent process's loop: never closed here, since both processes share its kernel poll object."""


def _after_fork() -> None:
    for producer in _OPEN:
        producer.after_fork()


if hasattr(os, "register_at_fork"):  # Windows can't fork and lacks this function
    os.register_at_fork(after_in_child=_after_fork)


def _problem(told: Mapping[str, Any]) -> Problem:
    known = {"type", "code", "status", "title", "detail", "pointer"}
    return Problem(
        told.get("code", 0),
        told.get("status", 0),
        told.get("title", "Refused"),
        told.get("detail", ""),
        told.get("pointer"),
        **{name: value for name, value in told.items() if name not in known},
    )  # fmt: skip
