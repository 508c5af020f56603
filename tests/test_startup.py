"""An engine opens whole or not at all: where a step of its opening fails, nothing of the steps before stays open."""

import asyncio
import sqlite3
import threading

import pytest

from notifier.domain.errors import ConfigurationError
from notifier.runtime.settings import Settings, load_settings, to_environment
from notifier.startup import close, open_engine, open_worker_engine


@pytest.fixture
def settings(tmp_path_factory: pytest.TempPathFactory, database_url: str, valkey: str) -> Settings:
    given = {"database_url": database_url, "broker_url": valkey, "metrics_dir": tmp_path_factory.mktemp("metrics")}
    return load_settings(to_environment(given))


def damage(settings: Settings, statement: str) -> None:
    with sqlite3.connect(settings.database_url.removeprefix("sqlite:///")) as connection:
        connection.execute(statement)
    connection.close()


def threads() -> set[threading.Thread]:
    """Each connection of SQLite's has a thread of its own, and so have the signals."""
    return {each for each in threading.enumerate() if each.name.startswith("signals") or "_connection" in each.name}


async def ended(before: set[threading.Thread]) -> bool:
    for thread in threads() - before:
        await asyncio.to_thread(thread.join, 10)
    return threads() <= before


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("UPDATE alembic_version SET version_num = '0001'", ConfigurationError),  # the first step
        ("DROP TABLE template_version", Exception),
        ("DROP TABLE secret", Exception),  # one of the last
    ],
)
@pytest.mark.parametrize("kind", ["web", "worker"])
async def test_where_an_engine_cannot_be_opened_nothing_stays_open(
    settings: Settings, statement: str, error: type[Exception], kind: str
) -> None:
    # Given a database on which a step of the opening fails
    damage(settings, statement)
    before, tasks = threads(), asyncio.all_tasks()

    # When an engine is opened
    with pytest.raises(error):
        await (open_engine(settings) if kind == "web" else open_worker_engine(settings, {}))

    # Then no connection, thread or task of it is left
    assert await ended(before)
    assert asyncio.all_tasks() == tasks


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_an_engine_that_was_closed_has_nothing_open(settings: Settings) -> None:
    # Given an open worker's engine
    before, tasks = threads(), asyncio.all_tasks()
    engine = await open_worker_engine(settings, {})
    assert threads() > before

    # When it is closed
    await close(engine)

    # Then nothing of it is left
    assert await ended(before)
    assert asyncio.all_tasks() == tasks
