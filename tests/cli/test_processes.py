"""The processes as who keeps them up meets them: what they say when they can't start, and how soon they end."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest
from click.testing import CliRunner

from notifier.api.serving import listen
from notifier.cli import main
from notifier.cli.processes import GRACE
from notifier.console.live import LIFE
from notifier.demo.local import LocalSystem
from notifier.domain.users import Role, User
from notifier.runtime.settings import environment, to_environment
from notifier.store.console import users
from notifier.store.core import migrate
from notifier.store.core.database import Database
from tests.api.server import add_key
from tests.conftest import server_url
from tests.console.conftest import PASSWORD, password_hash

AT_LAST = 60  # seconds: far past what starting may take, however slow the machine
PROCESSES = ["web", "clock"]
COMMANDS = ["keys list", "db upgrade"]


class Ended(NamedTuple):
    """A command that can't start, once it has ended."""

    status: int
    log: str

    @property
    def said(self) -> str:
        """The one line that it ends with: all that isn't log."""
        assert "Traceback" not in self.log
        (line,) = [line for line in self.log.splitlines() if not line.startswith("{")]
        return line


def ended(command: str, **settings: object) -> Ended:
    """Run a command: one of the processes as its own, which takes seconds, any other in this one."""
    if command in COMMANDS:
        told = CliRunner().invoke(main, command.split(), env=to_environment(settings))
        assert isinstance(told.exception, SystemExit)
        return Ended(told.exit_code, told.output)
    process = subprocess.run(
        [sys.executable, "-m", "notifier.cli", command], env=environment(settings), timeout=AT_LAST,
        capture_output=True, text=True,
    )  # fmt: skip
    return Ended(process.returncode, process.stderr)


@pytest.mark.parametrize("command", [*PROCESSES, *COMMANDS])
def test_a_database_that_is_away_is_told_in_one_line(command: str) -> None:
    process = ended(command, database_url="postgresql://x:secret@127.0.0.1:1/notifier")

    assert process.said == "notifier: the database can't be reached (ConnectionRefusedError)"
    assert process.status == 69


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("file", "why"), [("", "unable to open database file"), ("notes.txt", "file is not a database")]
)
def test_a_file_that_is_no_database_is_told_in_one_line(command: str, file: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("Buy a cable. " * 100)

    process = ended(command, database_url=f"sqlite:///{tmp_path / file}")

    assert process.said == f"notifier: the database can't be used: {why}"
    assert process.status == 69


@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_that_can_not_be_made_is_told_in_one_line(command: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    process = ended(command, database_url=f"sqlite:///{tmp_path}/file/notifier.db")

    assert str(tmp_path / "file") in process.said
    assert process.status == 71


@pytest.mark.parametrize("server", ["postgresql", "mariadb"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_server_that_keeps_us_out_is_told_in_its_words(command: str, server: str) -> None:
    url = server_url(server).rpartition("/")[0]

    process = ended(command, database_url=f"{url}/no_such_database")

    assert "no_such_database" in process.said
    assert process.status == 69


@pytest.mark.parametrize("command", ["web", "keys list"])
def test_a_database_without_its_schema_is_told_in_one_line(command: str, tmp_path: Path) -> None:
    process = ended(command, database_url=f"sqlite:///{tmp_path / 'empty.db'}")

    assert "run `notifier db upgrade`" in process.said
    assert process.status == 78


async def test_a_port_that_is_taken_is_told_in_one_line(tmp_path: Path) -> None:
    # Given a database that is there, and a port that another process has
    url = f"sqlite:///{tmp_path / 'notifier.db'}"
    database = Database(url, connections=1)
    await migrate.upgrade(database)
    await database.close()
    (taken,) = listen("127.0.0.1", 0)

    process = await asyncio.to_thread(ended, "web", database_url=url, port=taken.getsockname()[1])

    taken.close()
    assert "NOTIFIER_PORT" in process.said
    assert process.status == 78


@pytest.mark.parametrize("command", ["web", "worker", "clock"])
async def test_a_port_for_metrics_that_is_taken_is_told_in_one_line(command: str, tmp_path: Path, valkey: str) -> None:
    # Given a database that is there, and a port that another process has
    url = f"sqlite:///{tmp_path / 'notifier.db'}"
    database = Database(url, connections=1)
    await migrate.upgrade(database)
    await database.close()
    (taken,) = listen("127.0.0.1", 0)
    settings = {"database_url": url, "broker_url": valkey, "port": 0}

    process = await asyncio.to_thread(ended, command, **settings, metrics_listen=f"127.0.0.1:{taken.getsockname()[1]}")

    taken.close()
    assert "NOTIFIER_METRICS_LISTEN" in process.said
    assert process.status == 78


async def test_a_web_process_ends_what_waits_first(tmp_path: Path, valkey: str) -> None:
    async with (
        LocalSystem(tmp_path, {"broker_url": valkey}, processes=("web",)) as system,
        aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session,
    ):
        # Given somebody who watches
        viewer = User(name="vera", role=Role.VIEWER, password_hash=password_hash(), created_at=0)
        await users.add(system.database, viewer, "test")
        console = f"{system.settings.public_url}/console"
        async with session.get(f"{console}/sign-in") as page:
            token = (await page.text()).partition('name="csrf" value="')[2].partition('"')[0]
        form = {"csrf": token, "name": "vera", "password": PASSWORD}
        async with session.post(f"{console}/sign-in", data=form) as page:
            assert page.status == 200
        async with session.get(f"{console}/health/live") as stream:
            assert await stream.content.readexactly(12) == b"retry: 500\n\n"

            # And a service that waits for changes, which is told of each as soon as it is there
            key = await add_key(system.database, "changes:read")
            changes = f"{system.settings.public_url}/v1/changes?after=now&wait=30"
            asked = asyncio.ensure_future(session.get(changes, headers={"Authorization": f"Bearer {key}"}))
            await asyncio.sleep(0)  # it is sent before the next, whose answer says that it has come
            async with session.get(f"{system.settings.public_url}/healthz") as healthy:
                assert healthy.status == 200

            # When the process is told to end, then both are ended whole, and the process with them
            process = system.running["web"]
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(min(LIFE, GRACE) / 2):
                await stream.content.read()
                async with await asked as answered:
                    assert (answered.status, (await answered.json())["changes"]) == (200, [])
                await asyncio.to_thread(process.wait)
    assert "Traceback" not in (tmp_path / "web.log").read_text()
