"""`notifier retention` and `notifier db export`: what an operator sees before and after, and keeps a copy of."""

import asyncio
import getpass
import gzip
import json
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from notifier.cli import main
from notifier.domain.clock import DAY, SystemClock
from notifier.store.core import audit as audits
from notifier.store.core.audit import AuditEntry
from notifier.store.core.database import Database
from notifier.store.core.staff import audit

T = TypeVar("T")
TEMPLATES = Path(__file__).parents[2] / "templates"
OLD = SystemClock().now() - 1_200 * DAY


class Shell:
    """Runs commands on a database of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"sqlite:///{folder / 'notifier.db'}"

    def __call__(self, *arguments: str, **environment: str) -> Result:
        given = {"NOTIFIER_DATABASE_URL": self.url, **environment}
        return CliRunner().invoke(main, arguments, env=given)

    def on_database(self, work: Callable[[Database], Awaitable[T]]) -> T:
        async def run() -> T:
            database = Database(self.url, connections=1)
            try:
                return await work(database)
            finally:
                await database.close()

        return asyncio.run(run())

    def audited(self) -> list[Any]:
        async def read(database: Database) -> list[Any]:
            async with database.engine.connect() as connection:
                return list(await connection.execute(sa.select(audit).order_by(audit.c.at)))

        return self.on_database(read)


@pytest.fixture
def shell(tmp_path: Path, empty_sqlite: Path) -> Shell:
    """A shell on a database with two old entries in its audit."""
    shutil.copy(empty_sqlite, tmp_path / "notifier.db")
    made = Shell(tmp_path)
    entries = [AuditEntry(at=OLD + number, actor="cli:ada", action="key.create", subject="k") for number in range(2)]

    async def write(database: Database) -> None:
        for entry in entries:
            await audits.tell(database, entry)

    made.on_database(write)
    return made


def test_a_dry_run_says_what_would_go_and_changes_nothing(shell: Shell) -> None:
    told = json.loads(shell("retention", "--dry-run", "--json").stdout)

    assert told["dry_run"] is True
    assert told["parts"]["audit"] | {"oldest": ""} == {"rows": 2, "oldest": "", "period": "1100 d"}
    assert told["parts"]["audit"]["oldest"].startswith("20")
    assert told["parts"]["events"] == {"rows": 0, "oldest": None, "period": "forever"}
    assert len(shell.audited()) == 2

    shown = shell("retention", "--dry-run").stdout
    assert "would go" in shown
    assert "1100 d" in shown


def test_what_may_go_is_removed_and_the_audit_says_by_whom(shell: Shell) -> None:
    told = shell("retention", "--json")

    assert told.exit_code == 0
    assert json.loads(told.stdout)["parts"]["audit"]["rows"] == 2
    (left,) = shell.audited()
    assert (left.actor, left.action, left.detail) == (f"cli:{getpass.getuser()}", "retention.apply", "2 audit")

    # And once more there is nothing, which needs no entry
    assert json.loads(shell("retention", "--json").stdout)["parts"]["audit"]["rows"] == 0
    assert shell.audited() == [left]


def test_a_period_that_is_none_is_refused_by_name(shell: Shell) -> None:
    templates = shell.folder / "templates"
    shutil.copytree(TEMPLATES, templates)
    policy = templates / "_policy.toml"
    policy.write_text(policy.read_text("utf-8").replace('audit = "1100 d"', 'audit = "3 years"'), "utf-8")

    for command in (("retention", "--dry-run"), ("templates", "lint", "--from", str(templates))):
        told = shell(*command, NOTIFIER_TEMPLATES=str(templates))
        assert told.exit_code == 78
        assert "_policy.toml: retention.audit: '3 years' is not a duration" in told.output


def test_an_export_into_a_folder_is_a_compressed_file_for_its_owner(shell: Shell) -> None:
    told = shell("db", "export", "--before", "2026-10-01", "--to", str(shell.folder))

    file = shell.folder / "events-before-2026-10-01.ndjson.gz"
    assert told.exit_code == 0
    assert f"0 events written to {file}." in told.stderr.replace("\n", "")
    assert gzip.decompress(file.read_bytes()) == b""
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(shell.folder.glob("*.part")) == []


def test_an_export_overwrites_no_file_and_leaves_none_where_it_can_not_write(shell: Shell) -> None:
    kept = shell.folder / "kept.ndjson"
    kept.write_text("a copy")

    again = shell("db", "export", "--before", "2026-10-01", "--to", str(kept))
    nowhere = shell("db", "export", "--before", "2026-10-01", "--to", str(shell.folder / "no" / "x.ndjson"))

    assert (again.exit_code, "exists already" in again.output) == (2, True)
    assert kept.read_text() == "a copy"
    assert (nowhere.exit_code, "No such file or directory" in nowhere.output) == (71, True)
