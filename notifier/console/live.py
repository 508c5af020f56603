"""Live pages: the part that changes is drawn again and sent when it differs (server-sent events, WHATWG HTML §9.2)."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec
import structlog
from starlette.responses import Response, StreamingResponse

from notifier.errors import StoreUnavailable

EVERY = 2.0  # seconds between two looks
LIFE = 20.0  # seconds: less than a web process's grace, and a session that is over is noticed; browsers come back
MOST = 100  # streams of a process; past it pages stand still until they are loaded again

log = structlog.get_logger(__name__)
_open: set[object] = set()


def stream(draw: Callable[[], Awaitable[str]]) -> Response:
    """A stream of what `draw` makes, a JSON string in each event's data; past `MOST` a 204, at which browsers stop."""
    if len(_open) >= MOST:
        return Response(status_code=204)
    return StreamingResponse(_events(draw), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def _events(draw: Callable[[], Awaitable[str]]) -> AsyncIterator[bytes]:
    mark = object()
    _open.add(mark)
    try:
        yield b"retry: 500\n\n"
        ends = time.monotonic() + LIFE
        last = ""
        while time.monotonic() < ends:
            try:
                drawn = await draw()
            except StoreUnavailable as error:
                log.warning("console.live_store_unavailable", error=str(error))
                return
            if drawn != last:
                last = drawn
                yield b"data: " + msgspec.json.encode(drawn) + b"\n\n"
            await asyncio.sleep(EVERY)
    finally:
        _open.discard(mark)
