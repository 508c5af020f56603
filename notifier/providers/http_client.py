"""HTTP/1.1 to one server over connections that stay open: what a provider's POST needs, and no more.

Each request is written once, in one piece, and never again: a connection that is lost after that leaves it unknown.
httptools (llhttp) reads the answers. A connection carries one request at a time, and only one that answered in full,
with nothing behind its answer, carries another.
"""

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final, cast
from urllib.parse import urlsplit

from aiohappyeyeballs import AddrInfoType, start_connection
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from notifier.domain.errors import ConfigurationError, OutcomeUnknown, Unavailable
from notifier.providers import fence
from notifier.providers.codes import DEFERRED
from notifier.providers.http import TIMEOUTS, Answer, Timeouts, base_address
from notifier.providers.slots import SlotPool
from notifier.providers.tunnel import NoTunnel, open_tunnel
from notifier.runtime.proxies import DIRECT, Proxies

KEEP_ALIVE: Final = 15.0
"""Seconds a connection may idle: less than the load balancers' minute, so that a request hardly ever meets a closing
one."""
DNS_TTL: Final = 60.0
"""Seconds a provider's addresses are remembered."""
HAPPY_EYEBALLS: Final = 0.25
"""Seconds that one address is tried before the next one is too (RFC 8305 §5)."""
MAX_ANSWER: Final = 1_048_576
"""Bytes of an answer, head and body: a hundred times the longest that a provider gives."""


class HttpClient:
    """Requests to one server on at most so many connections, on the running loop.

    `headers` are sent with each. One connection carries one request at a time: size the pool as rate × round trip.
    `tls` replaces the system's trust store; a server that `proxies` has one for is reached through it, and its name is
    looked up there. ConfigurationError for an address that isn't http or https with a host, and
    unless the connect time-out is the shorter one.
    """

    def __init__(
        self, provider: str, address: str, headers: Mapping[str, str], *, connections: int,
        timeouts: Timeouts = TIMEOUTS, tls: ssl.SSLContext | None = None, proxies: Proxies = DIRECT,
    ) -> None:  # fmt: skip
        if not 0 < timeouts.connect < timeouts.total:
            raise ConfigurationError("the connect time-out must be shorter than the total time-out")
        url = urlsplit(base_address(address))
        self._provider = provider
        self._path = url.path.encode()
        self._headers = "".join(
            f"{name}: {value}\r\n" for name, value in {"Host": url.netloc, **headers}.items()
        ).encode()
        self._host = url.hostname or ""
        self._tls = (tls or _tls_context()) if url.scheme == "https" else None
        self._port = url.port or (443 if self._tls else 80)
        self._proxy = proxies.of(base_address(address))
        self._timeouts = timeouts
        self._loop = asyncio.get_running_loop()
        self._slots = SlotPool(connections)
        self._idle: deque[_Connection] = deque()  # used last in, first out: the one at the left idles longest
        self._open: set[_Connection] = set()
        self._reaping: asyncio.TimerHandle | None = None
        self._resolving = asyncio.Lock()
        self._addresses: Sequence[AddrInfoType] = ()
        self._addresses_until = 0.0
        self._closed = False

    async def post(self, target: bytes, body: bytes, headers: bytes = b"") -> Answer:
        """The answer to a POST, whatever its status. `headers` are whole lines, of this request only.

        Raises Unavailable where no connection could be made or the lease has ended, and OutcomeUnknown where the
        request was written and no answer came.
        """
        return await self._ask(
            b"POST %b%b HTTP/1.1\r\n%b%bContent-Length: %d\r\n\r\n%b"
            % (self._path, target, self._headers, headers, len(body), body)
        )

    async def get(self, target: bytes) -> Answer:
        """The answer to a question that changes nothing; Unavailable where none came."""
        try:
            return await self._ask(b"GET %b%b HTTP/1.1\r\n%b\r\n" % (self._path, target, self._headers))
        except OutcomeUnknown as error:
            code = error.code
        raise Unavailable(self._provider, code, "the question was not answered")

    async def close(self) -> None:
        """Close every connection; requests under way fail."""
        self._closed = True
        if self._reaping is not None:
            self._reaping.cancel()
        for connection in tuple(self._open):
            connection.close()

    async def _ask(self, request: bytes) -> Answer:
        began = self._loop.time()
        try:
            await self._slots.take(began + self._timeouts.connect)
        except TimeoutError:
            # Requests of our own keep them: it says nothing of the provider, and is no try.
            raise Unavailable(
                self._provider, "busy", "no connection was free in time", retry_class=DEFERRED, about="ourselves"
            ) from None
        try:
            connection = self._reuse() or await self._connect(began)
            try:
                fence.check(self._provider)
                return await connection.ask(request, began + self._timeouts.total)
            finally:
                self._put_back(connection)
        finally:
            self._slots.give_back()

    def _reuse(self) -> "_Connection | None":
        while self._idle:
            connection = self._idle.pop()
            if connection.fit:
                return connection
        return None

    async def _connect(self, began: float) -> "_Connection":
        try:
            async with asyncio.timeout_at(began + self._timeouts.connect):
                opened = await self._reach()
                name = self._host if self._tls else None
                _, connection = await self._loop.create_connection(
                    lambda: _Connection(self._provider, self._open, self._loop),
                    sock=opened,
                    ssl=self._tls,
                    server_hostname=name,
                )
            code = "" if connection.fit else "ConnectionResetError"
        except NoTunnel as error:
            code = error.code
        except (OSError, ValueError) as error:  # time-outs, TLS and look-ups are among them
            code = type(error).__name__
        if code:
            raise Unavailable(self._provider, code, "no connection, so nothing was sent")
        return connection

    async def _reach(self) -> socket.socket:
        """A socket at whose other end the server is, through the proxy where there is one."""
        opened = await start_connection(await self._resolve(), happy_eyeballs_delay=HAPPY_EYEBALLS)
        try:
            if self._proxy is not None:
                await open_tunnel(opened, self._proxy, self._host, self._port)
        except BaseException:
            opened.close()
            raise
        return opened

    async def _resolve(self) -> Sequence[AddrInfoType]:
        async with self._resolving:
            if self._loop.time() >= self._addresses_until:
                host, port = (self._host, self._port) if self._proxy is None else self._proxy[:2]
                self._addresses = await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
                self._addresses_until = self._loop.time() + DNS_TTL
            return self._addresses

    def _put_back(self, connection: "_Connection") -> None:
        if self._closed or not connection.fit:
            return connection.close()
        connection.idle_since = self._loop.time()
        self._idle.append(connection)
        if self._reaping is None:
            self._reaping = self._loop.call_later(KEEP_ALIVE, self._reap)
        return None

    def _reap(self) -> None:
        """Close those that have idled for too long, and look again when the next one has."""
        self._reaping = None
        while self._idle:
            left = self._idle[0].idle_since + KEEP_ALIVE - self._loop.time()
            if left > 0:
                self._reaping = self._loop.call_later(left, self._reap)
                return
            self._idle.popleft().close()


