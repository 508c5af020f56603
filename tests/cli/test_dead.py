"""Dead letters in the shell: what an operator sees, is asked, and does."""

import asyncio
import getpass
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from notifier.cli import main
from notifier.cli.dead import PAGE
from notifier.domain.ids import make_id
from notifier.store.core.database import Database
from notifier.store.core.staff import audit
from notifier.store.core.status import rendered as delivery
from notifier.store.reading.dead import successor_id
from tests.states import put
from tests.written import write_events

AT = 1_773_078_000_000  # 2026-03-09T17:40:00Z


class Shell:
    """Runs `notifier dead` on a database of its own."""

    def __init__(self, database_url: str, broker_url: str) -> None:
        self.url = database_url
        self._environment = {"NOTIFIER_DATABASE_URL": database_url, "NOTIFIER_BROKER_URL": broker_url}

    def __call__(self, *arguments: str, answer: str | None = None) -> Result:
        return CliRunner().invoke(main, ["dead", *arguments], env=self._environment, input=answer)

    def read(self, *arguments: str) -> Any:
        """What a command says by `--json`."""
        told = self(*arguments, "--json")
        assert told.exit_code == 0, told.output
        return json.loads(told.stdout)

    def rows(self, table: sa.FromClause) -> list[Any]:
        async def read(database: Database) -> list[Any]:
            async with database.engine.connect() as connection:
                return list(await connection.execute(sa.select(table)))

        return asyncio.run(self._on_database(read))

    def die(self, number: int, **given: Any) -> str:
        """The id of a text that failed."""
        return self.die_together(range(number, number + 1), **given)[0]

    def die_together(self, numbers: range, **given: Any) -> list[str]:
        """The ids of many."""
        told = {"source": "csms", "type": "charging.complete", "digest": "", "deliveries": 1}
        told["data"] = '{"session_id":"101"}'
        text = {"recipient_id": "ada", "type": "charging-complete", "channel": "sms", "target": "", "lane": "urgent"}
        died = {"subject_key": make_id("101"), "state": "failed", "reason": "refused", "attempts": 1, **given}
        at = {"created_at": AT, "due_at": AT, "expires_at": AT}
        events = [
            {**told, "id": make_id("event", str(number)), "source_id": str(number), "subject": f"A-{number}"}
            | {"occurred_at": AT, "accepted_at": AT, "decided_at": AT}
            for number in numbers
        ]
        deliveries = [
            {**text, **died, **at, "id": make_id("delivery", str(number)), "event_id": make_id("event", str(number))}
            | {"updated_at": AT + number}
            for number in numbers
        ]

        async def write(database: Database) -> None:
            async with database.engine.begin() as connection:
                await write_events(connection, events)
                await put(connection, *deliveries)

        asyncio.run(self._on_database(write))
        return [make_id("delivery", str(number)) for number in numbers]

    async def _on_database(self, work: Any) -> Any:
        database = Database(self.url, connections=1)
        try:
            return await work(database)
        finally:
            await database.close()


@pytest.fixture
def shell(tmp_path: Path, empty_sqlite: Path, valkey: str) -> Shell:
    shutil.copy(empty_sqlite, tmp_path / "notifier.db")
    return Shell(f"sqlite:///{tmp_path / 'notifier.db'}", valkey)


def test_dead_letters_are_listed_by_pages_for_people_and_for_programs(shell: Shell) -> None:
    ids = [shell.die(number) for number in range(3)]

    told = shell("list", "--limit", "2").output
    first = shell.read("list", "--limit", "2")
    second = shell.read("list", "--limit", "2", "--cursor", first["next"])

    assert [letter["id"] for letter in first["letters"] + second["letters"]] == ids[::-1]
    assert f"--cursor {first['next']}" in told
    assert "refused" in told
    assert second["next"] is None


def test_a_dead_letter_is_shown_with_its_reason_in_words(shell: Shell) -> None:
    id_ = shell.die(1)

    told = shell("show", id_).output

    for said in (id_, "the provider refuses it for good", "A-1", "'1' of 'csms'", "2026-03-09T17:40:00"):
        assert said in told
    assert shell.read("show", id_)["event"]["subject"] == "A-1"
    assert shell("show", "0" * 32).exit_code == 1


def test_redriving_says_what_became_of_each_id_and_ends_with_1_where_one_was_refused(shell: Shell) -> None:
    dead, sent = shell.die(1), shell.die(2, state="sent")

    told = shell("redrive", dead, sent)

    assert told.exit_code == 1
    assert f"{sent} was refused: not dead" in told.output
    assert "1 redriven, 1 refused." in told.output
    assert shell.read("redrive", dead)["results"] == [
        {"id": dead, "status": "redriven", "delivery": successor_id(dead)}
    ]
    (entry,) = shell.rows(audit)
    assert (entry.actor, entry.action, entry.subject) == (f"cli:{getpass.getuser()}", "dead.redrive", dead)


def test_all_that_the_filters_leave_are_redriven_once_their_number_is_confirmed(shell: Shell) -> None:
    # Given two dead letters of a reason, and one of another
    wanted = {shell.die(1), shell.die(2)}
    other = shell.die(3, reason="address_gone")

    # When they are to be redriven, then their number is asked about, and a no changes nothing
    told = shell("redrive", "--all", "--reason", "refused", answer="n\n")
    assert "Redrive 2 dead letters?" in told.output
    assert (told.exit_code, len(shell.read("list")["letters"])) == (1, 3)

    # And a yes redrives them, and only them
    assert shell("redrive", "--all", "--reason", "refused", answer="y\n").exit_code == 0
    assert {row.redrive_of for row in shell.rows(delivery) if row.redrive_of} == wanted
    assert [letter["id"] for letter in shell.read("list")["letters"]] == [other]


def test_more_than_go_together_in_one_step_are_discarded_all_the_same(shell: Shell) -> None:
    ids = shell.die_together(range(PAGE + 1))

    told = shell.read("discard", "--all", "--yes")

    assert (told["done"], told["refused"]) == (PAGE + 1, 0)
    assert [result["id"] for result in told["results"]] == ids[::-1]
    assert shell.read("list") == {"letters": [], "next": None}


@pytest.mark.parametrize(
    "arguments",
    [
        ("redrive",),
        ("discard",),
        ("redrive", "0" * 32, "--all"),
        ("redrive", "0" * 32, "--reason", "refused"),
        ("list", "--cursor", "x"),
        ("list", "--channel", "fax"),
    ],
)
def test_what_makes_no_sense_is_a_matter_of_usage(shell: Shell, arguments: tuple[str, ...]) -> None:
    assert shell(*arguments).exit_code == 2
