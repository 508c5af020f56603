"""Live pages: the changing part is rendered again and sent when it differs (server-sent events, WHATWG HTML §9.2)."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec
import structlog
from starlette.responses import Response, StreamingResponse

from notifier.domain.errors import StoreUnavailable

EVERY = 2.0  # seconds between two renderings
LIFE = 20.0  # seconds of a stream: an ended session is noticed when the browser reconnects
MOST = 100  # streams of a process; beyond that pages don't refresh until reloaded

log = structlog.get_logger(__name__)


class Streams:
    """The live pages open in this process; `ending` is set when the process ends them."""

    def __init__(self) -> None:
        self._open: set[object] = set()
        self.ending = asyncio.Event()

    def stream(self, draw: Callable[[], Awaitable[str]]) -> Response:
        """Stream what `draw` renders, a JSON string in each event's data. Answers 204, at which browsers stop, beyond
        `MOST` streams and when the process ends."""
        if len(self._open) >= MOST or self.ending.is_set():
            return Response(status_code=204)
        return StreamingResponse(
            self._events(draw), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
        )

    def end(self) -> None:
        """End all streams now: browsers reconnect to whichever process answers then."""
        self.ending.set()

    async def _events(self, draw: Callable[[], Awaitable[str]]) -> AsyncIterator[bytes]:
        mark = object()
        self._open.add(mark)
        try:
            yield b"retry: 500\n\n"
            ends = time.monotonic() + LIFE
            last = ""
            while time.monotonic() < ends and not self.ending.is_set():
                try:
                    drawn = await draw()
                except StoreUnavailable as error:
                    log.warning("console.live_store_unavailable", error=str(error))
                    return
                if drawn != last:
                    last = drawn
                    yield b"data: " + msgspec.json.encode(drawn) + b"\n\n"
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.ending.wait(), EVERY)
        finally:
            self._open.discard(mark)
