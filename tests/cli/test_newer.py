"""The shell of the release before, on what a newer one has written of a channel that only that one knows."""

import asyncio
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from notifier.cli import main
from notifier.store.core.database import Database
from tests import newer
from tests.newer import EVENT, IDS, PIGEON


@pytest.fixture
def url(tmp_path: Path, empty_sqlite: Path) -> str:
    shutil.copy(empty_sqlite, tmp_path / "notifier.db")
    url = f"sqlite:///{tmp_path / 'notifier.db'}"

    async def write() -> None:
        database = Database(url, connections=1)
        await newer.write(database)
        await database.close()

    asyncio.run(write())
    return url


@pytest.mark.parametrize(
    "command",
    [
        ("explain", EVENT),
        ("explain", EVENT, "--json"),
        *(("explain", "--delivery", id_) for id_ in IDS.values()),
        ("dead", "list"),
        ("dead", "list", "--json"),
        ("dead", "show", IDS["failed"]),
        ("ledger", "--json"),
        ("recipients", "export", "ada"),
    ],
)
def test_a_command_tells_the_channel_by_its_name(url: str, command: tuple[str, ...]) -> None:
    told = CliRunner().invoke(main, command, env={"NOTIFIER_DATABASE_URL": url, "COLUMNS": "200"})

    assert told.exit_code == 0, told.output
    assert PIGEON in told.output


@pytest.mark.parametrize(
    "command",
    [
        ("ledger", "--check"),
        ("replay-day", "2026-03-09"),
        ("cancel", "charging-complete", "101"),
        ("dead", "discard", IDS["failed"]),
    ],
)
def test_a_command_that_names_no_channel_works_as_ever(url: str, command: tuple[str, ...]) -> None:
    told = CliRunner().invoke(main, command, env={"NOTIFIER_DATABASE_URL": url, "COLUMNS": "200"})

    assert told.exit_code == 0, told.output
