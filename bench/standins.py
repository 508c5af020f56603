"""Stand-ins as processes of their own, as cheap as can be: smtp-sink for mails, where there is one.

smtp-sink is Debian's (package postfix); NOTIFIER_TEST_SMTP_SINK names one that is only unpacked. It is a witness that
none of us wrote: every mail becomes a file, and their Message-IDs are what arrived. A mail that is broken off leaves
none.
"""

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SINK = os.environ.get("NOTIFIER_TEST_SMTP_SINK") or shutil.which("smtp-sink", path="/usr/sbin:/usr/local/sbin")
BACKLOG = 1024  # connections waiting to be accepted
MEMORY = Path("/dev/shm")  # noqa: S108 (a folder of our own in it) where mails are kept: a disk costs more than they do
STARTED = 10  # seconds for a process to listen

_MESSAGE_ID = re.compile(rb"^Message-ID:\s*<([^@>\s]*)", re.IGNORECASE | re.MULTILINE)


class Sink:
    """A smtp-sink at a port, and the folder for what it gets, a file each; None where it keeps none."""

    def __init__(self, port: int, received: Path | None) -> None:
        self.port = port
        self._received = received
        self._mails: Counter[str] = Counter()

    def mails(self) -> dict[str, int]:
        """How often each mail arrived, by the local part of its Message-ID; one that is arriving may count already."""
        for file in self._received.iterdir() if self._received else ():
            found = _MESSAGE_ID.search(file.read_bytes())
            if found is not None:  # otherwise the process has only started
                self._mails[found[1].decode()] += 1
                file.unlink()
        return dict(self._mails)


@contextmanager
def sink(*, keep: bool = True) -> Iterator[Sink | None]:
    """A smtp-sink that keeps what it gets, or doesn't; None where there is none."""
    if SINK is None:
        yield None
        return
    memory = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="notifier-mails-", dir=memory) as folder:
        yield from _sink(SINK, Path(folder), keep=keep)


def _sink(program: str, folder: Path, *, keep: bool) -> Iterator[Sink]:
    port = free_port()
    user = ["-u", "nobody"] if os.getuid() == 0 else []
    libraries = str(Path(program).resolve().parents[1] / "lib" / "postfix")
    dump, received = [], None
    if keep:
        received = folder / "mails"
        received.mkdir()
        for each in (folder, received):
            each.chmod(0o711 if each is folder else 0o733)  # it is not root that writes there
        dump = ["-d", f"{received}/"]
    command = [program, *user, *dump, f"127.0.0.1:{port}", str(BACKLOG)]
    with running(command, port, LD_LIBRARY_PATH=libraries):
        yield Sink(port, received)


@contextmanager
def running(command: list[str], port: int, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that listens at a port, ended at the end; TimeoutError where it doesn't listen in time."""
    with subprocess.Popen(command, env={**os.environ, **environment}) as process:
        try:
            _wait_for(port)
            yield process
        finally:
            process.kill()


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + STARTED
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens at port {port} after {STARTED} s")
