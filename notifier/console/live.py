"""Live pages: the part that changes is drawn again and sent when it differs (server-sent events, WHATWG HTML §9.2)."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec
import structlog
from starlette.responses import Response, StreamingResponse

from notifier.domain.errors import StoreUnavailable

EVERY = 2.0  # seconds between two looks
LIFE = 20.0  # seconds: a session that is over is noticed; browsers come back
MOST = 100  # streams of a process; past it pages stand still until they are loaded again

log = structlog.get_logger(__name__)


class Streams:
    """The live pages that are open in this process, until it ends them; `ending` is set by then."""

    def __init__(self) -> None:
        self._open: set[object] = set()
        self.ending = asyncio.Event()

    def stream(self, draw: Callable[[], Awaitable[str]]) -> Response:
        """A stream of what `draw` makes, a JSON string in each event's data; past `MOST`, and when the process ends, a
        204, at which browsers stop."""
        if len(self._open) >= MOST or self.ending.is_set():
            return Response(status_code=204)
        return StreamingResponse(
            self._events(draw), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
        )

    def end(self) -> None:
        """End all of them now: browsers come back, to whoever answers then."""
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
