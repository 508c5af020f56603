"""docs/backup.md: its commands, run as they stand on each engine's own server, lose no row."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import sqlalchemy as sa

from notifier.domain.clock import DAY
from notifier.domain.ids import first_id
from notifier.domain.recipients import RecipientDetails
from notifier.store.core.database import Database
from notifier.store.core.schema import metadata
from notifier.store.people import recipients
from tests.conftest import absent
from tests.written import write_events

PAGE = Path(__file__).parents[2] / "docs" / "backup.md"
DAY_OF_EVENTS = 20_521
AT_MOST = 120  # seconds for one block of commands


def commands(language: str) -> list[str]:
    """The page's blocks of commands for an engine, in their order."""
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)


class Restoring:
    """A database of an engine, where it goes when it is restored, and the variables that the page's commands use."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = sa.make_url(url)
        backend = self.url.get_backend_name()
        self.engine = "mariadb" if backend == "mysql" else backend
        name = self.url.database or ""
        restored = f"{name}.restored" if self.engine == "sqlite" else f"{name}_restored"
        self.restored = self.url.set(database=restored)
        user, password = self.url.username or "", self.url.password or ""
        host, port = self.url.host or "", str(self.url.port or {"postgresql": 5432}.get(self.engine, 3306))
        (folder / ".my.cnf").write_text(f"[client]\nuser={user}\npassword={password}\nhost={host}\nport={port}\n")
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # where the command of ours is
        self.environ: Mapping[str, str] = {
            **os.environ, "PATH": path, "HOME": str(folder),
            "DATABASE": name, "RESTORED": restored, "BACKUP": str(folder / "backup"),
            "PGHOST": host, "PGPORT": port, "PGUSER": user, "PGPASSWORD": password,
            "NOTIFIER_DATABASE_URL": self.restored.render_as_string(hide_password=False),
            "NOTIFIER_BROKER_URL": "redis://127.0.0.1:1",
        }  # fmt: skip

    def run(self, script: str) -> None:
        """Run a block of commands by a shell that stops at the first one that fails."""
        done = subprocess.run(
            ["bash", "-euc", script], env=self.environ, capture_output=True, text=True, timeout=AT_MOST, check=False
        )
        if done.returncode == 127:
            absent(f"needs the command that docs/backup.md names: {done.stderr}")
        assert done.returncode == 0, done.stderr

    def drop(self) -> None:
        """Drop the restored database; it may not be there."""
        drop = {"postgresql": 'dropdb --if-exists "$RESTORED"', "sqlite": 'rm -f "$RESTORED"'}
        self.run(drop.get(self.engine, 'mariadb --execute "DROP DATABASE IF EXISTS $RESTORED"'))


@pytest.fixture
def restoring(database_url: str, tmp_path: Path) -> Iterator[Restoring]:
    restoring = Restoring(database_url, tmp_path)
    restoring.drop()
    yield restoring
    restoring.drop()


async def rows(url: sa.URL) -> dict[str, list[tuple[str, ...]]]:
    """Every row of every table of ours."""
    database = Database(url.render_as_string(hide_password=False), connections=1)
    async with database.engine.connect() as connection:
        found = {}
        for table in metadata.sorted_tables:
            result = await connection.execute(sa.select(table))
            found[table.name] = sorted((tuple(map(repr, row)) for row in result), key=str)
    await database.close()
    return found


async def fill(url: sa.URL) -> None:
    """Events of two days, a person with letters of several alphabets, and a secret."""
    database = Database(url.render_as_string(hide_password=False), connections=1)
    rest = {"source": "tést", "type": "t", "digest": "", "data": '{"a": "\\u0000 \'quoted\' ✓"}', "occurred_at": 1}
    for day in (DAY_OF_EVENTS, DAY_OF_EVENTS + 1):
        at = day * DAY
        new = {"id": first_id(at), "source_id": str(day), "accepted_at": at, "decided_at": at, "deliveries": 0}
        async with database.engine.begin() as connection:
            await write_events(connection, [rest | new])
    await recipients.put(database, {"zoë": RecipientDetails(phone="+4915112345678", locale="el")}, 1)
    await database.close()


def test_what_the_page_backs_up_and_restores_is_the_same_to_the_last_row(restoring: Restoring) -> None:
    # Given a database in use
    asyncio.run(fill(restoring.url))
    before = asyncio.run(rows(restoring.url))
    assert before["event"]
    assert before["recipient"]

    # When it is backed up and restored as the page says
    back_up, restore = commands(restoring.engine)
    restoring.run(back_up)
    restoring.run(restore)
    (check,) = commands("sh")
    restoring.run(check)

    # Then not a row is missing
    assert asyncio.run(rows(restoring.restored)) == before
