"""Experiments from the shell."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_commands import Shell, shell

__all__ = ["shell"]

PLAN: dict[str, Any] = {
    "type": "idle-warning", "why": "Does waiting help?", "arms": {"control": {}, "later": {"later": "5 min"}},
    "weights": {"control": 5_000, "later": 5_000},
}  # fmt: skip


@pytest.fixture
def plan(shell: Shell, tmp_path: Path) -> Path:
    """A plan in a file, and a database to write it to."""
    shell("db", "upgrade")
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(PLAN))
    return file


def test_an_experiment_is_planned_started_shown_and_ended(shell: Shell, plan: Path) -> None:
    assert shell("experiments", "plan", "wait", str(plan)).output == "wait is draft, at revision 1.\n"
    assert shell("experiments", "start", "wait").output == "wait is running.\n"

    told = shell("experiments", "show", "wait").output
    assert told.startswith("wait on idle-warning, running since ")
    assert "It is too early to say; looking more often does no harm." in told
    found = json.loads(shell("experiments", "show", "wait", "--json").output)
    assert [each["arm"] for each in found["result"]["arms"]] == ["control", "later"]

    ended = shell("experiments", "end", "wait", "--why", "seen enough", "--winner", "later")
    assert ended.output == "wait has ended for later.\n"
    assert shell("experiments", "list").output == "wait  ended  idle-warning  control, later\n"
    (listed,) = json.loads(shell("experiments", "list", "--json").output)
    assert (listed["winner"], listed["ended_because"]) == ("later", "seen enough")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("show", "none"), 1, "there is no experiment with this id"),
        (("start", "a b"), 2, "1 to 60 characters, without spaces and slashes"),
        (("end", "wait", "--why", "x", "--publish"), 2, "--publish needs a --winner"),
    ],
    ids=["nothing", "no id", "no winner"],
)
def test_what_can_not_be_is_told_with_its_way_out(
    shell: Shell, plan: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    told = shell("experiments", *arguments)

    assert told.exit_code == code
    assert said in told.output


def test_a_plan_that_can_not_be_names_its_member(shell: Shell, plan: Path) -> None:
    plan.write_text(json.dumps({**PLAN, "type": "session-started"}))

    told = shell("experiments", "plan", "wait", str(plan))

    assert told.exit_code == 1
    assert "session-started has no outcome" in told.output
