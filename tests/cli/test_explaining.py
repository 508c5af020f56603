"""Why, why not and what if in the shell, as somebody in support asks."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from notifier.cli import main
from notifier.domain.catalog_files import load_catalog
from notifier.domain.cloudevents import CheckedEvent, EventReader
from notifier.domain.messages import Device
from notifier.domain.preferences import Preferences, QuietHours
from notifier.domain.recipients import RecipientDetails
from notifier.pipeline.accept import new_event
from notifier.pipeline.plan import audience_keys
from notifier.pipeline.planning import read_and_plan
from notifier.store.core.database import Database
from notifier.store.delivery import deliveries, events
from notifier.store.people import recipients
from tests.pipeline.samples import COMPLETE, NOW

TEMPLATES = Path(__file__).parents[2] / "templates"
ADA = RecipientDetails(
    phone="+4915123456789", time_zone="Europe/Vienna", devices=[Device(value="t")],
    preferences=Preferences(quiet_hours=QuietHours("18:00", "19:00")),
)  # fmt: skip


class Shell:
    """Runs commands on a database in which an event is decided."""

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder / 'notifier.db'}"
        self.event = asyncio.run(self._decide())

    def __call__(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, arguments, env={"NOTIFIER_DATABASE_URL": self.url, "COLUMNS": "200"})

    def read(self, *arguments: str) -> Any:
        told = self(*arguments, "--json")
        assert told.exit_code == 0, told.output
        return json.loads(told.stdout)

    async def _decide(self) -> str:
        """The id of an event that is decided without a broker."""
        database = Database(self.url, connections=1)
        catalog = load_catalog(TEMPLATES)
        try:
            await recipients.put(database, {"ada": ADA, "cem": RecipientDetails()}, NOW)
            checked = EventReader(catalog).made("charging.complete", "csms", "17", "subject", NOW, COMPLETE)
            assert isinstance(checked, CheckedEvent)
            id_ = (await events.add(database, [new_event(checked, NOW)]))[checked.id].id

            async def work(connection: Any) -> None:
                undecided = await events.take_undecided(connection, database.dialect, [id_])
                keys = list(audience_keys(catalog, undecided))
                members = await recipients.in_audiences(connection, database.dialect, keys)
                plan = await read_and_plan(connection, database.dialect, catalog, undecided, NOW, members)
                await deliveries.add(connection, database.dialect, list(plan.deliveries.values()))
                await deliveries.add_decisions(connection, database.dialect, plan.decisions)
                made = {id_: len(plan.deliveries)}
                await events.mark_decided(connection, database.dialect, undecided, made, NOW)

            await database.write(work)
            return id_
        finally:
            await database.close()


@pytest.fixture
def shell(tmp_path: Path, empty_sqlite: Path) -> Shell:
    shutil.copy(empty_sqlite, tmp_path / "notifier.db")
    return Shell(tmp_path)


def test_an_event_is_explained_in_sentences_and_as_json(shell: Shell) -> None:
    told = shell("explain", shell.event).output

    for said in (
        "csms reported charging.complete (17)",
        "Charging complete for ada",
        "held until 19:00 on Monday, their time: the person has quiet hours",
        "Quiet hours from 18:00 to 19:00 (chosen by the person): held until 19:00 on Monday, their time.",
        "times in Europe/Vienna",
    ):
        assert said in told
    by_source = shell.read("explain", "--source", "csms", "--id", "17", "--recipient", "ada")
    assert by_source["decisions"][0]["recipient"] == "ada"
    assert "cem is in none of its audiences" in shell("explain", shell.event, "--recipient", "cem").output


@pytest.mark.parametrize(("arguments", "code"), [((), 1), (("a-17",), 2), (("--source", "csms"), 1), (("0" * 32,), 1)])
def test_a_question_about_nothing_says_what_to_name(shell: Shell, arguments: tuple[str, ...], code: int) -> None:
    told = shell("explain", *arguments)

    assert told.exit_code == code
    assert told.output.strip()


def test_what_would_happen_at_night_is_told_with_the_words_that_would_go_out(shell: Shell, tmp_path: Path) -> None:
    # Given the data in a file, of a charge that nobody was told of
    data = tmp_path / "data.json"
    data.write_text(json.dumps({**COMPLETE, "session_id": "202"}), "utf-8")
    quiet = '{"quiet_hours": {"from": "22:00", "until": "22:20"}}'

    # When it is simulated
    asked = ("simulate", "charging.complete", "--data", f"@{data}", "--recipient", "ada", "--at", "22:10")
    told = shell(*asked, "--preferences", quiet).output

    # Then it says what, when and in which words
    assert "22:10" in told
    assert "held until 22:20" in told
    assert "Gent Zuid" in told
    supposed = shell.read(
        "simulate", "charging.complete", "--data", f"@{data}", "--suppose", '{"phone": "+4915123456780"}'
    )
    assert supposed["fates"][0]["recipient"] == "somebody"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("charging.complete", "--data", "{"), 2),
        (("charging.complete", "--recipient", "ada", "--suppose", "{}"), 2),
        (("no.such",), 1),
        (("charging.complete", "--data", json.dumps(COMPLETE), "--recipient", "nobody"), 1),
        (("charging.complete", "--data", json.dumps(COMPLETE), "--time", "yesterday"), 1),
    ],
)
def test_a_simulation_of_nonsense_says_what_is_wrong(shell: Shell, arguments: tuple[str, ...], code: int) -> None:
    told = shell("simulate", *arguments)

    assert told.exit_code == code
    assert told.output.strip()


def test_a_day_is_decided_again_by_other_rules(shell: Shell, tmp_path: Path) -> None:
    # Given types that go through quiet hours
    templates = tmp_path / "templates"
    shutil.copytree(TEMPLATES, templates)
    file = templates / "charging-complete" / "type.toml"
    file.write_text("through_quiet_hours = true\n" + file.read_text("utf-8"), "utf-8")

    # When the day is decided again by today's and by those
    same = shell.read("replay-day", "2026-03-09")
    told = shell("replay-day", "2026-03-09", "--templates", str(templates))

    # Then the one finds nothing, and the other what was held
    assert (same["events"], same["differ"]) == (1, 0)
    assert "3 would differ" in told.output  # by push, by SMS and in the inbox
    assert "held: the person has quiet hours" in told.output
    assert shell.read("replay-day", "2026-03-10")["events"] == 0
    assert shell("replay-day", "2026-03-09", "--time-zone", "Mars").exit_code == 2
    assert shell("replay-day", "yesterday").exit_code == 2
