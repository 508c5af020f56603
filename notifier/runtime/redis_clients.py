"""Clients of a Redis by a broker's URL: of one server, of the master that Sentinels name, or of our node of a cluster.

All keys are in one slot of a cluster (`RedisUrl.prefix`), for one script takes from several. So a client needs a single
node, as with Sentinels: which one is looked up whenever a connection is made, and a connection ends where its server
says that it is the wrong one by now. That is less than redis-py's client of a cluster does, which finds a node for each
key: here all that works on one server works on a cluster, too, blocking commands and scripts without keys included.
"""

from collections.abc import Iterator
from itertools import count
from typing import Any, Final

import redis
from redis import asyncio as redis_asyncio
from redis import connection as sync_connection
from redis.asyncio import connection as asyncio_connection
from redis.backoff import NoBackoff
from redis.crc import key_slot

from notifier.runtime.broker_url import NAMESPACE, REDIS_PORT, RedisUrl

Address = tuple[str, int]

# redis-py's connections have no types.
_parse_url: Any = sync_connection.parse_url
_Connection: Any = sync_connection.Connection
_TlsConnection: Any = sync_connection.SSLConnection
_AsyncConnection: Any = asyncio_connection.Connection
_AsyncTlsConnection: Any = asyncio_connection.SSLConnection

SLOT: Final = key_slot(NAMESPACE.encode())
"""The slot of a cluster that has our keys."""
AGAIN: Final = 1
"""How often a command is sent again whose server turned out to be gone or the wrong one, on a new connection."""
ELSEWHERE: Final = (
    redis.exceptions.AskError, redis.exceptions.ClusterDownError, redis.exceptions.ReadOnlyError,
    redis.exceptions.TryAgainError,
)  # fmt: skip
"""Errors by which a server says that it isn't the one with our keys; a MOVED is an ASK, too."""
ELSEWHERE_CODES: Final = ("UNBLOCKED", "-READONLY")
"""Codes of errors to the same effect that have no class: of a blocking command whose server just ceased to be the
master, and within the message of a script's error before Redis 7."""
OF_POOLS: Final = ("max_connections", "timeout")
"""Options of a URL that are a pool's, and no connection's."""


class NoServer(redis.ConnectionError):
    """No server that is named could say which one has our keys."""


def connect(url: RedisUrl, timeout: float, connections: int) -> redis.Redis:
    """Make a client whose every call ends within some time-outs of so many seconds, and whose pool of so many
    connections waits rather than fails. It connects when it is first used."""
    pool: dict[str, Any] = {"max_connections": connections, "timeout": timeout}
    if url.mode == "standalone":
        pool |= _timeouts(timeout) | _parse_url(url.node)
    else:
        pool |= _following(url, timeout, _FollowingConnection, _FollowingTlsConnection)
        pool["retry"] = redis.retry.Retry(NoBackoff(), AGAIN, supported_errors=(redis.ConnectionError,))
    waiting: Any = redis.BlockingConnectionPool
    return redis.Redis(connection_pool=waiting(**pool))


def connect_async(url: RedisUrl, timeout: float) -> redis_asyncio.Redis:
    """Make a client for asyncio, as `connect` does; close it by `aclose`."""
    if url.mode == "standalone":
        once = redis_asyncio.retry.Retry(NoBackoff(), 0)
        return redis_asyncio.Redis.from_url(url.node, retry=once, **_timeouts(timeout))
    pool = _following(url, timeout, _FollowingAsyncConnection, _FollowingAsyncTlsConnection)
    pool["retry"] = redis_asyncio.retry.Retry(NoBackoff(), AGAIN, supported_errors=(redis.ConnectionError,))
    return redis_asyncio.Redis.from_pool(redis_asyncio.ConnectionPool(**pool))


def node(url: RedisUrl, timeout: float) -> Address | None:
    """Look up the server that has our keys; None where the URL names it. NoServer where nobody answers or knows."""
    return None if url.mode == "standalone" else _locate(_Lookup(url, timeout))


def mode(url: RedisUrl, timeout: float) -> str | None:
    """Return how the servers run that a URL names, as the first that answers says: standalone, sentinel or cluster;
    None where none does."""
    for server in url.servers:
        try:
            once = redis.retry.Retry(NoBackoff(), 0)
            with redis.Redis.from_url(server, retry=once, **_timeouts(timeout)) as client:
                told: dict[str, Any] = client.info("server")
        except redis.RedisError:
            continue
        return str(told.get("redis_mode", "standalone"))
    return None


