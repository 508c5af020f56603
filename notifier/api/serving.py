"""The HTTP server of the web process: uvicorn, with the gaps that it leaves closed.

The server ignores every `Upgrade`, limits the time for the head of a request, lets a client that it refuses read why,
and on shutdown has the application end its streams before it waits for the requests under way.
"""

import asyncio
import socket
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Final, cast

import httptools
import structlog
import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from notifier.api.lingering import LINGER, LingeringTransport
from notifier.api.peers import Peers
from notifier.console.live import Streams
from notifier.domain.errors import ConfigurationError
from notifier.runtime.addresses import networks
from notifier.runtime.settings import Settings

HEAD_TIMEOUT: Final = 10.0  # seconds for the whole head of a request: on a bad line one takes one or two
MAX_HEAD: Final = 64 * 1024  # bytes of an incomplete head: eight times what servers commonly accept
BACKLOG: Final = 2048  # connections that may wait to be accepted: uvicorn's own figure
HSTS: Final = 365 * 24 * 60 * 60  # seconds for which browsers come by HTTPS alone (RFC 6797): the usual year

log = structlog.get_logger(__name__)


class Protocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 protocol with four changes.

    An `Upgrade` is ignored (RFC 9110 §7.8): httptools would end the request at its head and lose the body. The head of
    a request has a time limit in seconds: uvicorn would wait for ever. A connection that is closed inside a request
    lingers, likewise limited: uvicorn would close it at once, and its client would read a reset instead of the answer.
    A peer that has its most connections is given no more: uvicorn would take whatever comes.
    """

    def __init__(self, *args: Any, peers: Peers, head_timeout: float, linger: float, **more: Any) -> None:
        super().__init__(*args, **more)
        self._peers = peers
        self._peer: bytes | None = None
        self._head_timeout = head_timeout
        self._linger = linger
        self._head_timer: asyncio.TimerHandle | None = None
        self._head_size = 0
        self._in_body = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._connection = LingeringTransport(transport, lambda: self._in_body or self._head_size > 0, self._linger)
        super().connection_made(cast(asyncio.Transport, self._connection))
        if self.client is not None:
            self._peer = self._peers.enter(self.client[0])
            if self._peer is None:
                self._refuse(429, "This address has too many connections open; close some, or reuse them.")
                return
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._peer is not None:
            self._peers.leave(self._peer)
        self._connection.on_lost()
        self._wait_no_more()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._unset_keepalive_if_required()
        in_head = not self._in_body
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self._head_size += len(data)
            self._refuse(400, "Invalid HTTP request received.")
            return
        if self.cycle is None or self.cycle.response_complete:  # between requests: part of a head, or an old body
            self._wait_for_head()
            if in_head and not self._in_body:
                self._head_size += len(data)
                if self._head_size > MAX_HEAD:
                    self._refuse(431, f"The head of a request may have at most {MAX_HEAD} bytes.")

    def on_headers_complete(self) -> None:
        self._in_body = True
        self._wait_no_more()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_body = False
        super().on_message_complete()

    def _should_upgrade(self) -> bool:
        """Whether the parser is about to leave HTTP: uvicorn then ignores the parser's callbacks for this request."""
        return self.parser.get_method() != b"CONNECT"  # CONNECT goes on as a request, which is refused

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
        """Parse the head again without the `Upgrade` header."""
        version = self.parser.get_http_version().encode()
        lines = [self.parser.get_method() + b" " + self.url + b" HTTP/" + version]
        lines += [name + b": " + value for name, value in self.headers if name != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn sets this
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
            self._refuse(408, f"The head of the request did not arrive within {self._head_timeout:g} seconds.")
        else:
            self.transport.close()

    def _refuse(self, status: int, why: str) -> None:
        """Answer an incomplete request and close its connection."""
        if self.transport.is_closing():
            return
        head = f"content-type: text/plain; charset=utf-8\r\ncontent-length: {len(why)}\r\nconnection: close\r\n\r\n"
        self.transport.write(STATUS_LINE[status] + head.encode() + why.encode())
        self.transport.close()


def configure(
    app: Starlette, settings: Settings, head_timeout: float = HEAD_TIMEOUT, linger: float = LINGER, **more: Any
) -> uvicorn.Config:
    """Return uvicorn's configuration for the application. The caller enters the application's lifespan."""
    proxies = networks(settings.trusted_proxies)
    peers = Peers(settings.connections_per_address, proxies)
    protocol: Any = partial(Protocol, peers=peers, head_timeout=head_timeout, linger=linger)
    return uvicorn.Config(
        app, http=protocol, ws="none", lifespan="off", log_config=None, access_log=False, server_header=False,
        forwarded_allow_ips=[str(each) for each in proxies], headers=headers_of_all(settings.public_url), **more
    )  # fmt: skip


def headers_of_all(public_url: str) -> list[tuple[str, str]]:
    """Return the headers of every answer: no guessing of content types and, where the public address is HTTPS, no HTTP.

    Other hosts of the domain aren't ours to decide about, so Strict-Transport-Security says nothing of subdomains.
    """
    headers = [("X-Content-Type-Options", "nosniff")]
    if public_url.startswith("https:"):
        headers.append(("Strict-Transport-Security", f"max-age={HSTS}"))
    return headers


class ApiServer(uvicorn.Server):
    """A server that opens its application before it listens, closes it last, and raises the error that prevents its
    start.

    On shutdown it ends streams before it waits for the requests under way.
    """

    def __init__(self, app: Starlette, settings: Settings, streams: Streams, host: str, port: int, grace: int) -> None:
        super().__init__(configure(app, settings, timeout_graceful_shutdown=grace))
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
        log.info("web.ready", host=self._address[0], port=self.servers[0].sockets[0].getsockname()[1])

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._streams.end()
        await super().shutdown(sockets)
        await self._opened.aclose()


def listen(host: str, port: int) -> list[socket.socket]:
    """Return sockets that listen on every address of a host; `::` is every address of this machine, IPv4 included.

    Raises ConfigurationError where the host has no address or the port is in use.
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
            f"can't listen on {host} port {port} ({error.strerror}); set NOTIFIER_HOST and NOTIFIER_PORT"
        ) from None
    return opened
