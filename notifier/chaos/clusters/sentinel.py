"""A Redis with two replicas, watched by three Sentinels."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

from notifier.chaos.clusters.redis_server import (
    DEBIAN,
    USER,
    RedisServers,
    answer,
    is_master,
    is_replica,
    redis_server,
)
from notifier.chaos.clusters.server import Server, folder_of, free_ports, program
from notifier.chaos.proxy import HOST

REPLICAS = 2
SENTINELS = 3
QUORUM = 2
SERVICE = "mymaster"
DOWN_AFTER = 2_000  # milliseconds without an answer after which a Sentinel takes a server for dead
FAILOVER_TIMEOUT = 10_000  # milliseconds after which a fail-over that came to nothing is tried again


@asynccontextmanager
async def sentinel_cluster() -> AsyncIterator[RedisServers]:
    """Start the servers and the Sentinels, and wait until those know each other; NotInstalled without redis-server."""
    ports = free_ports(1 + REPLICAS + SENTINELS)
    of_servers, of_sentinels = ports[: 1 + REPLICAS], ports[1 + REPLICAS :]
    master = of_servers[0]
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(folder_of(USER))
        servers: dict[int, Server] = {}
        sentinels: dict[int, Server] = {}
        for port in of_servers:
            following = [] if port == master else ["--replicaof", HOST, str(master)]
            servers[port] = await stack.enter_async_context(redis_server(port, folder, *following))
        for port in of_servers:
            await servers[port].ready(partial(is_master if port == master else is_replica, port))
        for port in of_sentinels:
            command = [program("redis-server", DEBIAN), str(_told(folder, port, master)), "--sentinel"]
            sentinels[port] = await stack.enter_async_context(Server(f"sentinel-{port}", command, folder, USER))
        for port, sentinel in sentinels.items():
            await sentinel.ready(partial(_knows_all, port))
        named = ",".join(f"{HOST}:{port}" for port in of_sentinels)
        yield RedisServers(f"redis+sentinel://{named}/{SERVICE}/0", servers)


def _told(folder: Path, port: int, master: int) -> Path:
    """Write a Sentinel's configuration, which it changes itself."""
    path = folder / f"sentinel-{port}.conf"
    path.write_text(
        f"port {port}\nbind {HOST}\ndir {folder}\n"
        f"sentinel monitor {SERVICE} {HOST} {master} {QUORUM}\n"
        f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER}\n"
        f"sentinel failover-timeout {SERVICE} {FAILOVER_TIMEOUT}\n"
    )
    if os.geteuid() == 0:
        shutil.chown(path, USER)
    return path


async def _knows_all(port: int) -> bool:
    told = await answer(port, "SENTINEL", "MASTER", SERVICE)
    if told is None:
        return False
    known = told if isinstance(told, dict) else dict(zip(told[::2], told[1::2], strict=True))
    return (int(known[b"num-slaves"]), int(known[b"num-other-sentinels"])) == (REPLICAS, SENTINELS - 1)
