"""HTTP/1.1 to one server over connections that stay open: what a provider's POST needs, and no more.

A connection carries one request at a time, and only one that answered in full, with nothing behind its answer, carries
another.
"""

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from aiohappyeyeballs import AddrInfoType

from notifier.domain.errors import ConfigurationError, OutcomeUnknown, Unavailable
from notifier.providers import fence
from notifier.providers.codes import DEFERRED
from notifier.providers.http import TIMEOUTS, HttpAnswer, HttpTimeouts, base_address
from notifier.providers.http_connection import Connection, Tunnel, begin, reach, tls_context, unreached
from notifier.providers.slots import SlotPool
from notifier.runtime.proxies import DIRECT, Proxies

KEEP_ALIVE: Final = 15.0
"""Seconds a connection may idle: less than the load balancers' minute, so a request rarely meets a connection that is
closing."""
DNS_TTL: Final = 60.0
"""Seconds that a provider's addresses are cached."""


class HttpClient:
    """Requests to one server on at most so many connections, on the running loop.

    `headers` are sent with each. One connection carries one request at a time: size the pool as rate × round trip.
    `tls` replaces the system's trust store; a server that `proxies` has one for is reached through it, and its name is
    looked up there. ConfigurationError for an address that isn't http or https with a host, and
    unless the connect time-out is the shorter one.
    """

    def __init__(
        self, provider: str, address: str, headers: Mapping[str, str], *, connections: int,
        timeouts: HttpTimeouts = TIMEOUTS, tls: ssl.SSLContext | None = None, proxies: Proxies = DIRECT,
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
        self._tls = (tls or tls_context()) if url.scheme == "https" else None
        self._port = url.port or (443 if self._tls else 80)
        proxy = proxies.of(base_address(address))
        self._tunnel = None if proxy is None else Tunnel(proxy, self._host, self._port)
        self._timeouts = timeouts
        self._loop = asyncio.get_running_loop()
        self._slots = SlotPool(connections)
        self._idle: deque[Connection] = deque()  # used last in, first out: the leftmost has idled longest
        self._open: set[Connection] = set()
        self._reaping: asyncio.TimerHandle | None = None
        self._resolving = asyncio.Lock()
        self._addresses: Sequence[AddrInfoType] = ()
        self._addresses_until = 0.0
        self._closed = False

    async def post(self, target: bytes, body: bytes, headers: bytes = b"") -> HttpAnswer:
        """The answer to a POST, whatever its status. `headers` are whole lines, of this request only.

        Raises Unavailable where no connection could be made or the lease has ended, and OutcomeUnknown where the
        request was written and no answer came.
        """
        return await self._ask(
            b"POST %b%b HTTP/1.1\r\n%b%bContent-Length: %d\r\n\r\n%b"
            % (self._path, target, self._headers, headers, len(body), body)
        )

    async def get(self, target: bytes) -> HttpAnswer:
        """The answer to a question that changes nothing; Unavailable where none came."""
        try:
            return await self._ask(b"GET %b%b HTTP/1.1\r\n%b\r\n" % (self._path, target, self._headers))
        except OutcomeUnknown as error:
            code = error.code
        raise Unavailable(self._provider, code, "the status query was not answered")

    async def close(self) -> None:
        """Close every connection; requests under way fail."""
        self._closed = True
        if self._reaping is not None:
            self._reaping.cancel()
        for connection in tuple(self._open):
            connection.close()

    async def _ask(self, request: bytes) -> HttpAnswer:
        began = self._loop.time()
        try:
            await self._slots.take(began + self._timeouts.connect)
        except TimeoutError:
            # Our own requests hold all connections: that says nothing about the provider and doesn't count as an
            # attempt.
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

    def _reuse(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.fit:
                return connection
        return None

    async def _connect(self, began: float) -> Connection:
        connection = Connection(self._provider, self._open)
        try:
            async with asyncio.timeout_at(began + self._timeouts.connect):
                await begin(connection, await reach(await self._resolve(), self._tunnel), self._tls, self._host)
        except (OSError, ValueError) as error:
            code = unreached(error)
        else:
            return connection
        raise Unavailable(self._provider, code, "no connection, so nothing was sent")

    async def _resolve(self) -> Sequence[AddrInfoType]:
        async with self._resolving:
            if self._loop.time() >= self._addresses_until:
                host, port = (self._host, self._port) if self._tunnel is None else self._tunnel.proxy[:2]
                self._addresses = await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
                self._addresses_until = self._loop.time() + DNS_TTL
            return self._addresses

    def _put_back(self, connection: Connection) -> None:
        if self._closed or not connection.fit:
            return connection.close()
        connection.idle_since = self._loop.time()
        self._idle.append(connection)
        if self._reaping is None:
            self._reaping = self._loop.call_later(KEEP_ALIVE, self._reap)
        return None

    def _reap(self) -> None:
        """Close connections that have idled too long, and check again when the next one is due."""
        self._reaping = None
        while self._idle:
            left = self._idle[0].idle_since + KEEP_ALIVE - self._loop.time()
            if left > 0:
                self._reaping = self._loop.call_later(left, self._reap)
                return
            self._idle.popleft().close()
