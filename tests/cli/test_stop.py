"""`notifier cancel` in the shell."""

import asyncio
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from notifier.cli import main
from notifier.domain.cloudevents import EventReader
from notifier.pipeline.accept import new_event
from notifier.store.core.database import Database
from notifier.store.delivery import events
from tests.pipeline.samples import COMPLETE
from tests.samples import CATALOG, NOW


@pytest.fixture
def url(tmp_path: Path, empty_sqlite: Path) -> str:
    """A database that has one event, `e-1` of `csms`."""
    shutil.copy(empty_sqlite, tmp_path / "notifier.db")
    url = f"sqlite:///{tmp_path / 'notifier.db'}"

    async def add() -> None:
        database = Database(url, connections=1)
        checked = EventReader(CATALOG).made("charging.complete", "csms", "e-1", "session/101", NOW, COMPLETE)
        await events.add(database, [new_event(checked, NOW)])
        await database.close()

    asyncio.run(add())
    return url


def cancel(url: str, valkey: str, *arguments: str) -> Result:
    return CliRunner().invoke(
        main, ["cancel", *arguments], env={"NOTIFIER_DATABASE_URL": url, "NOTIFIER_BROKER_URL": valkey}
    )


@pytest.mark.parametrize("arguments", [["charging-complete", "101"], ["--event", "csms", "e-1"]])
def test_a_cancellation_says_what_it_stops(url: str, valkey: str, arguments: list[str]) -> None:
    told = cancel(url, valkey, *arguments, "--json")

    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout) == {"stopped": 0, "deliveries": []}
    assert "0 stopped" in cancel(url, valkey, *arguments).stdout


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ([], 2, "TYPE"),
        (["charging-complete"], 2, "TYPE"),
        (["charging-complete", "101", "--event", "csms", "e-1"], 2, "TYPE"),
        (["no-such", "101"], 1, "charging-complete"),
        (["--event", "csms", "e-2"], 1, "no event"),
    ],
)
def test_what_can_not_be_meant_is_told(url: str, valkey: str, arguments: list[str], code: int, told: str) -> None:
    result = cancel(url, valkey, *arguments)

    assert result.exit_code == code
    assert told in result.output
