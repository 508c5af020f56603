"""A server of a cluster as a process: started as the user that it runs as, killed, started again, and stopped."""

import asyncio
import contextlib
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from notifier.chaos.proxy import HOST
from notifier.domain.errors import ConfigurationError

READY_TIMEOUT = 60  # seconds for a server to answer after its start, however slow the cores
STOP_TIMEOUT = 15  # seconds for a server to end after SIGTERM, before it is killed
ASK_EVERY = 0.1  # seconds between two questions whether it answers
PORTS = range(10_000, 32_000)  # below those that Linux gives to connections, so none is taken while its server is down
ELSEWHERE = ("usr/sbin", "usr/lib/postgresql/*/bin", "usr/lib/rabbitmq/bin")
"""Folders below / with servers of Debian's that are not in everybody's PATH; the last of several versions counts."""


class NotInstalled(ConfigurationError):
    """A program that a scenario needs isn't there; the message names Debian's package that has it."""


def program(name: str, package: str) -> str:
    """Return the path of a program; NotInstalled where Debian's package that has it isn't installed."""
    folders = [folder for pattern in ELSEWHERE for folder in sorted(Path("/").glob(pattern), reverse=True)]
    found = shutil.which(name) or shutil.which(name, path=os.pathsep.join(map(str, folders)))
    if found is None:
        raise NotInstalled(f"{name} isn't installed: sudo apt-get install --no-install-recommends {package}")
    return found


def free_ports(number: int) -> list[int]:
    """Return so many different ports of 127.0.0.1 on which nobody listens; ConfigurationError where there are none."""
    found: list[int] = []
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            found.append(port)
        if len(found) == number:
            return found
    raise ConfigurationError(f"no {number} ports from {PORTS.start} to {PORTS.stop} are free on {HOST}")


@contextmanager
def folder_of(user: str) -> Iterator[Path]:
    """Make a temporary folder that belongs to a user, removed at the end; NotInstalled where there is no such user."""
    with tempfile.TemporaryDirectory(prefix="notifier-cluster-", ignore_cleanup_errors=True) as made:
        if os.geteuid() == 0:
            owner = _account(user)
            os.chown(made, owner.pw_uid, owner.pw_gid)
        yield Path(made)


class Server:
    """A server as a process and its children, started by `async with`, and ended at its end whatever happened.

    It runs as `user` where we are root, and else as ourselves. `folder` is its home and working folder, and holds its
    output as `name`.log. Of our environment it has PATH only, and `environment`.
    """

    def __init__(
        self, name: str, command: Sequence[str | Path], folder: Path, user: str,
        environment: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.name = name
        self.log = folder / f"{name}.log"
        self._command = [str(part) for part in command]
        self._folder = folder
        self._user = user
        self._environment = {
            "PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin", "HOME": str(folder), "LC_ALL": "C.UTF-8",
            **(environment or {}),
        }  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def pid(self) -> int:
        """Return the process id; RuntimeError where it doesn't run."""
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError(f"{self.name} does not run")
        return self._process.pid

    def start(self, *more: str) -> None:
        """Start the server, or start it again once it was killed or stopped; `more` are arguments of this start."""
        owner = _account(self._user) if os.geteuid() == 0 else None
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 (a command of our own)
                [*self._command, *more],
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                user=owner and owner.pw_uid,
                group=owner and owner.pw_gid,
                extra_groups=owner and [],
            )

    async def ready(self, answers: Callable[[], Awaitable[bool]], within: float = READY_TIMEOUT) -> None:
        """Wait until the server answers as it should, where OSError is a no; ConfigurationError with the last line of
        its output where it ended, or didn't in time."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline and self._process is not None and self._process.poll() is None:
            with contextlib.suppress(OSError, TimeoutError):
                if await answers():
                    return
            await asyncio.sleep(ASK_EVERY)
        told = self.log.read_text("utf-8", "replace").strip().splitlines()
        raise ConfigurationError(f"{self.name} did not start: {told[-1] if told else 'it wrote no log'}")

    def kill(self) -> None:
        """Kill the process and all of its group (`kill -9`); nothing where it has ended already."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    async def ended(self, within: float = READY_TIMEOUT) -> int:
        """Wait until the process ends by itself, and return its status; subprocess.TimeoutExpired where it doesn't in
        time, RuntimeError where it was never started."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started")
        return await asyncio.to_thread(self._process.wait, within)

    async def stop(self) -> None:
        """Ask the process to end, wait for it, and kill what is left of its group."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(self._process.wait, STOP_TIMEOUT)
        self.kill()


async def run(command: Sequence[str | Path], folder: Path, user: str) -> str:
    """Run a command to its end as a user, as a server is run, and return its output; ConfigurationError with the last
    line of it where the command fails."""
    server = Server(Path(command[0]).name, command, folder, user)
    server.log.unlink(missing_ok=True)
    async with server:
        code = await server.ended()
    told = server.log.read_text("utf-8", "replace")
    if code:
        raise ConfigurationError(f"{server.name} failed: {(told.strip().splitlines() or ['it wrote nothing'])[-1]}")
    return told


def _account(user: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(user)
    except KeyError:
        raise NotInstalled(f"there is no user {user}, whom Debian's package of the server makes") from None
