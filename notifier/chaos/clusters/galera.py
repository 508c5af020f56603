"""Three MariaDB servers that are one Galera cluster."""

import asyncio
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.chaos.clusters.server import NotInstalled, Server, folder_of, free_ports, program, run
from notifier.chaos.proxy import HOST
from notifier.domain.errors import ConfigurationError, StoreUnavailable
from notifier.store.core.database import Database

USER: Final = "mysql"
LOGIN: Final = "notifier"
DATABASE: Final = "notifier"
NAMES: Final = ("a", "b", "c")
PROVIDER: Final = Path("/usr/lib/galera/libgalera_smm.so")
JOINED = 90  # seconds for a node to have copied what the others have


class Ports(NamedTuple):
    """A node's ports: for clients, for the cluster, and for what a node that joins is sent, in part or whole."""

    clients: int
    cluster: int
    part: int
    whole: int


class Node:
    """One server of the cluster."""

    def __init__(self, server: Server, url: str) -> None:
        self.server = server
        self.url = url

    async def sees(self) -> int:
        """Return how many nodes this one sees, itself included; 0 where it can't be used."""
        database = Database(self.url, connections=1)
        try:
            told = await database.read(_status)
        except StoreUnavailable:
            return 0
        finally:
            await database.close()
        return int(told["wsrep_cluster_size"]) if told["wsrep_ready"] == "ON" else 0


class GaleraCluster:
    """Three nodes; `url` names them all, and the first that lives is written to."""

    def __init__(self, url: str, nodes: Sequence[Node]) -> None:
        self.url = url
        self.nodes = nodes
        self._living = list(nodes)

    async def kill_leader(self) -> None:
        """Kill the node that is written to (`kill -9`)."""
        writer = self._living.pop(0)
        await asyncio.to_thread(writer.server.kill)

    async def has_leader(self) -> bool:
        """Whether the living nodes agree on who they are: until then none commits anything."""
        return all([await node.sees() == len(self._living) for node in self._living])

    async def rejoin(self) -> None:
        """Start the killed node again, and wait until it has what the others have."""
        self._living = list(self.nodes)
        self.nodes[0].server.start()
        await self.nodes[0].server.ready(self.has_leader, JOINED)


@asynccontextmanager
async def galera() -> AsyncIterator[GaleraCluster]:
    """Start three nodes, one after the other; NotInstalled where Debian's packages mariadb-server or galera-4 are
    missing."""
    install, daemon, client = (
        program(name, "mariadb-server") for name in ("mariadb-install-db", "mariadbd", "mariadb")
    )  # fmt: skip
    if not PROVIDER.exists():
        raise NotInstalled("Galera isn't installed: sudo apt-get install --no-install-recommends galera-4")
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(folder_of(USER))
        free = free_ports(len(NAMES) * len(Ports._fields))
        ports = [Ports(*free[first :: len(NAMES)]) for first in range(len(NAMES))]
        password = secrets.token_hex(16)
        await run([install, "--no-defaults", f"--datadir={folder / NAMES[0]}", "--skip-test-db",
                   "--auth-root-authentication-method=normal"], folder, USER)  # fmt: skip
        for name in NAMES[1:]:
            await asyncio.to_thread(_copy, folder / NAMES[0], folder / name)
        nodes: list[Node] = []
        for name, own in zip(NAMES, ports, strict=True):
            server = Server(f"mariadb-{name}", [daemon, *_options(folder, name, own, ports)], folder, USER)
            stack.push_async_exit(server)
            server.start(*([] if nodes else ["--wsrep-new-cluster"]))
            if not nodes:
                await server.ready(partial(_let_in, client, folder, password), JOINED)
            nodes.append(Node(server, f"mariadb://{LOGIN}:{password}@{HOST}:{own.clients}/{DATABASE}"))
            await server.ready(GaleraCluster("", nodes).has_leader, JOINED)
        hosts = ",".join(f"{HOST}:{own.clients}" for own in ports)
        yield GaleraCluster(f"mariadb://{LOGIN}:{password}@{hosts}/{DATABASE}", nodes)


def _options(folder: Path, name: str, own: Ports, ports: Sequence[Ports]) -> list[str]:
    """Return the options of one node."""
    peers = ",".join(f"{HOST}:{each.cluster}" for each in ports)
    provider = f"gmcast.listen_addr=tcp://{HOST}:{own.cluster};ist.recv_addr={HOST}:{own.part};gcache.size=64M"
    return [
        "--no-defaults", f"--datadir={folder / name}", f"--socket={folder / name}.sock",
        f"--pid-file={folder / name}.pid", f"--bind-address={HOST}", f"--port={own.clients}", "--skip-name-resolve",
        "--binlog-format=ROW", "--innodb-autoinc-lock-mode=2", "--wsrep-on=ON", f"--wsrep-provider={PROVIDER}",
        "--wsrep-cluster-name=notifier", f"--wsrep-cluster-address=gcomm://{peers}", f"--wsrep-node-name={name}",
        f"--wsrep-node-address={HOST}:{own.cluster}", "--wsrep-sst-method=rsync",
        f"--wsrep-sst-receive-address={HOST}:{own.whole}",
        f"--wsrep-provider-options={provider}",
    ]  # fmt: skip


async def _let_in(client: str, folder: Path, password: str) -> bool:
    """Make our database and its user on the first node; whether it could be done yet."""
    statements = (
        f"CREATE DATABASE IF NOT EXISTS {DATABASE};"
        f"CREATE USER IF NOT EXISTS '{LOGIN}'@'{HOST}' IDENTIFIED BY '{password}';"
        f"GRANT ALL ON *.* TO '{LOGIN}'@'{HOST}'"
    )
    asked = [client, "--no-defaults", f"--socket={folder / NAMES[0]}.sock", "--user=root", "--execute", statements]
    try:
        await run(asked, folder, USER)
    except ConfigurationError:
        return False
    return True


async def _status(connection: AsyncConnection) -> dict[str, str]:
    query = "SHOW GLOBAL STATUS WHERE Variable_name IN ('wsrep_ready', 'wsrep_cluster_size')"
    return {str(name): str(value) for name, value in await connection.execute(sa.text(query))}


def _copy(source: Path, made: Path) -> None:
    """Copy a folder with its owners."""
    shutil.copytree(source, made)
    for path in (made, *made.rglob("*")):
        like = (source / path.relative_to(made)).stat()
        os.chown(path, like.st_uid, like.st_gid)
