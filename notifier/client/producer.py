"""Reports events from asyncio: concurrent calls become batches, and what could not be taken is sent again."""

import asyncio
import logging
import random
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
import msgspec

from notifier.client.answers import BATCH, MOST_BYTES, Result, ServiceUnavailable, as_problem, results
from notifier.client.spool import SPOOL_BYTES, Key, Spool
from notifier.domain.errors import Problem
from notifier.runtime.coalesce import Coalescer

TIMEOUT = 60.0  # seconds that a call may take by default: longer than a failover or a restart of the web process
REQUEST_TIMEOUT = 30.0  # seconds for one request, after which it is sent again
FIRST_PAUSE = 0.25  # seconds, doubled each time, with full jitter
MOST_PAUSE = 15.0  # seconds, where the service asks for none
TOO_LARGE = 413  # the status of a too large body: half of the batch may fit

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class _Item:
    """An event as JSON, and when (in the loop's seconds) its caller gives up."""

    key: Key
    envelope: bytes
    until: float


_Ended = Result | Problem | ServiceUnavailable
_TOO_LATE: Final = ServiceUnavailable("its caller gave up before its turn came")
_LEFT_BEHIND: Final = 0.0
"""The time of an event from the spool, which has no caller."""


class AsyncProducer:
    """Reports events over HTTP from asyncio; use it as an async context manager.

    `timeout` is the seconds that a call may take in all, tries and pauses included, and `request_timeout` those of one
    request. `spool` is a file that keeps events until the service has answered for each: those of a process that ended
    before are sent when the next one opens it, and a call that gives up leaves its events to be sent later. It holds
    `spool_bytes`, and belongs to one process. `failed_tries` counts the requests so far that were not taken for the
    moment.
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
        self.failed_tries = 0
        self._url = f"{url.rstrip('/')}/v1/events"
        self._source = source
        self._timeout = timeout
        self._request_timeout = request_timeout
        self._headers = {
            "Authorization": f"Bearer {key}",
            "Content-Type": "application/cloudevents-batch+json",
            "User-Agent": f"notifier-python/{version('notifier')}",
        }
        self._path, self._spool_bytes = spool, spool_bytes
        self._spool: Spool | None = None
        self._writer: Coalescer[_Item, _Ended] = Coalescer(self._flush, limit=BATCH)
        self._session: aiohttp.ClientSession | None = None
        self._open = False
        self._unanswered: set[_Item] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._left_behind: asyncio.Task[Sequence[_Ended]] | None = None

    async def __aenter__(self) -> Self:
        if self._path is not None:
            self._spool = Spool(self._path, self._spool_bytes)
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=self._request_timeout))
        self._open = True
        if self._spool is not None and self._spool.open:
            items = [_Item(key, event, _LEFT_BEHIND) for key, event in self._spool.open.items()]
            self._begin(items)
            self._left_behind = asyncio.create_task(self._writer.add(items))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self, timeout: float | None = None) -> list[str]:  # noqa: ASYNC109 (it bounds a part of the work)
        """Take no more calls, and wait for those under way; return the ids of events that are not known to be taken.

        It ends after `timeout` seconds, or those of a call where it is left out. Calls that are still under way then
        raise ServiceUnavailable. What the spool holds is sent at the next start.
        """
        self._open = False
        try:
            async with asyncio.timeout(self._timeout if timeout is None else timeout):
                await self._idle.wait()
        except TimeoutError:
            pass
        unsent = [id_ for _, id_ in (self._spool.open if self._spool else (item.key for item in self._unanswered))]
        self._writer.stop()
        if self._left_behind is not None:
            await asyncio.wait([self._left_behind])
        session, spool = self._session, self._spool
        self._session = self._spool = None
        if session is not None:
            await session.close()
        if spool is not None:
            spool.close()
        return unsent

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
        items = [self._item(event, until) for event in events]
        if self._spool is not None:
            self._spool.add([(item.key, item.envelope) for item in items])
        self._begin(items)
        ended = await self._ended(items, until)
        for each in ended:
            if not isinstance(each, Result):
                raise each
        told = [each for each in ended if isinstance(each, Result)]
        return [result.event if result.status == "accepted" else as_problem(result.problem) for result in told]

    async def _ended(self, items: Sequence[_Item], until: float) -> Sequence[_Ended]:
        try:
            async with asyncio.timeout_at(until):
                return await self._writer.add(items)
        except TimeoutError:
            raise ServiceUnavailable(f"{self._url} did not answer within {self._timeout:g} s") from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._open or (task is not None and task.cancelling()):
                raise
            raise ServiceUnavailable(f"the producer was closed before {self._url} had answered") from None
        finally:
            if self._spool is None:
                self._answered(items)

    def _item(self, event: Mapping[str, Any], until: float) -> _Item:
        given = {name: value for name, value in event.items() if value is not None}
        envelope = {"specversion": "1.0", "source": self._source, "id": str(uuid.uuid4()), **given}
        return _Item((envelope["source"], envelope["id"]), msgspec.json.encode(envelope), until)

    def _begin(self, items: Sequence[_Item]) -> None:
        self._unanswered.update(items)
        if items:
            self._idle.clear()

    def _answered(self, items: Iterable[_Item]) -> None:
        self._unanswered.difference_update(items)
        if not self._unanswered:
            self._idle.set()

    async def _flush(self, items: list[_Item]) -> Sequence[_Ended]:
        now = asyncio.get_running_loop().time()
        wanted = items if self._spool else [item for item in items if item.until > now]
        ended = dict(zip(wanted, [each for part in _parts(wanted) for each in await self._post(part)], strict=True))
        if self._spool is not None:
            self._spool.settle(item.key for item, result in ended.items() if isinstance(result, Result))
            self._tell_of_losses(ended)
        self._answered(items)
        return [ended.get(item, _TOO_LATE) for item in items]

    def _tell_of_losses(self, ended: Mapping[_Item, _Ended]) -> None:
        now = asyncio.get_running_loop().time()
        for item, result in ended.items():
            if item.until > now:
                continue
            if isinstance(result, Result) and result.status != "accepted":
                number = result.problem.get("code", 0)
                _log.warning("the event %s of %s was refused: problem %s", item.key[1], item.key[0], number)
            elif isinstance(result, Problem):
                _log.warning("the event %s of %s stays in the spool: problem %s", item.key[1], item.key[0], result.code)

    async def _post(self, batch: list[_Item]) -> Sequence[_Ended]:
        try:
            return await self._post_until_taken(batch)
        except ServiceUnavailable as error:
            return [error] * len(batch)
        except Problem as error:
            if error.status != TOO_LARGE:
                return [error] * len(batch)
            if len(batch) == 1:
                return [Result("refused", problem=error.body())]
        half = len(batch) // 2
        return [*await self._post(batch[:half]), *await self._post(batch[half:])]

    async def _post_until_taken(self, batch: list[_Item]) -> list[Result]:
        body = b"[" + b",".join(item.envelope for item in batch) + b"]"
        until = None if self._spool else max(item.until for item in batch)
        clock, pause = asyncio.get_running_loop().time, FIRST_PAUSE
        while True:
            asked = 0.0
            try:
                async with asyncio.timeout_at(until):
                    return await self._post_once(body, len(batch))
            except ServiceUnavailable as error:
                asked = error.retry_after
            except (aiohttp.ClientError, TimeoutError):
                pass
            self.failed_tries += 1
            jittered = random.uniform(0, pause)  # noqa: S311 (jitter is no secret)
            if until is not None:
                left = until - clock()
                if left < max(FIRST_PAUSE, asked):
                    raise ServiceUnavailable(f"{self._url} accepted nothing within {self._timeout:g} s", asked)
                jittered = min(jittered, left - FIRST_PAUSE)
            await asyncio.sleep(max(jittered, asked))
            pause = min(pause * 2, MOST_PAUSE)

    async def _post_once(self, body: bytes, events: int) -> list[Result]:
        if self._session is None:
            raise RuntimeError("the producer was closed after its callers stopped waiting")
        # A redirect would turn the POST into a GET.
        async with self._session.post(
            self._url, data=BytesIO(body), headers=self._headers, allow_redirects=False
        ) as response:
            content = await response.read()
            return results(self._url, response.status, response.headers, content, events)


def _parts(items: Sequence[_Item]) -> Iterator[list[_Item]]:
    """Yield the items in parts that a request may have by their bytes; an item that is too large is a part."""
    part: list[_Item] = []
    size = 2
    for item in items:
        more = len(item.envelope) + 1
        if part and size + more > MOST_BYTES:
            yield part
            part, size = [], 2
        part.append(item)
        size += more
    if part:
        yield part
