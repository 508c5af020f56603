"""A small HTTP server for probes and scrapes: GET and HEAD of a few pages, a connection for each.

It is meant for a network that is trusted, and yet lets nobody hold it up: an exchange has a time limit, a head has a
size limit, and there is a limit of connections.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from http import HTTPStatus
from typing import Final, NamedTuple

import structlog

from notifier.domain.errors import ConfigurationError
from notifier.runtime.addresses import host_and_port
from notifier.runtime.background import cancelled, once

EXCHANGE: Final = 10.0  # seconds for a request and its answer: as long as Prometheus waits
MAX_HEAD: Final = 8 * 1024  # bytes: Prometheus sends some two hundred
MOST: Final = 100  # connections at once: three times as many as thirty scrapers need; further ones are closed

log = structlog.get_logger(__name__)


class Answer(NamedTuple):
    """What a page says."""

    status: int
    body: bytes
    media_type: str = "application/json"


Page = Callable[[], Awaitable[Answer]]


@asynccontextmanager
async def listening(address: str, pages: Mapping[str, Page], exchange: float = EXCHANGE) -> AsyncIterator[int]:
    """Answer for pages by their paths on an address, as `runtime.addresses.listen_address` writes it; gives the port.

    Raises ConfigurationError where the address can't be listened on.
    """
    host, port = host_and_port(address)
    listener = _Listener(pages, exchange)
    try:
        server = await asyncio.start_server(listener.on_connection, host or None, port, limit=MAX_HEAD)
    except OSError as error:
        raise ConfigurationError(
            f"can't listen on {address} ({error.strerror}); set NOTIFIER_METRICS_LISTEN or --metrics-listen; "
            "each process of a machine needs a port of its own"
        ) from None
    port = server.sockets[0].getsockname()[1]
    log.info("monitoring.listening", host=host, port=port)
    try:
        yield port
    finally:
        server.close()
        await listener.close()


class _Listener:
    """The connections of a server."""

    def __init__(self, pages: Mapping[str, Page], exchange: float) -> None:
        self._pages = pages
        self._seconds = exchange
        self._open: set[asyncio.Task[None]] = set()

    def on_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._open) >= MOST:
            writer.close()
            return
        task = once("monitoring.exchange", partial(self._exchange, reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def close(self) -> None:
        """End every exchange."""
        for task in list(self._open):
            await cancelled(task)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(TimeoutError, OSError):  # whoever asked has gone, or takes too long
                async with asyncio.timeout(self._seconds):
                    writer.write(await self._answer(reader))
                    await writer.drain()
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> bytes:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            return _written(_refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE))
        except asyncio.IncompleteReadError:
            return b""
        line = head.partition(b"\r\n")[0].split(b" ")
        if len(line) != 3 or not line[2].startswith(b"HTTP/1."):
            return _written(_refusal(HTTPStatus.BAD_REQUEST))
        method, path = line[0], line[1].partition(b"?")[0].decode("latin-1")
        if path not in self._pages:
            return _written(_refusal(HTTPStatus.NOT_FOUND))
        if method not in (b"GET", b"HEAD"):
            return _written(_refusal(HTTPStatus.METHOD_NOT_ALLOWED))
        return _written(await self._ask(path), head_only=method == b"HEAD")

    async def _ask(self, path: str) -> Answer:
        try:
            return await self._pages[path]()
        except Exception as error:
            log.error("monitoring.fault", path=path, exc_info=error)
            return _refusal(HTTPStatus.INTERNAL_SERVER_ERROR)


def _refusal(status: HTTPStatus) -> Answer:
    return Answer(status, f"{status.phrase}\n".encode(), "text/plain; charset=utf-8")


def _written(answer: Answer, *, head_only: bool = False) -> bytes:
    """An answer as it goes over the wire (RFC 9112)."""
    allow = "Allow: GET, HEAD\r\n" if answer.status == HTTPStatus.METHOD_NOT_ALLOWED else ""
    head = (
        f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}\r\nContent-Type: {answer.media_type}\r\n"
        f"Content-Length: {len(answer.body)}\r\nCache-Control: no-store\r\n{allow}Connection: close\r\n\r\n"
    )
    return head.encode() + (b"" if head_only else answer.body)
