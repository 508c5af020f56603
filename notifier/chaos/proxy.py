"""A TCP proxy on loopback before a server that we can't stop: it refuses connections, or falls silent."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit

HOST = "127.0.0.1"
PART = 65_536  # bytes passed on at once
PORTS = {"redis": 6379, "amqp": 5672, "postgresql": 5432, "postgres": 5432, "mariadb": 3306, "mysql": 3306}


class TcpProxy:
    """Passes connections on to `host`:`port` from a port of its own; use it as an async context manager.

    It takes them at the port `at` of the address `listen`, 0 for any free one. `behind` may be set later, before the
    first connection.
    """

    def __init__(self, host: str = HOST, port: int = 0, *, listen: str = HOST, at: int = 0) -> None:
        self.behind = host, port
        self._flows = asyncio.Event()
        self._flows.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._passing: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = at
        self._address = listen

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._hang_up()
        for task in self._passing:
            task.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)

    @asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        """Cut every connection and refuse new ones inside this context, as a server that went down."""
        self._hang_up()
        try:
            yield
        finally:
            await self._listen()

    @asynccontextmanager
    async def silent(self) -> AsyncIterator[None]:
        """Keep connections and take new ones, but pass nothing on, as a server or a network that hangs."""
        self._flows.clear()
        try:
            yield
        finally:
            self._flows.set()

    def cut(self) -> None:
        """Cut every connection once, as a failover does."""
        for writer in self._writers:
            writer.transport.abort()

    def url(self, url: str) -> str:
        """Return the URL with this proxy in its server's place."""
        parts = urlsplit(url)
        login, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{login}{at}{HOST}:{self.port}"))

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._pass_on, self._address, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def _hang_up(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 (start_server runs this as one)
        self._passing.add(task)
        both = {writer}
        self._writers.add(writer)
        try:
            await self._flows.wait()
            behind_reader, behind_writer = await self._connect()
            both.add(behind_writer)
            self._writers.add(behind_writer)
            await asyncio.gather(self._copy(reader, behind_writer), self._copy(behind_reader, writer))
        except (OSError, asyncio.CancelledError):  # streams of Python 3.11 tell of a cancelled one as of a fault
            return
        finally:
            self._writers -= both
            for each in both:
                each.close()
            self._passing.discard(task)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*self.behind)

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while part := await reader.read(PART):
                await self._flows.wait()
                writer.write(part)
                await writer.drain()
        writer.close()


class Balancer(TcpProxy):
    """Passes each new connection on to the next of several ports of this machine that takes it."""

    def __init__(self, ports: Sequence[int]) -> None:
        super().__init__()
        self._ports = deque(ports)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        for _ in range(len(self._ports)):
            self._ports.rotate(-1)
            with contextlib.suppress(ConnectionRefusedError):
                return await asyncio.open_connection(HOST, self._ports[0])
        raise ConnectionRefusedError("nobody listens behind the balancer")


def before(url: str) -> TcpProxy:
    """Make a proxy for the server of a URL."""
    parts = urlsplit(url)
    return TcpProxy(parts.hostname or HOST, parts.port or PORTS[parts.scheme.partition("+")[0]])
