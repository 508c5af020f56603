"""One HTTP/1.1 connection: how its server is reached, and one request after the other on it.

A request is written once, in one piece, and never again: a connection that is lost after that leaves it unknown.
httptools (llhttp) reads the answers.
"""

import asyncio
import socket
import ssl
from collections.abc import Sequence
from typing import Final, NamedTuple, cast

from aiohappyeyeballs import AddrInfoType, start_connection
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from notifier.domain.errors import OutcomeUnknown
from notifier.providers.http import HttpAnswer
from notifier.providers.tunnel import NoTunnel, open_tunnel
from notifier.runtime.proxies import HttpProxy

HAPPY_EYEBALLS: Final = 0.25
"""Seconds that one address is tried before the next is tried in parallel (RFC 8305 §5)."""
MAX_ANSWER: Final = 1_048_576
"""Bytes of an answer, head and body: a hundred times the longest that a provider gives."""


class Tunnel(NamedTuple):
    """A tunnel that a proxy is to open: to a host, by name or address, and a port."""

    proxy: HttpProxy
    host: str
    port: int


class Connection(asyncio.Protocol):
    """A connection carries one request at a time, and adds itself to `connections` while it is open.

    An answer of more than `most` bytes, head and body, is not read to its end. It is lost, as any that isn't whole;
    where the `head_suffices`, an answer is one as soon as its head is there, whatever becomes of its body.
    """

    idle_since = 0.0

    def __init__(
        self, provider: str, connections: "set[Connection]", *, most: int = MAX_ANSWER, head_suffices: bool = False
    ) -> None:
        self._provider = provider
        self._connections = connections
        self._most = most
        self._head_suffices = head_suffices
        self._loop = asyncio.get_running_loop()
        self._answers = HttpResponseParser(self)
        self._waiting: asyncio.Future[HttpAnswer] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._answer: HttpAnswer | None = None
        self._reusable = True
        self.on_message_begin()

    @property
    def fit(self) -> bool:
        """Whether the connection can carry a request: it is open, and the last request is finished."""
        return self._reusable and self._waiting is None and not self._transport.is_closing()

    def ask(self, request: bytes, deadline: float) -> asyncio.Future[HttpAnswer]:
        """Write a request; its answer, or OutcomeUnknown, at the loop's time `deadline` at the latest."""
        self._answer = None
        self._received = 0
        self.on_message_begin()  # otherwise a closed connection would return the previous answer again
        self._waiting = self._loop.create_future()
        self._timer = self._loop.call_at(deadline, self._lose, "TimeoutError")
        self._transport.write(request)
        return self._waiting

    def close(self) -> None:
        """Close at once; an answer that is awaited does not come."""
        self._lose("ConnectionAbortedError")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        if self._waiting is None:  # unrequested data could be read as the next answer
            return self.close()
        self._received += len(data)
        try:
            self._answers.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            return self._lose("HttpParserError")
        if self._answer is not None:
            return self._give(self._answer)
        return self._lose("HttpParserError") if self._received > self._most else None

    def connection_lost(self, error: Exception | None) -> None:
        self._connections.discard(self)
        if error is None and self._headed and not self._framed:
            self._give(self._read())  # an answer that ends with its connection (RFC 9112 §6.3)
        self._lose("ConnectionResetError")

    def on_message_begin(self) -> None:
        self._headers: dict[bytes, bytes] = {}
        self._body = b""
        self._headed = self._framed = False
        self._reusable = self._reusable and self._answer is None  # no data may follow an answer

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        self._headed = self._answers.get_status_code() >= 200  # the answer follows a 100 or a 103
        self._framed = b"content-length" in self._headers or b"transfer-encoding" in self._headers

    def on_body(self, data: bytes) -> None:
        self._body += data

    def on_message_complete(self) -> None:
        if self._answer is None and self._headed:
            self._answer = self._read()
            self._reusable = self._answers.should_keep_alive()

    def _read(self) -> HttpAnswer:
        return HttpAnswer(self._answers.get_status_code(), self._headers, self._body)

    def _give(self, answer: HttpAnswer) -> None:
        waiting, self._waiting = self._waiting, None
        if self._timer is not None:
            self._timer.cancel()
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    def _lose(self, code: str) -> None:
        self._transport.abort()
        if self._head_suffices and self._headed:
            return self._give(self._read())
        waiting, self._waiting = self._waiting, None
        if self._timer is not None:
            self._timer.cancel()
        if waiting is not None and not waiting.done():
            waiting.set_exception(OutcomeUnknown(self._provider, code, "the request was sent, and no answer came"))
        return None


async def reach(addresses: Sequence[AddrInfoType], tunnel: Tunnel | None) -> socket.socket:
    """A socket at whose other end the server is. The addresses are its own or, where there is a tunnel, the proxy's.

    Raises an OSError where none of them answers, or no tunnel is opened.
    """
    opened = await start_connection(addresses, happy_eyeballs_delay=HAPPY_EYEBALLS)
    try:
        if tunnel is not None:
            await open_tunnel(opened, *tunnel)
    except BaseException:
        opened.close()
        raise
    return opened


async def begin(connection: Connection, opened: socket.socket, tls: ssl.SSLContext | None, name: str) -> None:
    """Speak HTTP on a socket, over TLS with the server of that name where there is a context.

    Raises an OSError where the server's certificate isn't good for that name, or the connection is closed already.
    """
    await asyncio.get_running_loop().create_connection(
        lambda: connection, sock=opened, ssl=tls, server_hostname=name if tls else None
    )
    if not connection.fit:
        raise ConnectionResetError


def unreached(error: OSError | ValueError) -> str:
    """The code of what kept a connection from being made: time-outs, TLS and look-ups are among it."""
    return error.code if isinstance(error, NoTunnel) else type(error).__name__


def tls_context() -> ssl.SSLContext:
    """A TLS context with the system's trust store, for HTTP/1.1."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
