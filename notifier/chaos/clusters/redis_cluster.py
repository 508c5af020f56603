"""A Redis Cluster of three masters, each with a replica."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from notifier.chaos.clusters.redis_server import USER, RedisServers, answer, is_master, is_replica, redis_server
from notifier.chaos.clusters.server import Server, folder_of, free_ports
from notifier.chaos.proxy import HOST
from notifier.domain.errors import ConfigurationError

MASTERS = 3
SLOTS = 16_384
NODE_TIMEOUT = 2_000  # milliseconds without an answer after which the others take a node for dead


@asynccontextmanager
async def redis_cluster() -> AsyncIterator[RedisServers]:
    """Start the nodes, make a cluster of them, and wait until each says that it is whole; NotInstalled without
    redis-server."""
    found = free_ports(4 * MASTERS)
    ports, buses = found[: 2 * MASTERS], found[2 * MASTERS :]
    masters, replicas = ports[:MASTERS], ports[MASTERS:]
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(folder_of(USER))
        servers: dict[int, Server] = {}
        for port, bus in zip(ports, buses, strict=True):
            options = (
                "--cluster-enabled", "yes", "--cluster-port", str(bus), "--cluster-config-file", f"nodes-{port}.conf",
                "--cluster-node-timeout", str(NODE_TIMEOUT),
            )  # fmt: skip
            servers[port] = await stack.enter_async_context(redis_server(port, folder, *options))
        for port in ports:
            await servers[port].ready(partial(_answers, port))
        for number, port in enumerate(masters):
            first, after = number * SLOTS // MASTERS, (number + 1) * SLOTS // MASTERS
            await _ask(port, "CLUSTER", "ADDSLOTSRANGE", str(first), str(after - 1))
            await _ask(port, "CLUSTER", "SET-CONFIG-EPOCH", str(number + 1))
        for port, bus in zip(ports[1:], buses[1:], strict=True):
            await _ask(masters[0], "CLUSTER", "MEET", HOST, str(port), str(bus))
        for port in ports:
            await servers[port].ready(partial(_knows, port, 2 * MASTERS))
        for master, replica in zip(masters, replicas, strict=True):
            await _ask(replica, "CLUSTER", "REPLICATE", (await _ask(master, "CLUSTER", "MYID")).decode())
        for port in ports:
            await servers[port].ready(partial(_is_whole, port))
        yield RedisServers(f"redis+cluster://{','.join(f'{HOST}:{port}' for port in masters)}", servers)


async def _ask(port: int, *command: str) -> bytes:
    told = await answer(port, *command)
    if not isinstance(told, bytes):
        raise ConfigurationError(f"a node of a Redis Cluster refuses {' '.join(command[:2])}")
    return told


async def _answers(port: int) -> bool:
    return await answer(port, "PING") is not None


async def _knows(port: int, nodes: int) -> bool:
    told = await answer(port, "CLUSTER", "NODES")
    return told is not None and b"handshake" not in told and len(told.split(b"\n")) - 1 == nodes


async def _is_whole(port: int) -> bool:
    """Whether a node says that all slots are served, each by a master with a replica in sync."""
    info, slots = await answer(port, "CLUSTER", "INFO"), await answer(port, "CLUSTER", "SLOTS")
    if info is None or slots is None or not (await is_master(port) or await is_replica(port)):
        return False
    return b"cluster_state:ok" in info and all(len(entry) == 4 for entry in slots)
