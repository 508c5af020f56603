"""The scripted server: it answers each request as a case of the behaviour table says, and notes what came."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Final, NamedTuple

from clients.table import Answer, Case, as_answer

RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER by which closing a connection resets it."""


class Request(NamedTuple):
    """A request that was read whole; `at` is when, and `answered` when its answer began, in the loop's seconds."""

    headers: dict[str, str]
    events: list[dict[str, Any]]
    size: int
    at: float

    @property
    def ids(self) -> list[str]:
        """The events' ids, in order."""
        return [event["id"] for event in self.events]


class ScriptedServer:
    """Answers on a port of its own as a case says.

    A connection that is reset before its request counts as an answer of the table, and as no request.
    """

    def __init__(self, case: Case) -> None:
        self.requests: list[Request] = []
        self.answered: dict[int, float] = {}
        self.released = asyncio.Event()
        self.port = 0
        self._case = case
        self._override: Answer | None = None
        self._turn = 0
        self._came = asyncio.Condition()
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}

    @property
    def url(self) -> str:
        """The address that clients are given."""
        return f"http://127.0.0.1:{self.port}"

    def answer(self, told: str) -> None:
        """Answer so from now on."""
        self._override = as_answer(told)

    async def listen(self) -> None:
        """Listen, at the same port as before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, reuse_address=True)
        self.port = self._server.sockets[0].getsockname()[1]

    async def deafen(self) -> None:
        """Listen no more, and end all connections."""
        if self._server is not None:
            self._server.close()
            self._server = None
        serving = list(self._connections.values())
        for each in list(self._connections):
            each.transport.abort()
        await asyncio.gather(*(task for task in serving if task is not None))

    async def until(self, requests: int) -> None:
        """Wait until so many requests have been read."""
        async with self._came:
            await self._came.wait_for(lambda: len(self.requests) >= requests)

    async def until_sent(self, ids: set[str]) -> None:
        """Wait until these events have come since the server was last told how to answer."""
        async with self._came:
            await self._came.wait_for(lambda: ids <= {id_ for request in self.requests for id_ in request.ids})

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections[writer] = asyncio.current_task()
        try:
            while await self._one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has left
        finally:
            self._connections.pop(writer, None)
            writer.close()

    def _next(self) -> Answer:
        self._turn += 1
        return self._override or self._case.answer(self._turn - 1)

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Take one request, and answer it; whether the connection goes on."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        answer = self._next()
        if answer.how == "reset":
            return _reset(writer)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await _body(reader, headers)
        number = len(self.requests)
        async with self._came:
            now = asyncio.get_running_loop().time()
            self.requests.append(Request({**headers, ":": head[0]}, json.loads(body), len(body), now))
            self._came.notify_all()
        match answer.how:
            case "reset after body":
                return _reset(writer)
            case "silence":
                await reader.read()
                return False
            case "hold":
                await self.released.wait()
        self.answered[number] = asyncio.get_running_loop().time()
        writer.write(_answered(answer, self.requests[number]))
        await writer.drain()
        return answer.how != "accept and close"


@asynccontextmanager
async def scripted(case: Case) -> AsyncIterator[ScriptedServer]:
    """A scripted server for a case, which listens."""
    server = ScriptedServer(case)
    await server.listen()
    try:
        yield server
    finally:
        server.released.set()
        await server.deafen()


def _reset(writer: asyncio.StreamWriter) -> bool:
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()
    return False


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(headers.get("content-length", 0)))
    parts = []
    while size := int(await reader.readuntil(b"\r\n"), 16):
        parts.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readexactly(2)
    return b"".join(parts)


def _answered(answer: Answer, request: Request) -> bytes:
    """Return the answer's bytes."""
    if answer.page:
        return _response(answer.page, "text/html", b"<html><h1>nginx</h1></html>", answer)
    if answer.how == "redirect":
        return _response(307, "text/plain", b"", answer, Location="/elsewhere")
    if answer.how == "nonsense":
        return _response(202, "text/html", b"<html>Welcome to our Wi-Fi</html>", answer)
    too_large = answer.limit and request.size > answer.limit
    if too_large and answer.by_proxy:
        return _response(413, "text/html", b"<html><h1>nginx</h1></html>", answer)
    if answer.problem or too_large:
        return _problem(answer.problem or 41301, answer)
    results = [_result(index, event, answer) for index, event in enumerate(request.events)]
    if answer.how == "short":
        results.pop()
    return _json(202, {"accepted": len(results), "refused": 0, "results": results}, answer)


def _result(index: int, event: dict[str, Any], answer: Answer) -> dict[str, Any]:
    number = answer.refuse.get(event["id"])
    if number is None:
        return {"status": "accepted", "source": event["source"], "id": event["id"], "event": f"e-{event['id']}"}
    return {"status": "refused", "index": index, "problem": _document(number)}


def _document(number: int) -> dict[str, Any]:
    return {
        "type": f"/problems/{number}", "title": "No", "status": number // 100, "code": number,
        "detail": "because the table says so", "pointer": "/data/n", "later_member": [1, {"two": 2}],
    }  # fmt: skip


def _problem(number: int, answer: Answer) -> bytes:
    return _json(number // 100, _document(number), answer, "application/problem+json")


def _json(status: int, told: Any, answer: Answer, media: str = "application/json") -> bytes:
    return _response(status, media, json.dumps(told).encode(), answer)


def _response(status: int, media: str, body: bytes, answer: Answer, **more: str) -> bytes:
    now = datetime.now(UTC) + timedelta(seconds=answer.clock)
    headers = {
        "Date": format_datetime(now, usegmt=True),
        "Content-Type": media,
        "Content-Length": str(len(body)),
        **more,
    }
    if answer.retry_after is not None:
        headers["Retry-After"] = str(answer.retry_after)
    if answer.retry_date is not None:
        headers["Retry-After"] = format_datetime(now + timedelta(seconds=answer.retry_date), usegmt=True)
    lines = [f"HTTP/1.1 {status} Told", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode() + body
