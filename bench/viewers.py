"""Many who look at a map, in a process of their own: bare sockets, of which one in ten reads what it is sent.

`python -m bench.viewers` reads a line of JSON: the server's port and each viewer's box. It prints a line when all have
their snapshot, measures until its standard input ends, and prints what it has seen.
"""

import asyncio
import re
import sys
import time
from datetime import datetime
from typing import Final

import msgspec
import uvloop

READS: Final = 10
"""One in so many viewers reads the instants in what it is sent: all would take more CPU than the server."""
AT_ONCE: Final = 100
"""Viewers that connect together: the server's backlog holds them."""
PATIENCE: Final = 120
"""Seconds for all snapshots."""
_CHANGED: Final = re.compile(rb'"changed_at":"([^"]+)"')
_END: Final = b"\n\n"


class Plan(msgspec.Struct):
    """Where the server is, and what each viewer looks at."""

    port: int
    boxes: list[str]


class Seen(msgspec.Struct):
    """What was seen after all had their snapshots: milliseconds from a port's status to a viewer who reads, chunks and
    bytes of all, connections that ended, and the process' CPU seconds."""

    lags_ms: list[float]
    chunks: int
    bytes: int
    ended: int
    cpu_s: float


class Viewer(asyncio.Protocol):
    """One connection."""

    def __init__(self, seen: Seen, box: str, reads: bool) -> None:
        self.shown: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._seen = seen
        self._box = box
        self._reads = reads
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        head = f"GET /v1/stations/live?bbox={self._box} HTTP/1.1\r\nHost: bench\r\n\r\n"
        transport.write(head.encode())  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        if not self.shown.done():
            self._tail += data
            if b"event: snapshot" in self._tail and self._tail.rstrip(b"\r\n").endswith(b"}"):
                self._tail = b""
                self.shown.set_result(None)
            return
        self._seen.chunks += 1
        self._seen.bytes += len(data)
        if self._reads:
            now, text = time.time(), self._tail + data
            whole = text.rfind(_END) + 1
            self._tail = text[whole:]
            for each in _CHANGED.findall(text[:whole]):
                self._seen.lags_ms.append(1000 * (now - datetime.fromisoformat(each.decode()).timestamp()))

    def connection_lost(self, exc: Exception | None) -> None:
        self._seen.ended += 1
        if not self.shown.done():
            self.shown.set_exception(exc or ConnectionError("the stream ended before its snapshot"))


async def look(plan: Plan) -> None:
    """Connect all, and look until standard input ends."""
    loop, seen = asyncio.get_running_loop(), Seen([], 0, 0, 0, 0)
    open_: list[asyncio.BaseTransport] = []
    async with asyncio.timeout(PATIENCE):
        for first in range(0, len(plan.boxes), AT_ONCE):
            open_ += await asyncio.gather(
                *(_connect(seen, plan, number) for number in range(first, min(first + AT_ONCE, len(plan.boxes))))
            )
    seen.chunks = seen.bytes = 0
    seen.lags_ms.clear()
    began = time.process_time()
    print("ready", flush=True)
    await loop.run_in_executor(None, sys.stdin.buffer.read)
    seen.cpu_s = round(time.process_time() - began, 2)
    print(msgspec.json.encode(seen).decode(), flush=True)


async def _connect(seen: Seen, plan: Plan, number: int) -> asyncio.BaseTransport:
    box = plan.boxes[number]
    transport, viewer = await asyncio.get_running_loop().create_connection(
        lambda: Viewer(seen, box, number % READS == 0), "127.0.0.1", plan.port
    )
    await viewer.shown
    return transport


def main() -> None:
    """Read the plan, and look."""
    uvloop.run(look(msgspec.json.decode(sys.stdin.buffer.readline(), type=Plan)))


if __name__ == "__main__":
    main()
