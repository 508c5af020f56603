"""One Redis of a cluster as a process, and what it answers."""

import asyncio
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import redis

from notifier.chaos.clusters.server import Server, program
from notifier.chaos.proxy import HOST
from notifier.runtime.broker_url import redis_url
from notifier.runtime.redis_clients import node

DEBIAN = "redis-server"  # Debian's package
USER = "redis"
TIMEOUT = 2  # seconds for one answer


def redis_server(port: int, folder: Path, *options: str) -> Server:
    """Make a server that keeps nothing on disk; NotInstalled where redis-server isn't there."""
    command = [
        program("redis-server", DEBIAN), "--port", str(port), "--bind", HOST, "--dir", str(folder), "--save", "",
        "--appendonly", "no", "--dbfilename", f"{port}.rdb", *options,
    ]  # fmt: skip
    return Server(f"redis-{port}", command, folder, USER)


async def answer(port: int, *command: str) -> Any:
    """Return a server's raw answer; None where it gives none."""
    return await asyncio.to_thread(_answer, port, command)


def _answer(port: int, command: tuple[str, ...]) -> Any:
    kind: Any = redis.Connection  # redis-py's connections have no types
    connection = kind(host=HOST, port=port, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT)
    try:
        connection.connect()
        connection.send_command(*command)
        return connection.read_response()
    except redis.RedisError:
        return None
    finally:
        connection.disconnect()


class RedisServers:
    """Servers of Redis, one of which has our keys, and the URL by which it is found."""

    def __init__(self, url: str, servers: Mapping[int, Server]) -> None:
        self.url = url
        self._servers = servers
        self._dead = 0  # the port of the server that was killed

    async def kill_leader(self) -> None:
        """Kill the master that has our keys (`kill -9`)."""
        self._dead = await self.leader()
        self._servers[self._dead].kill()

    async def has_leader(self) -> bool:
        """Whether another server is the master that has our keys."""
        try:
            port = await self.leader()
        except redis.ConnectionError:
            return False
        return port != self._dead and await is_master(port)

    async def rejoin(self) -> None:
        """Start the killed server again, and wait until it is a replica that has what its master has."""
        self._servers[self._dead].start()
        await self._servers[self._dead].ready(partial(is_replica, self._dead))

    async def leader(self) -> int:
        """Return the port of the master that has our keys; redis.ConnectionError where nobody knows."""
        found = await asyncio.to_thread(node, redis_url(self.url), TIMEOUT)
        assert found is not None  # noqa: S101 (the URL names several servers)
        return found[1]


async def is_replica(port: int) -> bool:
    """Whether a server is a replica that has what its master has."""
    role = await answer(port, "ROLE")
    return role is not None and role[0] == b"slave" and role[3] == b"connected"


async def is_master(port: int) -> bool:
    """Whether a server is a master."""
    role = await answer(port, "ROLE")
    return role is not None and role[0] == b"master"