class _Connection(asyncio.Protocol):
    """A connection, and the one request that it carries; adds itself to `connections` while it is open."""

    idle_since = 0.0

    def __init__(self, provider: str, connections: "set[_Connection]", loop: asyncio.AbstractEventLoop) -> None:
        self._provider = provider
        self._connections = connections
        self._loop = loop
        self._answers = HttpResponseParser(self)
        self._waiting: asyncio.Future[Answer] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._answer: Answer | None = None
        self._reusable = True
        self.on_message_begin()

    @property
    def fit(self) -> bool:
        """Whether it can carry a request: it is open, and nothing of the last one is under way."""
        return self._reusable and self._waiting is None and not self._transport.is_closing()

    def ask(self, request: bytes, deadline: float) -> asyncio.Future[Answer]:
        """Write a request; its answer, or OutcomeUnknown, at the loop's time `deadline` at the latest."""
        self._answer = None
        self._received = 0
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
        if self._waiting is None:  # what nobody asked for could be taken for the next answer
            return self.close()
        self._received += len(data)
        try:
            self._answers.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            return self._lose("HttpParserError")
        if self._answer is not None:
            return self._give(self._answer)
        return self._lose("HttpParserError") if self._received > MAX_ANSWER else None

    def connection_lost(self, error: Exception | None) -> None:
        self._connections.discard(self)
        if error is None and self._headed and not self._framed:
            self._give(self._read())  # an answer that ends with its connection (RFC 9112 §6.3)
        self._lose("ConnectionResetError")

    def on_message_begin(self) -> None:
        self._headers: dict[bytes, bytes] = {}
        self._body = b""
        self._headed = self._framed = False
        self._reusable = self._reusable and self._answer is None  # nothing may be behind an answer

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        self._headed = True
        self._framed = b"content-length" in self._headers or b"transfer-encoding" in self._headers

    def on_body(self, data: bytes) -> None:
        self._body += data

    def on_message_complete(self) -> None:
        # Behind a 100 or a 103 comes the answer.
        if self._answer is None and self._answers.get_status_code() >= 200:
            self._answer = self._read()
            self._reusable = self._answers.should_keep_alive()

    def _read(self) -> Answer:
        return Answer(self._answers.get_status_code(), self._headers, self._body)

    def _give(self, answer: Answer) -> None:
        waiting, self._waiting = self._waiting, None
        if self._timer is not None:
            self._timer.cancel()
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    def _lose(self, code: str) -> None:
        waiting, self._waiting = self._waiting, None
        if self._timer is not None:
            self._timer.cancel()
        self._transport.abort()
        if waiting is not None and not waiting.done():
            waiting.set_exception(OutcomeUnknown(self._provider, code, "it was sent, and the answer never came"))


def _tls_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
