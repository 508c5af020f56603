"""Ids in the shell, on every database: copied from elsewhere they are found, and what is none is told so."""

import re

import pytest
from click.testing import CliRunner

from notifier.cli import main
from notifier.domain.ids import NOTHING
from tests.cli.test_dead import Shell


@pytest.fixture
def shell(database_url: str, valkey: str) -> Shell:
    return Shell(database_url, valkey)


def test_an_id_is_taken_as_a_database_shows_it(shell: Shell) -> None:
    # Given a dead letter, and its id as PostgreSQL and as MariaDB's HEX() show it
    id_ = shell.die(1)
    hyphens = re.sub("(.{8})(.{4})(.{4})(.{4})(.{12})", r"\1-\2-\3-\4-\5", id_)
    assert id_.upper() != id_

    # When somebody names it so, then it is the letter that is meant
    for copied in (hyphens, id_.upper()):
        assert shell.read("show", copied)["id"] == id_
        assert [each["id"] for each in shell.read("discard", copied)["results"]] == [id_]
        told = CliRunner().invoke(main, ["explain", "--delivery", copied], env={"NOTIFIER_DATABASE_URL": shell.url})
        assert told.exit_code == 0, told.output


@pytest.mark.parametrize("odd", ["", "x", "é", "a" * 31, "a" * 33, "g" * 32, NOTHING])
def test_what_names_nothing_is_told_so(shell: Shell, odd: str) -> None:
    shell.die(1)

    shown, redriven, discarded = shell("show", odd), shell("redrive", odd), shell("discard", odd)

    assert (shown.exit_code, "no dead letter has the id" in shown.output) == (1, True)
    for told in (redriven, discarded):
        assert (told.exit_code, f"{odd} was refused: not found" in told.output) == (1, True)
    for name in ((), ("--delivery",)):
        asked = CliRunner().invoke(main, ["explain", *name, odd], env={"NOTIFIER_DATABASE_URL": shell.url})
        assert asked.exit_code == (1 if odd == NOTHING else 2), asked.output
        assert ("no such event" if odd == NOTHING else "--source SOURCE --id ID") in asked.output
