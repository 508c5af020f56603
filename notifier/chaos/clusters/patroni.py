"""Two PostgreSQL servers, of which Patroni keeps one the leader by a lease in etcd."""

import asyncio
import contextlib
import os
import secrets
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import aiohttp
import msgspec

from notifier.chaos.clusters.server import Server, folder_of, free_ports, program
from notifier.chaos.proxy import HOST

USER: Final = "postgres"
NAMES: Final = ("a", "b")
DATABASE: Final = "postgres"  # which is empty

TTL = 20  # seconds that the leader's lease lasts: the least that Patroni takes
LOOP_WAIT = 1  # seconds between two looks of Patroni's
RETRY_TIMEOUT = 3  # seconds that Patroni asks etcd or PostgreSQL again
MOST_LAG = 1_048_576  # bytes that a standby may lack and still be promoted: Patroni's default
ASK_TIMEOUT = 5  # seconds for one answer of Patroni's
JOINED = 90  # seconds for a standby to have copied the leader and to follow it
ASK_EVERY = 0.1  # seconds


class Member(msgspec.Struct, frozen=True):
    """A server as Patroni tells of it."""

    name: str
    role: str
    state: str


class _View(msgspec.Struct, frozen=True):
    members: list[Member]


class Node:
    """One server: PostgreSQL, and the Patroni that starts and promotes it."""

    def __init__(self, name: str, folder: Path, ports: tuple[int, int], patroni: Server) -> None:
        self.name = name
        self.port, self.rest_port = ports
        self.patroni = patroni
        self._data = folder / name

    def kill(self) -> None:
        """Kill Patroni, the postmaster and all of its processes (`kill -9`), as a host that loses its power."""
        self.patroni.kill()
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, ValueError):
            postmaster = int((self._data / "postmaster.pid").read_text().splitlines()[0])
            for pid in (postmaster, *_children(postmaster)):
                os.kill(pid, signal.SIGKILL)

    def hold_replication(self) -> None:
        """Stop the processes that send the write-ahead log to standbys (SIGSTOP)."""
        postmaster = int((self._data / "postmaster.pid").read_text().splitlines()[0])
        for pid in _children(postmaster):
            if b"walsender" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGSTOP)


class PatroniCluster:
    """A leader and a standby; `url` names both, and connections are made to the one that takes writes."""

    def __init__(self, url: str, nodes: dict[str, Node], session: aiohttp.ClientSession, *, synchronous: bool) -> None:
        self.url = url
        self._nodes = nodes
        self._session = session
        self._standby = "sync_standby" if synchronous else "replica"
        self._dead: Node | None = None

    async def kill_leader(self) -> None:
        """Kill the leader, whose standby has had nothing of what was committed for a moment before."""
        leader = await self._leader()
        assert leader is not None  # noqa: S101 (nothing was killed before)
        leader.hold_replication()
        await asyncio.sleep(HELD)
        leader.kill()
        self._dead = leader

    async def has_leader(self) -> bool:
        """Whether a server that lives is the leader."""
        found = await self._leader()
        return found is not None and found is not self._dead

    async def rejoin(self) -> None:
        """Start the killed server again, and wait until it follows the new leader."""
        assert self._dead is not None  # noqa: S101 (called after a kill)
        self._dead.patroni.start()
        self._dead = None
        await self.joined()

    async def joined(self) -> None:
        """Wait until there are a leader and a standby that may follow it; TimeoutError where there aren't in time."""
        async with asyncio.timeout(JOINED):
            while True:
                roles = {member.role: member.state for member in await self._members()}
                if roles.get("leader") == "running" and roles.get(self._standby) in ("running", "streaming"):
                    return
                await asyncio.sleep(ASK_EVERY)

    async def _leader(self) -> Node | None:
        names = [each.name for each in await self._members() if each.role == "leader" and each.state == "running"]
        return self._nodes[names[0]] if names else None

    async def _members(self) -> list[Member]:
        """Return the servers as the first Patroni that answers sees them."""
        for node in self._nodes.values():
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with self._session.get(f"http://{HOST}:{node.rest_port}/cluster") as response:
                    return msgspec.json.decode(await response.read(), type=_View).members
        return []


