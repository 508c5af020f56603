"""Commands that work piece by piece and fail midway say what they did until then: nobody has to guess."""

import asyncio
import json
import shutil
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from notifier.cli import main
from notifier.cli.dead import PAGE
from notifier.client import BATCH
from notifier.people.importing import BATCH as STEP
from notifier.store.core.database import Database
from notifier.store.core.schema import event
from tests.api.server import Caller, application
from tests.cli.test_dead import Shell
from tests.samples import encoded


@pytest.fixture
def file(tmp_path: Path, empty_sqlite: Path) -> Path:
    """A database of its own."""
    copy = tmp_path / "notifier.db"
    shutil.copy(empty_sqlite, copy)
    return copy


def goes_away(file: Path, table: str, rows: int) -> None:
    """Make a database fail, as a broken disk does, once a table has so many rows."""
    with sqlite3.connect(file) as connection:
        connection.execute(
            f"CREATE TRIGGER away BEFORE INSERT ON {table} WHEN (SELECT count(*) FROM {table}) >= {rows}"  # noqa: S608
            " BEGIN SELECT json('no JSON'); END"  # an error of operation, and none about the row
        )
    connection.close()


def counted(file: Path, table: str) -> int:
    connection = sqlite3.connect(file)
    (number,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608
    connection.close()
    return int(number)


def test_an_import_says_how_many_were_written_before_the_database_went_away(tmp_path: Path, file: Path) -> None:
    # Given a file of two steps, and a database that goes away in the second
    goes_away(file, "recipient", STEP)
    people = tmp_path / "people.ndjson"
    people.write_text("".join(json.dumps({"id": str(number)}) + "\n" for number in range(2 * STEP)))

    # When it is imported
    told = CliRunner().invoke(
        main, ["recipients", "import", str(people)], env={"NOTIFIER_DATABASE_URL": f"sqlite:///{file}"}
    )

    # Then it says what is there
    assert (told.exit_code, told.stdout) == (69, "")
    assert f"the first {STEP} good lines are written; send the others again" in told.stderr
    assert counted(file, "recipient") == STEP


@pytest.mark.parametrize("every", [True, False])
def test_a_redrive_says_how_many_were_redriven_before_the_database_went_away(
    file: Path, valkey: str, every: bool
) -> None:
    # Given more dead letters than go in one step, and a database that goes away in the second one
    shell = Shell(f"sqlite:///{file}", valkey)
    ids = shell.die_together(range(2 * PAGE))
    goes_away(file, "delivery", 3 * PAGE)

    # When all are redriven, or as many by their names, which is one step
    told = shell("redrive", *(["--all", "--yes"] if every else ids))

    # Then it says what was done
    done = PAGE if every else 0
    assert (told.exit_code, told.stdout) == (69, "")
    assert told.stderr.startswith(f"Interrupted. Done so far: {done} redriven, 0 refused.\n")
    assert counted(file, "delivery") == 2 * PAGE + done


@pytest.fixture
async def api(file: Path, valkey: str) -> AsyncIterator[Caller]:
    database = Database(f"sqlite:///{file}")
    async with application(database, valkey) as caller:
        yield caller
    await database.close()


async def test_a_replay_says_how_many_were_accepted_before_a_line_that_ends_it(tmp_path: Path, api: Caller) -> None:
    # Given a file whose third step has a line that is no JSON
    events = tmp_path / "events.ndjson"
    good = [encoded(id=str(number), **({"type": "x"} if number == 0 else {})) for number in range(2 * BATCH)]
    events.write_bytes(b"\n".join([*good, b"{", *good]))

    # When it is replayed
    environment = {"NOTIFIER_PUBLIC_URL": api.url, "NOTIFIER_API_KEY": api.key}
    told = await asyncio.to_thread(CliRunner().invoke, main, ["replay", str(events)], env=environment)

    # Then it says what was taken, and where it ended
    assert (told.exit_code, told.stdout) == (1, "")
    assert f"Interrupted. Done so far: {2 * BATCH - 1} accepted, 1 refused, up to line {2 * BATCH}.\n" in told.stderr
    assert f"Error: line {2 * BATCH + 1} is not a JSON object" in told.stderr
    assert len(await api.rows(event)) == 2 * BATCH - 1
