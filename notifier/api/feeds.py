"""Feeds: a current state for each of many people, sent when it changes (server-sent events, WHATWG HTML §9.2).

One query a second serves everybody who is connected to a process, however many they are. Each event holds the whole
state rather than a list of changes, with a hash of the state as the event's id: a client that reconnects with
`Last-Event-ID` to any process is sent the state at once if it has changed, and nothing is kept for clients that are
away.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import suppress
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import msgspec
import structlog
from starlette.responses import Response, StreamingResponse

from notifier.domain.errors import StoreUnavailable
from notifier.runtime.background import forever

EVERY: Final = 1.0
"""Seconds between two looks."""
HEARTBEAT: Final = 15.0
"""Seconds between two comments: proxies close connections that are silent for half a minute or a minute."""
MOST: Final = 2_000
"""Stream connections of one process: each needs a socket, of which a process commonly has a few thousand."""
MOST_OF_ONE: Final = 20
"""Connections for one person: the tabs and devices of a busy one. One token must not use up all connections."""
BACK_AFTER: Final = 2_000
"""Milliseconds until a disconnected client reconnects."""

HEADERS: Final = {"X-Accel-Buffering": "no", "Cache-Control": "no-store"}
"""Headers of a stream: nobody between us and the client keeps it back."""

Look = Callable[[Any, Collection[str]], Awaitable[Mapping[str, Any]]]
"""Reads the state of each of these people as JSON values, from the given context."""

log = structlog.get_logger(__name__)


def refused() -> Response:
    """The answer at which a browser doesn't connect again."""
    return Response(status_code=204)


class _Snapshot(NamedTuple):
    """The last state sent for one person."""

    id: str
    data: bytes


class Feed:
    """A query for the states of many people, and the clients who are connected for its results."""

    def __init__(self, look: Callable[[Collection[str]], Awaitable[Mapping[str, Any]]], ending: asyncio.Event) -> None:
        self._look = look
        self._ending = ending
        self._told: dict[str, _Snapshot] = {}
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._task: asyncio.Task[None] | None = None
        self._looking = False
        self._closed = asyncio.Event()

    @property
    def connected(self) -> int:
        """Return the number of connected clients."""
        return sum(map(len, self._waiting.values()))

    def follow(self, who: str, last: str | None, seconds: float) -> Response:
        """Stream a person's state for so many seconds at most, beginning at once unless `last` names the current state.
        Answers 204, at which browsers stop, beyond `MOST` streams, beyond `MOST_OF_ONE` of one person, and when the
        process ends."""
        if self.connected >= MOST or len(self._waiting.get(who, ())) >= MOST_OF_ONE or self._ending.is_set():
            return refused()
        return StreamingResponse(self._events(who, last, seconds), media_type="text/event-stream", headers=HEADERS)

    async def close(self) -> None:
        """End the feed's query and its streams; a query under way ends first, so that its connection is closed."""
        self._closed.set()
        if self._task is not None:
            if not self._looking:
                self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _events(self, who: str, last: str | None, seconds: float) -> AsyncIterator[bytes]:
        changed, ends = asyncio.Event(), time.monotonic() + seconds
        self._waiting.setdefault(who, set()).add(changed)
        if self._task is None or self._task.done():
            self._task = forever("api.feed", self._keep_looking)
        try:
            yield b"retry: %d\n\n" % BACK_AFTER
            while (left := ends - time.monotonic()) > 0 and not self._ending.is_set():
                told = self._told.get(who)
                if told is not None and told.id != last:
                    last = told.id
                    yield b"id: %b\ndata: %b\n\n" % (told.id.encode(), told.data)
                try:
                    async with asyncio.timeout(min(left, HEARTBEAT)):
                        await changed.wait()
                except TimeoutError:
                    yield b":\n\n"
                changed.clear()
        finally:
            self._leave(who, changed)

    def _leave(self, who: str, changed: asyncio.Event) -> None:
        self._waiting[who].discard(changed)
        if not self._waiting[who]:
            del self._waiting[who]
            self._told.pop(who, None)

    async def _keep_looking(self) -> None:
        """Run the query repeatedly while anybody is connected."""
        while self._waiting and not self._ending.is_set() and not self._closed.is_set():
            self._looking = True
            try:
                self._tell(await self._look(sorted(self._waiting)))
            except StoreUnavailable as error:
                log.warning("api.feed_store_unavailable", error=str(error))
            finally:
                self._looking = False
            if self._closed.is_set():
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(EVERY):
                    await self._ending.wait()
        for each in self._waiting.values():
            _wake(each)

    def _tell(self, found: Mapping[str, Any]) -> None:
        for who, waiting in self._waiting.items():
            if who not in found:
                continue
            data = msgspec.json.encode(found[who])
            told = _Snapshot(blake2b(data, digest_size=12).hexdigest(), data)
            if told != self._told.get(who):
                self._told[who] = told
                _wake(waiting)


def _wake(waiting: Iterable[asyncio.Event]) -> None:
    for each in waiting:
        each.set()


class Feeds:
    """The feeds of a process, each started by the first request for it."""

    def __init__(self, ending: asyncio.Event) -> None:
        self._ending = ending
        self._feeds: dict[Look, Feed] = {}

    def feed(self, look: Look, on: Any) -> Feed:
        """Return the feed of a query; the first call's arguments set up the feed."""
        if look not in self._feeds:
            self._feeds[look] = Feed(lambda people: look(on, people), self._ending)
        return self._feeds[look]

    async def close(self) -> None:
        """End all feeds."""
        for each in self._feeds.values():
            await each.close()
