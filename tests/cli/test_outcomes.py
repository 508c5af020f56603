"""`notifier outcomes`: what messages achieved, as a table and as JSON."""

import asyncio
import json

import pytest

from notifier.domain.clock import SystemClock
from notifier.domain.effects import Effect, hour_of
from notifier.store.core.database import Database
from tests.cli.test_commands import Shell, shell
from tests.pipeline.test_figures import of, put

__all__ = ["shell"]


@pytest.fixture
def counted(shell: Shell) -> Shell:
    """A shell whose database has warnings of two channels, decided some hours ago, and a payment of just now."""
    assert shell("db", "upgrade").exit_code == 0
    hour = hour_of(SystemClock().now())

    async def count(*effects: Effect) -> None:
        database = Database(shell.url)
        await put(database, *effects)
        await database.close()

    asyncio.run(
        count(
            of("sent", 1_200, hour=hour - 5), of("sent", 34, hour=hour - 5, channel="sms"),
            of("exposed", 800, hour=hour - 5, channel=""), of("answered", 600, hour=hour - 5, channel="", after=5),
            of("stopped", 3, hour=hour, type="", channel="sms"), of("failed", 2, hour=hour - 5),
            of("undelivered", 1, hour=hour - 5),
            of("answered", 7, hour=hour, channel="", type="payment-failed"),
        )
    )  # fmt: skip
    return shell


def test_all_types_are_told_in_a_table(counted: Shell) -> None:
    told = counted("outcomes")

    assert told.exit_code == 0, told.output
    lines = told.output.splitlines()
    assert lines[1].split() == ["idle-warning", "1,234", "0", "0", "3", "0", "75.0%", "800", "6", "min"]
    assert lines[2].split() == ["payment-failed", "0", "0", "0", "0", "0"]
    assert "Outcome of idle-warning: The car left, within 30 min" in lines
    assert lines[-1] == "Choices that no message is known to have led to: 0 unsubscribed, 3 stopped, 0 switched off"


def test_one_is_told_apart_as_json(counted: Shell) -> None:
    found = json.loads(counted("outcomes", "idle-warning", "--by", "channel", "--days", "7", "--json").output)

    assert [(each["group"], each["sent"]) for each in found] == [("push", 1_200), ("sms", 34)]
    (hour,) = json.loads(counted("outcomes", "idle-warning", "--by", "hour", "--json").output)
    assert hour["share"] == 0.75


def test_where_there_is_nothing_that_is_told_and_what_there_is_not_is_refused(counted: Shell) -> None:
    assert "Nothing was decided" in counted("outcomes", "session-started").output
    told = counted("outcomes", "no-such")
    assert (told.exit_code, "there is no notification type no-such" in told.output) == (2, True)
    assert counted("outcomes", "--days", "1000").exit_code == 2