HELD = 0.5  # seconds before the kill in which nothing reaches the standby: what an asynchronous one loses


@asynccontextmanager
async def patroni(*, synchronous: bool) -> AsyncIterator[PatroniCluster]:
    """Start etcd, a leader and its standby, of which the second may be `synchronous`; NotInstalled where Debian's
    packages patroni, etcd-server or postgresql are missing."""
    etcd, runner = program("etcd", "etcd-server"), program("patroni", "patroni")
    binaries = Path(program("pg_controldata", "postgresql")).parent
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(folder_of(USER))
        session = await stack.enter_async_context(
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ASK_TIMEOUT))
        )
        client, peer, *ports = free_ports(2 + 2 * len(NAMES))
        store = await stack.enter_async_context(Server("etcd", _etcd(etcd, folder, client, peer), folder, USER))

        async def answers() -> bool:
            try:
                async with session.get(f"http://{HOST}:{client}/health") as response:
                    return response.status == 200
            except aiohttp.ClientError:
                return False

        await store.ready(answers)
        password = secrets.token_hex(16)
        nodes: dict[str, Node] = {}
        for name, at in zip(NAMES, zip(ports[::2], ports[1::2], strict=True), strict=True):
            file = folder / f"{name}.yml"
            file.write_bytes(msgspec.json.encode(_settings(name, folder, binaries, client, at, password, synchronous)))
            file.chmod(0o644)
            runs = await stack.enter_async_context(Server(f"patroni-{name}", [runner, file], folder, USER))
            nodes[name] = Node(name, folder, at, runs)
            stack.callback(nodes[name].kill)
        hosts = ",".join(f"{HOST}:{node.port}" for node in nodes.values())
        url = f"postgresql://{USER}:{password}@{hosts}/{DATABASE}?target_session_attrs=read-write"
        cluster = PatroniCluster(url, nodes, session, synchronous=synchronous)
        await cluster.joined()
        yield cluster


def _etcd(etcd: str, folder: Path, client: int, peer: int) -> list[str | Path]:
    """Return etcd's command: one server, whose clients and peers are on loopback."""
    return [
        etcd, "--data-dir", folder / "etcd", "--unsafe-no-fsync",
        "--listen-client-urls", f"http://{HOST}:{client}", "--advertise-client-urls", f"http://{HOST}:{client}",
        "--listen-peer-urls", f"http://{HOST}:{peer}", "--initial-advertise-peer-urls", f"http://{HOST}:{peer}",
        "--initial-cluster", f"default=http://{HOST}:{peer}",
    ]  # fmt: skip


def _settings(
    name: str, folder: Path, binaries: Path, etcd: int, at: tuple[int, int], password: str, synchronous: bool
) -> dict[str, object]:
    """Return the settings of one server's Patroni; YAML reads JSON."""
    port, rest_port = at
    login = {"username": USER, "password": password}
    return {
        "scope": "notifier", "name": name,
        "restapi": {"listen": f"{HOST}:{rest_port}", "connect_address": f"{HOST}:{rest_port}"},
        "etcd3": {"hosts": [f"{HOST}:{etcd}"]},
        "bootstrap": {
            "dcs": {
                "ttl": TTL, "loop_wait": LOOP_WAIT, "retry_timeout": RETRY_TIMEOUT,
                "maximum_lag_on_failover": MOST_LAG, "synchronous_mode": synchronous,
                "postgresql": {"use_pg_rewind": True, "parameters": {"max_connections": 200, "wal_log_hints": "on"}},
            },
            "initdb": [{"encoding": "UTF8"}, {"locale": "C.UTF-8"}, "data-checksums"],
        },
        "postgresql": {
            "listen": f"{HOST}:{port}", "connect_address": f"{HOST}:{port}", "data_dir": str(folder / name),
            "bin_dir": str(binaries), "pgpass": str(folder / f"{name}.pgpass"),
            "pg_hba": [f"host all all {HOST}/32 scram-sha-256", f"host replication all {HOST}/32 scram-sha-256"],
            "parameters": {"unix_socket_directories": str(folder)},
            "authentication": {"superuser": login, "replication": login, "rewind": login},
        },
    }  # fmt: skip


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
