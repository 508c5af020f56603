"""A cluster's server as a process: it runs as its user, answers, dies, comes back, and leaves nothing behind."""

import asyncio
import contextlib
import os
import pwd
import sys
from pathlib import Path

import pytest

from notifier.chaos.clusters.server import NotInstalled, Server, folder_of, free_ports, program, run
from notifier.chaos.proxy import HOST
from notifier.domain.errors import ConfigurationError

ANYBODY = "nobody"
PYTHON = "/usr/bin/python3" if os.geteuid() == 0 else sys.executable  # one that another user may run


@pytest.fixture
def port() -> int:
    return free_ports(1)[0]


@pytest.fixture
def served(port: int) -> list[str]:
    return [PYTHON, "-m", "http.server", "--bind", HOST, str(port)]


def owner(pid: int) -> str | None:
    """Return the user whom a process runs as, None where there is no such process."""
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{pid}").owner()
    return None


async def test_a_server_runs_as_its_user_and_comes_back_after_a_kill(served: list[str], port: int) -> None:
    async def answers() -> bool:
        _, writer = await asyncio.open_connection(HOST, port)
        writer.close()
        return True

    # Given a server that answers
    with folder_of(ANYBODY) as folder:
        async with Server("web", served, folder, ANYBODY) as server:
            await server.ready(answers)
            first = server.pid
            assert owner(first) == (ANYBODY if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name)

            # When it is killed, then it is gone; when it is started again, then it answers
            server.kill()
            with pytest.raises(OSError, match="Connect call failed"):
                await answers()
            server.start()
            await server.ready(answers)
            last = server.pid

    # Then nothing of it is left
    assert last != first
    assert owner(last) is None
    assert not folder.exists()


async def test_a_server_that_does_not_start_says_why() -> None:
    async def never() -> bool:
        return False

    with folder_of(ANYBODY) as folder:
        async with Server("broken", ["/bin/sh", "-c", "echo no such port >&2; exit 1"], folder, ANYBODY) as server:
            with pytest.raises(ConfigurationError, match=r"broken did not start: no such port"):
                await server.ready(never)
        with pytest.raises(ConfigurationError, match=r"sh failed: no such folder"):
            await run(["/bin/sh", "-c", "echo no such folder; exit 1"], folder, ANYBODY)


def test_a_program_that_is_not_there_is_asked_for_by_its_package() -> None:
    with pytest.raises(NotInstalled, match=r"nosuchd isn't installed: sudo apt-get install .* nosuch-server"):
        program("nosuchd", "nosuch-server")


def test_ports_are_all_different() -> None:
    assert len(set(free_ports(20))) == 20
