"""A RabbitMQ of three nodes, which keeps quorum queues on all of them."""

import asyncio
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import pika
import pika.exceptions

from notifier.chaos.clusters.server import Server, folder_of, free_ports, program
from notifier.chaos.proxy import HOST

DEBIAN = "rabbitmq-server"  # Debian's package
USER = "rabbitmq"
NODES = 3
TIMEOUT = 3  # seconds for one answer
STARTED = 120  # seconds for a node to start, however slow the cores


class RabbitmqCluster:
    """The nodes by their ports, and the URL that names them; connections go to the first one that answers."""

    def __init__(self, nodes: Mapping[int, Server]) -> None:
        self.url = f"amqp://guest:guest@{','.join(f'{HOST}:{port}' for port in nodes)}/%2F"
        self._nodes = nodes
        self._dead = 0  # the port of the node that was killed

    async def kill_leader(self) -> None:
        """Kill the node to which everybody is connected, and which leads the queues that they declared (`kill -9`)."""
        self._dead = next(iter(self._nodes))
        self._nodes[self._dead].kill()

    async def has_leader(self) -> bool:
        """Whether a node that lives takes connections."""
        return any([await takes_connections(port) for port in self._nodes if port != self._dead])

    async def rejoin(self) -> None:
        """Start the killed node again, and wait until it takes connections."""
        self._nodes[self._dead].start()
        await self._nodes[self._dead].ready(partial(takes_connections, self._dead), STARTED)


@asynccontextmanager
async def rabbitmq_cluster() -> AsyncIterator[RabbitmqCluster]:
    """Start the nodes, which join the first one, on a port mapper of their own; NotInstalled without
    rabbitmq-server."""
    server = program("rabbitmq-server", DEBIAN)
    mapper, *ports = free_ports(1 + 2 * NODES)
    named = {f"n{number}@localhost": at for number, at in enumerate(zip(ports[::2], ports[1::2], strict=True), 1)}
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(folder_of(USER))
        settings = _written(folder, "rabbitmq.conf", _settings(list(named)))
        _written(folder, ".erlang.cookie", secrets.token_hex(16)).chmod(0o400)
        epmd = [program("epmd", "erlang-base"), "-address", HOST, "-port", str(mapper)]
        await stack.enter_async_context(Server("epmd", epmd, folder, USER))
        nodes: dict[int, Server] = {}
        for name, (port, between) in named.items():
            environment = _environment(folder, settings, name, (port, between), mapper)
            nodes[port] = Server(name, [server], folder, USER, environment)
            await stack.enter_async_context(nodes[port])
            stack.callback(nodes[port].kill)  # all of it goes: nothing has to be put in order first
            if len(nodes) == 1:  # the others find the cluster there
                await nodes[port].ready(partial(takes_connections, port), STARTED)
        for port, node in nodes.items():
            await node.ready(partial(takes_connections, port), STARTED)
        yield RabbitmqCluster(nodes)


def _settings(names: list[str]) -> str:
    """A node that is new asks the others for the cluster, and makes one where none answers."""
    peers = [f"cluster_formation.classic_config.nodes.{number} = {name}" for number, name in enumerate(names, 1)]
    told = ["cluster_formation.peer_discovery_backend = classic_config", *peers, "log.file = false"]
    return "\n".join([*told, "log.console = true", "log.console.level = warning", ""])


def _environment(folder: Path, settings: Path, name: str, ports: tuple[int, int], mapper: int) -> dict[str, str]:
    port, between = ports
    loopback = "{127,0,0,1}"
    return {
        "RABBITMQ_NODENAME": name, "RABBITMQ_NODE_IP_ADDRESS": HOST, "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(between), "RABBITMQ_CONFIG_FILE": str(settings),
        "RABBITMQ_MNESIA_BASE": str(folder), "RABBITMQ_LOG_BASE": str(folder),
        "RABBITMQ_PID_FILE": str(folder / f"{name}.pid"), "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "no_plugins"),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "no_environment"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"-kernel inet_dist_use_interface {loopback}",
        "ERL_EPMD_PORT": str(mapper), "ERL_EPMD_ADDRESS": HOST,
    }  # fmt: skip


def _written(folder: Path, name: str, text: str) -> Path:
    """Write a file that the nodes may read."""
    path = folder / name
    path.write_text(text)
    if os.geteuid() == 0:
        shutil.chown(path, USER, USER)
    return path


async def takes_connections(port: int) -> bool:
    """Whether a node lets clients in, which it does once it has joined the others."""
    return await asyncio.to_thread(_takes_connections, port)


def _takes_connections(port: int) -> bool:
    parameters = pika.ConnectionParameters(HOST, port, socket_timeout=TIMEOUT, stack_timeout=TIMEOUT)
    try:
        pika.BlockingConnection(parameters).close()
    except pika.exceptions.AMQPError:
        return False
    return True