class _Lookup:
    """The question which server has our keys, and what its answer says.

    Each look begins with another server: one may hang, or may have heard of less than the others.
    """

    def __init__(self, url: RedisUrl, timeout: float) -> None:
        self.question = (
            ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", url.service) if url.mode == "sentinel" else ("CLUSTER", "SLOTS")
        )
        self._mode = url.mode
        self._servers = [_parameters(server, timeout) for server in url.servers]
        self._first = count()

    def servers(self) -> Iterator[tuple[bool, dict[str, Any]]]:
        """Whether each server is asked by TLS, and its connection's parameters."""
        first = next(self._first) % len(self._servers)
        yield from self._servers[first:] + self._servers[:first]

    def read(self, answer: Any, asked: str) -> Address | None:
        """Read an answer of the server at an address; None where it knows of none."""
        if self._mode == "sentinel":
            return _address(answer[0], answer[1], asked) if answer else None
        owners = (master for first, last, master, *_ in answer if first <= SLOT <= last)
        return next((_address(host, port, asked) for host, port, *_ in owners), None)


def _address(host: bytes | None, port: bytes | int, asked: str) -> Address:
    """A node of a cluster that doesn't know its own host is the one that was asked."""
    return (host.decode() if host else asked), int(port)


def _timeouts(seconds: float) -> dict[str, Any]:
    return {"socket_timeout": seconds, "socket_connect_timeout": seconds}


def _parameters(server: str, timeout: float) -> tuple[bool, dict[str, Any]]:
    """Whether a server is reached by TLS, and its connection's parameters."""
    found = {"host": "localhost", "port": REDIS_PORT} | _timeouts(timeout) | _parse_url(server)
    tls = found.pop("connection_class", None) is not None
    return tls, {name: value for name, value in found.items() if name not in OF_POOLS}


def _following(url: RedisUrl, timeout: float, plain: type, tls: type) -> dict[str, Any]:
    """The class of a pool's connections, and their parameters."""
    by_tls, parameters = _parameters(url.node, timeout)
    return parameters | {"connection_class": tls if by_tls else plain, "lookup": _Lookup(url, timeout)}


def _is_elsewhere(error: redis.ResponseError) -> bool:
    return isinstance(error, ELSEWHERE) or any(code in str(error) for code in ELSEWHERE_CODES)


def _locate(lookup: _Lookup) -> Address:
    for tls, parameters in lookup.servers():
        connection = (_TlsConnection if tls else _Connection)(**parameters)
        try:
            connection.connect()
            connection.send_command(*lookup.question)
            found = lookup.read(connection.read_response(), parameters["host"])
        except redis.RedisError:
            continue
        finally:
            connection.disconnect()
        if found is not None:
            return found
    raise NoServer("no server that is named knows which one has our keys")


async def _locate_async(lookup: _Lookup) -> Address:
    for tls, parameters in lookup.servers():
        connection = (_AsyncTlsConnection if tls else _AsyncConnection)(**parameters)
        try:
            await connection.connect()
            await connection.send_command(*lookup.question)
            found = lookup.read(await connection.read_response(), parameters["host"])
        except redis.RedisError:
            continue
        finally:
            await connection.disconnect(nowait=True)
        if found is not None:
            return found
    raise NoServer("no server that is named knows which one has our keys")


class _FollowingConnection(_Connection):  # type: ignore[misc]
    """A connection to the server that has our keys when it is made."""

    def __init__(self, *, lookup: _Lookup, **parameters: Any) -> None:
        self._lookup = lookup
        super().__init__(**parameters)

    def _connect(self) -> Any:
        self.host, self.port = _locate(self._lookup)
        return super()._connect()

    def read_response(self, *arguments: Any, **options: Any) -> Any:
        try:
            return super().read_response(*arguments, **options)
        except redis.ResponseError as error:
            if not _is_elsewhere(error):
                raise
            self.disconnect()
            raise redis.ConnectionError(f"our keys are elsewhere by now ({type(error).__name__})") from None


class _FollowingTlsConnection(_FollowingConnection, _TlsConnection):  # type: ignore[misc]
    """The same by TLS."""


class _FollowingAsyncConnection(_AsyncConnection):  # type: ignore[misc]
    """The same for asyncio."""

    def __init__(self, *, lookup: _Lookup, **parameters: Any) -> None:
        self._lookup = lookup
        super().__init__(**parameters)

    async def _connect(self) -> None:
        self.host, self.port = await _locate_async(self._lookup)
        await super()._connect()

    async def read_response(self, *arguments: Any, **options: Any) -> Any:
        try:
            return await super().read_response(*arguments, **options)
        except redis.ResponseError as error:
            if not _is_elsewhere(error):
                raise
            await self.disconnect(nowait=True)
            raise redis.ConnectionError(f"our keys are elsewhere by now ({type(error).__name__})") from None


class _FollowingAsyncTlsConnection(_FollowingAsyncConnection, _AsyncTlsConnection):  # type: ignore[misc]
    """The same by TLS."""
