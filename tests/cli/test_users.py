"""The console's users in the shell."""

import asyncio
import getpass
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from notifier.cli import main
from notifier.domain.users import User, admits
from notifier.store.console import users
from notifier.store.core import audit
from notifier.store.core.database import Database

Shell = Callable[..., Result]


@pytest.fixture
def url(tmp_path: Path, empty_sqlite: Path) -> str:
    shutil.copy(empty_sqlite, tmp_path / "notifier.db")
    return f"sqlite:///{tmp_path / 'notifier.db'}"


@pytest.fixture
def shell(url: str) -> Shell:
    """Runs `notifier users` on a database of its own."""

    def run(*arguments: str, answer: str | None = None) -> Result:
        return CliRunner().invoke(main, ["users", *arguments], env={"NOTIFIER_DATABASE_URL": url}, input=answer)

    return run


def find(url: str, name: str) -> User | None:
    async def read() -> User | None:
        database = Database(url, connections=1)
        try:
            return await users.find(database, name)
        finally:
            await database.close()

    return asyncio.run(read())


def test_a_user_is_made_with_a_password_that_is_typed(shell: Shell, url: str) -> None:
    told = shell("create", "ada", "--role", "admin", answer="a few plain words\na few plain words\n")

    assert told.exit_code == 0, told.output
    assert "a few plain words" not in told.output
    assert admits(find(url, "ada"), "a few plain words")
    assert not admits(find(url, "ada"), "a few plain word")


def test_or_with_one_that_is_made_and_shown_this_once(shell: Shell, url: str) -> None:
    made = json.loads(shell("create", "ada", "--role", "author", "--json").stdout)
    printed = shell("reset", "ada", "--generate").stdout.strip()

    assert (made["name"], made["role"]) == ("ada", "author")
    assert printed != made["password"]
    assert admits(find(url, "ada"), printed)
    assert not admits(find(url, "ada"), made["password"])


def test_users_are_listed_disabled_and_let_in_again(shell: Shell, url: str) -> None:
    password = json.loads(shell("create", "ada", "--role", "viewer", "--json").stdout)["password"]

    assert shell("disable", "ada").exit_code == 0
    (listed,) = json.loads(shell("list", "--json").stdout)
    assert (listed["name"], listed["role"], listed["signed_in"], bool(listed["disabled"])) == (
        "ada",
        "viewer",
        None,
        True,
    )
    assert not admits(find(url, "ada"), password)
    assert shell("enable", "ada").exit_code == 0
    assert admits(find(url, "ada"), password)
    assert "ada" in shell("list").output
    assert password not in shell("list").output


@pytest.mark.parametrize(
    ("arguments", "answer", "code", "told"),
    [
        (("create", "ada", "--role", "admin"), "short\nshort\n", 1, "at least 12 characters"),
        (("create", "Ada L", "--role", "admin", "--generate"), None, 2, "lower-case letters"),
        (("create", "ada", "--role", "king", "--generate"), None, 2, "king"),
        (("disable", "bo"), None, 1, "notifier users list"),
        (("reset", "bo", "--generate"), None, 1, "notifier users list"),
    ],
)
def test_what_does_not_do_is_told_with_the_way_out(
    shell: Shell, arguments: tuple[str, ...], answer: str | None, code: int, told: str
) -> None:
    result = shell(*arguments, answer=answer)

    assert result.exit_code == code
    assert told in result.output


def test_a_name_is_given_once(shell: Shell) -> None:
    shell("create", "ada", "--role", "admin", "--generate")

    again = shell("create", "ada", "--role", "viewer", "--generate")

    assert again.exit_code == 1
    assert "notifier users reset ada" in again.output


def test_the_audit_names_who_was_at_the_shell(shell: Shell, url: str) -> None:
    shell("create", "ada", "--role", "admin", "--generate")
    shell("disable", "ada")

    async def read() -> list[tuple[str, str]]:
        database = Database(url, connections=1)
        try:
            page = await audit.find(database, f"cli:{getpass.getuser()}", None, 10)
            return sorted((entry.action, entry.subject) for entry in page.rows)
        finally:
            await database.close()

    assert asyncio.run(read()) == [("user.create", "ada"), ("user.disable", "ada")]
