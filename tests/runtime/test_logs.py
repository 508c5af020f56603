"""Logs: one JSON object a line, and no address, token or key in any of them, whoever logs and whatever goes wrong."""

import json
import subprocess
import sys
from typing import Any

import pytest

CANARIES = [
    "ada@example.com",
    "+4915123456789",
    "fcm-token-4f1c",
    "ntf_0123456789abcdef_" + "5ec2e7" * 10,
    "Ada Lovelace",
]

SCRIPT = '''
import asyncio
import logging
import sys

import structlog

from notifier.domain.keys import ApiKey
from notifier.domain.messages import Device
from notifier.domain.recipients import RecipientDetails
from notifier.runtime import logs
from notifier.runtime.settings import Settings

PERSONAL = " ".join(sys.argv[2:])
email, phone, token, key, name = sys.argv[2:]
logs.set_up(sys.argv[1], "web")
log = structlog.get_logger("notifier.there")
library = logging.getLogger("some.library")


def fail(local):
    try:
        raise KeyError(local)
    except KeyError as error:
        raise ValueError(f"can't send to {local}") from error


def failing(act):
    try:
        fail(PERSONAL)
    except ValueError as error:
        act(error)


def sql(local):
    from sqlalchemy.exc import OperationalError

    raise OperationalError("INSERT INTO recipient", {"email": local}, RuntimeError(local))


async def unwatched():
    """A task that fails with nobody to ask it why."""
    async def task():
        await asyncio.sleep(0)
        fail(PERSONAL)

    asyncio.get_running_loop().create_task(task())
    asyncio.get_running_loop().call_soon(fail, PERSONAL)
    await asyncio.sleep(0.01)


log.info("plain", count=3)
log.debug("quiet")
failing(lambda error: log.exception("structlog.exception"))
failing(lambda error: log.error("structlog.exc_info", exc_info=error))
failing(lambda error: log.error("structlog.tuple", exc_info=(type(error), error, error.__traceback__)))
failing(lambda error: library.exception("stdlib.exception"))
failing(lambda error: library.error("stdlib.argument: %s and %r", error, error))
failing(lambda error: library.error("stdlib.first line\\n%s", error))
failing(lambda error: library.error("stdlib.stack", stack_info=True, exc_info=error))
try:
    sql(PERSONAL)
except Exception:
    log.exception("sqlalchemy")
given = {"email_providers": f"smtps://u:{key}@h", "sms_providers": f"twilio://S:{token}@h?from=1"}
settings = Settings(api_key=key, channels=given)
held = [RecipientDetails(name=name, email=email, phone=phone), Device(value=token), settings]
log.info("objects", held=held, api_key=ApiKey(id="1", name=name, secret_hash=key, scopes=frozenset(), created_at=0))
asyncio.run(unwatched())
logging.getLogger("asyncio").info("chatty")
'''


@pytest.fixture(scope="module")
def logged() -> list[dict[str, Any]]:
    """What a process logs in which all kinds of things go wrong, each with personal data at hand."""
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, "info", *CANARIES], capture_output=True, text=True, check=False, timeout=30
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == ""
    return [json.loads(line) for line in ran.stderr.splitlines()]


def test_nothing_personal_is_in_any_line(logged: list[dict[str, Any]]) -> None:
    for line in logged:
        for canary in CANARIES:
            assert canary not in json.dumps(line, ensure_ascii=False), line


def test_every_line_says_when_where_how_bad_and_what(logged: list[dict[str, Any]]) -> None:
    for line in logged:
        assert {"timestamp", "level", "logger", "process", "event"} <= line.keys()
        assert line["process"] == "web"
    assert len(logged) == 12


def test_what_is_passed_is_there(logged: list[dict[str, Any]]) -> None:
    (plain,) = [line for line in logged if line["event"] == "plain"]

    assert (plain["count"], plain["level"], plain["logger"]) == (3, "info", "notifier.there")


@pytest.mark.parametrize(
    "event", ["structlog.exception", "structlog.exc_info", "structlog.tuple", "stdlib.exception", "stdlib.stack"]
)
def test_an_exception_is_told_by_its_type_and_the_line_that_raised_it(logged: list[dict[str, Any]], event: str) -> None:
    (line,) = [line for line in logged if line["event"] == event]

    raised_at = SCRIPT.splitlines().index('        raise ValueError(f"can\'t send to {local}") from error') + 1
    assert (line["error"], line["at"]) == ("ValueError", f"__main__:{raised_at}")


def test_of_a_librarys_message_the_first_line_stays_and_of_exceptions_in_it_the_type(
    logged: list[dict[str, Any]],
) -> None:
    events = [line["event"] for line in logged]

    assert "stdlib.argument: ValueError and 'ValueError'" in events
    assert "stdlib.first line" in events
    assert "Task exception was never retrieved" in events
    assert "Exception in callback fail" in events


def test_what_is_below_the_level_or_only_chatter_is_left_out(logged: list[dict[str, Any]]) -> None:
    events = [line["event"] for line in logged]

    assert "quiet" not in events
    assert "chatty" not in events
