"""Report events from Python: `Producer` from ordinary code, `AsyncProducer` from asyncio.

Both bring concurrent calls together into batches, and send again what the service could not take for the moment: an
event's source and id make a repeat harmless. A call returns when its events are accepted, which means that they are
in the database.

>>> with Producer("https://notifier.example.com", key="ntf_…", source="billing") as producer:
...     producer.send("payment.failed", {"account_id": "a1", ...}, id="attempt-7")
"""

import asyncio
import io
import random
import threading
import uuid
from collections.abc import Coroutine, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp
import msgspec

from notifier.coalesce import Coalescer
from notifier.errors import NotifierError, Problem

T = TypeVar("T")

TIMEOUT = 30  # seconds for one request
TRIES = 8  # of a request that the service can't take for the moment: with the pauses below about a minute
FIRST_PAUSE = 0.25  # seconds, doubled each time, with full jitter
MOST_PAUSE = 15.0  # seconds
BATCH = 1000  # events in one request, the most that the service takes
TOO_LARGE = 41301  # the problem of a body with more bytes than the service takes: half of it may fit


class ServiceUnavailable(NotifierError):
    """The service took nothing at any try; the same events may be sent again later.

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


class AsyncProducer:
    """Reports events over HTTP from asyncio; use it as an async context manager."""

    def __init__(self, url: str, key: str, source: str) -> None:
        self._url = f"{url.rstrip('/')}/v1/events"
        self._source = source
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/cloudevents-batch+json"}
        self._writer: Coalescer[msgspec.Raw, _Result] = Coalescer(self._post, limit=BATCH)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
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
        Problem where the event can't be taken, ServiceUnavailable where the service took nothing at any try.
        """
        (result,) = await self.send_many([{"type": type, "data": data, "id": id, "subject": subject, "time": time}])
        if isinstance(result, Problem):
            raise result
        return result

    async def send_many(self, events: Sequence[Mapping[str, Any]]) -> list[str | Problem]:
        """Report events given as CloudEvents attributes; for each, in order, the id it has here or why it was
        refused.

        Raises as `send` does where none was taken, TypeError or UnicodeEncodeError for data that no JSON can hold.
        """
        # Encoded here, so that data which can't be fails this call and not those that share its batch.
        results = await self._writer.add([self._envelope(event) for event in events])
        return [result.event if result.status == "accepted" else _problem(result.problem) for result in results]

    def _envelope(self, event: Mapping[str, Any]) -> msgspec.Raw:
        given = {name: value for name, value in event.items() if value is not None}
        envelope = {"specversion": "1.0", "source": self._source, "id": str(uuid.uuid4()), **given}
        return msgspec.Raw(msgspec.json.encode(envelope))

    async def _post(self, batch: list[msgspec.Raw]) -> Sequence[_Result]:
        try:
            return await self._post_until_taken(msgspec.json.encode(batch))
        except Problem as error:
            if error.code != TOO_LARGE:
                raise
            if len(batch) == 1:
                return [_Result("refused", problem=error.body())]
        half = len(batch) // 2
        return [*await self._post(batch[:half]), *await self._post(batch[half:])]

    async def _post_until_taken(self, body: bytes) -> Sequence[_Result]:
        for tries in range(1, TRIES + 1):
            asked = 0.0
            try:
                return await self._post_once(body)
            except ServiceUnavailable as error:
                asked = error.retry_after
            except (aiohttp.ClientError, TimeoutError):
                pass
            if tries < TRIES:
                pause = min(FIRST_PAUSE * 2 ** (tries - 1), MOST_PAUSE)
                await asyncio.sleep(max(random.uniform(pause / 2, pause), asked))  # noqa: S311 (jitter is no secret)
        raise ServiceUnavailable(f"{self._url} took nothing at {TRIES} tries", asked)

    async def _post_once(self, body: bytes) -> Sequence[_Result]:
        if self._session is None:
            raise RuntimeError("use the producer as a context manager: async with AsyncProducer(…) as producer")
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
                0, response.status, "Not an answer of this service", f"{self._url} answered {response.status}"
            )


class Producer:
    """The same for code without asyncio; it may be shared by threads, whose events then travel together."""

    def __init__(self, url: str, key: str, source: str) -> None:
        self._inner = AsyncProducer(url, key, source)
        self._loop: asyncio.AbstractEventLoop | None = None

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="notifier-producer", daemon=True)
        self._thread.start()
        self._run(self._inner.__aenter__())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._run(self._inner.__aexit__(kind, error, at))
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.call_soon_threadsafe(loop.stop)
            self._thread.join()
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
        """As `AsyncProducer.send`."""
        return self._run(self._inner.send(type, data, id=id, subject=subject, time=time))

    def send_many(self, events: Sequence[Mapping[str, Any]]) -> list[str | Problem]:
        """As `AsyncProducer.send_many`."""
        return self._run(self._inner.send_many(events))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        if self._loop is None:
            work.close()
            raise RuntimeError("use the producer as a context manager: with Producer(…) as producer")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


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
