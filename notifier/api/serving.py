"""The HTTP server under the web process: uvicorn, and what it leaves open closed.

It upgrades to nothing and says so by going on, waits for the head of a request only so long, and lets the application
end what would never end by itself before it waits for what is under way.
"""

import asyncio
import socket
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Final

import httptools
import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from notifier.console.live import Streams
from notifier.domain.errors import ConfigurationError

HEAD_TIMEOUT: Final = 10.0  # seconds for the whole head of a request: on a bad line it takes one or two
MAX_HEAD: Final = 64 * 1024  # bytes of a head that isn't complete yet: eight times what servers commonly take
BACKLOG: Final = 2048  # connections that may wait to be taken: uvicorn's own figure


class Protocol(HttpToolsProtocol):
    """HTTP/1.1 as uvicorn has it, save for two things.

    An `Upgrade` is ignored (RFC 9110 §7.8): httptools would end the request at its head and lose the body. And a head
    has to come within so many seconds: uvicorn waits for one for ever.
    """

    def __init__(self, *args: Any, head_timeout: float, **more: Any) -> None:
        super().__init__(*args, **more)
        self._head_timeout = head_timeout
        self._head_timer: asyncio.TimerHandle | None = None
        self._head_size = 0
        self._in_body = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_no_more()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        in_head = not self._in_body
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self._refuse(400, "Invalid HTTP request received.")
            return
        if self.cycle is None or self.cycle.response_complete:  # no request is under way: a part of one, or an old body
            self._wait_for_head()
            if in_head and not self._in_body:
                self._head_size += len(data)
                if self._head_size > MAX_HEAD:
                    self._refuse(431, f"The head of a request may have {MAX_HEAD} bytes.")

    def on_headers_complete(self) -> None:
        self._in_body = True
        self._wait_no_more()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_body = False
        super().on_message_complete()

    def _should_upgrade(self) -> bool:
        """Whether the parser is about to leave HTTP: uvicorn then passes over what it says of this request."""
        return self.parser.get_method() != b"CONNECT"  # which is no request for anything here: it is refused as such

    def _feed(self, data: bytes) -> None:
        rest: bytes | memoryview = data
        while rest:
            try:
                self.parser.feed_data(rest)
                rest = b""
            except httptools.HttpParserUpgrade as upgrade:
                rest = memoryview(rest)[upgrade.args[0] :] if self._should_upgrade() else b""
                if self._should_upgrade():
                    self._begin_anew()

    def _begin_anew(self) -> None:
        """Read the head once more, without the header that leads out of HTTP."""
        version = self.parser.get_http_version().encode()
        lines = [self.parser.get_method() + b" " + self.url + b" HTTP/" + version]
        lines += [name + b": " + value for name, value in self.headers if name != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn sets it
        self.parser.feed_data(b"\r\n".join([*lines, b"", b""]))

    def _wait_for_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self._head_timeout, self._on_late_head)

    def _wait_no_more(self) -> None:
        self._head_size = 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _on_late_head(self) -> None:
        if self._head_size:
            self._refuse(408, f"The head of the request was not here after {self._head_timeout:g} seconds.")
        else:
            self.transport.close()

    def _refuse(self, status: int, why: str) -> None:
        """The answer to what never became a request, and the end of its connection."""
        if self.transport.is_closing():
            return
        head = f"content-type: text/plain; charset=utf-8\r\ncontent-length: {len(why)}\r\nconnection: close\r\n\r\n"
        self.transport.write(STATUS_LINE[status] + head.encode() + why.encode())
        self.transport.close()


def configure(app: Starlette, head_timeout: float = HEAD_TIMEOUT, **more: Any) -> uvicorn.Config:
    """How the application is served, wherever it is. Whoever serves it enters its lifespan."""
    protocol: Any = partial(Protocol, head_timeout=head_timeout)
    return uvicorn.Config(
        app, http=protocol, ws="none", lifespan="off", log_config=None, access_log=False, server_header=False, **more
    )


class ApiServer(uvicorn.Server):
    """A server that opens its application before it listens and closes it last, and raises what keeps it from starting.

    At its end streams are ended before requests under way are waited for.
    """

    def __init__(self, app: Starlette, streams: Streams, host: str, port: int, grace: int) -> None:
        super().__init__(configure(app, timeout_graceful_shutdown=grace))
        self._opened = AsyncExitStack()
        self._lifespan = app.router.lifespan_context(app)
        self._streams = streams
        self._address = host, port

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await self._opened.enter_async_context(self._lifespan)
        try:
            await super().startup(sockets or listen(*self._address))
        except BaseException:
            await self._opened.aclose()
            raise

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._streams.end()
        await super().shutdown(sockets)
        await self._opened.aclose()


def listen(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen on every address of a host; `::` is every address of this machine, IPv4's too.

    Raises ConfigurationError where the host has none, or the port is taken.
    """
    opened: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, address in dict.fromkeys((family, address) for family, _, _, _, address in found):
            both = host == "::" and socket.has_dualstack_ipv6()
            opened.append(socket.create_server(address[:2], family=family, backlog=BACKLOG, dualstack_ipv6=both))
    except OSError as error:
        for each in opened:
            each.close()
        raise ConfigurationError(
            f"can't listen on {host} port {port} ({error.strerror}); NOTIFIER_HOST and NOTIFIER_PORT say where to"
        ) from None
    return opened
