"""`notifier ledger` and its recount: which days are sealed, what a recount came to, and how it exits."""

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from notifier.cli import main
from notifier.domain.clock import DAY
from notifier.domain.ids import first_id
from notifier.store.core.database import Database
from notifier.store.core.removal import retention_mark
from notifier.store.delivery import seals, tallies
from notifier.store.delivery.tallies import Tally
from tests.written import write_events

FIRST = 20_521  # 2026-03-09
DATE = "2026-03-09"


class Shell:
    """Runs commands on a database of their own."""

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder / 'notifier.db'}"

    def __call__(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, arguments, env={"NOTIFIER_DATABASE_URL": self.url})

    def on_database(self, work: Callable[[Database], Awaitable[object]]) -> None:
        async def run() -> None:
            database = Database(self.url, connections=1)
            await work(database)
            await database.close()

        asyncio.run(run())

    def tell(self, told: Sequence[Tally]) -> None:
        """Change the books, and no row."""
        self.on_database(lambda database: database.write(lambda made: tallies.add(made, database.dialect, told)))


@pytest.fixture
def shell(tmp_path: Path, empty_sqlite: Path) -> Shell:
    """A shell on a database with two days of one decided event each, of which the first is sealed."""
    shutil.copy(empty_sqlite, tmp_path / "notifier.db")
    shell = Shell(tmp_path)

    async def work(database: Database) -> None:
        rest = {"source": "test", "type": "t", "digest": "", "data": "{}", "occurred_at": 1, "deliveries": 0}
        for day in (FIRST, FIRST + 1):
            new = {"id": first_id(day * DAY), "source_id": str(day), "accepted_at": day * DAY, "decided_at": day * DAY}
            async with database.engine.begin() as connection:
                await write_events(connection, [rest | new])
        await seals.carry_over(database, FIRST, (FIRST + 2) * DAY)

    shell.on_database(work)
    return shell


def test_the_ledger_tells_which_days_are_sealed_and_since_when_days_are_open(shell: Shell) -> None:
    assert json.loads(shell("ledger", "--json", "--check").output)["days"] == {
        "sealed": 1, "first_sealed": DATE, "last_sealed": DATE, "corrected": 0, "open": 1, "open_since": "2026-03-10",
    }  # fmt: skip

    said = "Sealed days: 1 (2026-03-09 to 2026-03-09, 0 corrected since). Open days: 1 (since 2026-03-10)."
    assert said in shell("ledger").output


def test_a_recount_that_agrees_exits_with_0(shell: Shell) -> None:
    sealed, open_ = shell("ledger", "--recount", DATE), shell("ledger", "--recount", "2026-03-10")

    assert (sealed.exit_code, open_.exit_code) == (0, 0)
    assert "2026-03-09, sealed at 2026-03-11T00:00:00+00:00: 1 events, 0 deliveries counted." in sealed.output
    assert "2026-03-10, open: 1 events" in open_.output
    assert "Books and rows agree." in open_.output
    assert shell("ledger", "--recount", "2020-01-01").exit_code == 0


def test_one_that_differs_lists_the_lines_and_exits_with_1(shell: Shell) -> None:
    shell.tell([Tally(day=FIRST, part="delivery", state="sent", channel="sms", number=2)])

    told = shell("ledger", "--recount", DATE)
    assert told.exit_code == 1
    assert "Books and rows DIFFER." in told.output
    assert "sent" in told.output

    found = json.loads(shell("ledger", "--recount", DATE, "--json").output)
    line = {"part": "delivery", "state": "sent", "channel": "sms", "reason": "", "books": 2, "rows": 0}
    assert found == {
        "day": DATE, "verdict": "differs", "sealed_at": "2026-03-11T00:00:00+00:00", "events": 1, "deliveries": 0,
        "lines": [line],
    }  # fmt: skip


def test_one_of_a_day_that_retention_has_reached_exits_with_3(shell: Shell) -> None:
    shell.tell([Tally(day=FIRST, part="delivery", state="sent", channel="sms", number=2)])
    mark = sa.insert(retention_mark).values(name="deliveries", at=(FIRST + 1) * DAY, id="")

    async def work(database: Database) -> None:
        async with database.engine.begin() as connection:
            await connection.execute(mark)

    shell.on_database(work)

    told = shell("ledger", "--recount", DATE)
    assert told.exit_code == 3
    assert "Retention has removed rows of this day" in told.output


def test_what_is_no_day_is_refused(shell: Shell) -> None:
    told = shell("ledger", "--recount", "yesterday")

    assert told.exit_code == 2
    assert "yesterday" in told.output
