"""Work that nobody waits for."""

import asyncio
from pathlib import Path

import pytest
import structlog
from sqlalchemy import text

from notifier.domain.catalog_files import load_catalog
from notifier.domain.clock import SystemClock
from notifier.metrics import REGISTRY
from notifier.rendering import Brand, Renderer
from notifier.runtime.background import forever, once
from notifier.runtime.settings import Settings
from notifier.store.core.clock import DatabaseClock
from notifier.store.core.database import Database
from notifier.texts import publishing

ROOT = Path(__file__).parents[2]
PROMPT = 0.001  # seconds: the tests needn't wait as long as a log must not be filled


class Unexpected(Exception):
    """What nobody thought of."""


def failed(task: str) -> float:
    return REGISTRY.get_sample_value("notifier_background_failures_total", {"task": task}) or 0.0


async def until_failed(task: str, before: float) -> None:
    while failed(task) == before:  # noqa: ASYNC110 (a counter has no event)
        await asyncio.sleep(PROMPT)


async def test_work_that_fails_is_told_counted_and_begun_again() -> None:
    # Given work that fails twice, and then goes on
    tries, going = [0], asyncio.Event()

    async def work() -> None:
        tries[0] += 1
        if tries[0] < 3:
            raise Unexpected
        going.set()
        await asyncio.Event().wait()

    before = failed("test.forever")

    # When it is begun
    with structlog.testing.capture_logs() as logs:
        task = forever("test.forever", work, pause=PROMPT)
        await going.wait()

    # Then it goes on, and both failures are told
    assert failed("test.forever") == before + 2
    assert [(each["event"], each["task"]) for each in logs] == [("background.failed", "test.forever")] * 2
    assert not task.done()

    # And it ends where it is cancelled
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_work_that_comes_to_its_end_is_not_begun_again() -> None:
    tries = [0]

    async def work() -> None:
        tries[0] += 1

    await forever("test.ends", work)

    assert tries == [1]


async def test_what_is_done_once_tells_its_failure_and_keeps_nobody_from_closing() -> None:
    async def work() -> None:
        raise Unexpected

    before = failed("test.once")

    await once("test.once", work)

    assert failed("test.once") == before + 1


async def test_texts_are_refreshed_again_after_an_error_that_nobody_expected(database: Database) -> None:
    if database.dialect == "sqlite":
        pytest.skip("a table that isn't there is a database that is away, for SQLite")
    # Given a process that keeps its texts, whose table somebody has taken away
    settings = Settings()
    catalog = load_catalog(settings.templates)
    renderer = Renderer(catalog, settings.templates, Brand(name="b", app_url="https://a.example", postal_address="c"))
    await publishing.ship(database, renderer.shipped, SystemClock())
    before = failed("test.texts")
    await rename(database, "template_version", "elsewhere")
    try:
        keeping = forever("test.texts", lambda: publishing.keep(database, renderer), pause=PROMPT)
        await until_failed("test.texts", before)
    finally:
        # When it is there again
        await rename(database, "elsewhere", "template_version")

    # Then the texts come
    while renderer.live("idle-warning") == 0:  # noqa: ASYNC110 (likewise)
        await asyncio.sleep(PROMPT)
    keeping.cancel()


async def test_the_clock_asks_again_after_an_error_that_nobody_expected(database: Database) -> None:
    # Given a database's clock, and a database that fails once it has started in a way that nobody expected
    class Failing(Database):
        failing = False

        async def read(self, work):  # type: ignore[no-untyped-def]
            if self.failing:
                self.failing = False
                raise Unexpected
            return await super().read(work)

    url = database.engine.url.render_as_string(hide_password=False)
    failing = Failing(url.replace("+aiosqlite", "").replace("+asyncpg", "").replace("+asyncmy", ""), connections=1)
    clock = DatabaseClock(failing, every=PROMPT)
    before = failed("clock")
    await clock.start()

    # When it fails
    failing.failing = True
    await until_failed("clock", before)

    # Then it is asked again, and closing raises nothing
    failing.failing = True
    await until_failed("clock", before + 1)
    await clock.close()
    await failing.close()


def test_no_task_is_started_that_nobody_looks_after() -> None:
    # Given the places that start tasks themselves: those whose results are awaited, and those that hold what fails
    looked_after = {
        "runtime/background.py",
        "runtime/recent.py",  # awaited by those who ask, such as for the ledger
        "runtime/coalesce.py",  # what it raises reaches its callers
        "pipeline/local_dispatcher.py",  # likewise told and counted, as a message whose work failed
        "pipeline/clock.py",  # a group, which is awaited
        "pipeline/deliver.py",  # awaited
        "rendering/confined.py",  # awaited
        "client/producer.py",  # awaited as it closes
        "demo/run.py",  # awaited
    }

    # When the sources are read
    starting = {
        str(path.relative_to(ROOT / "notifier"))
        for path in (ROOT / "notifier").rglob("*.py")
        if "create_task(" in path.read_text() or "ensure_future(" in path.read_text()
        if path.parts[len(ROOT.parts) + 1] != "chaos"  # which awaits what it starts
    }

    # Then there are no others
    assert starting <= looked_after


async def rename(database: Database, table: str, name: str) -> None:
    async with database.engine.begin() as connection:
        await connection.execute(text(f"ALTER TABLE {table} RENAME TO {name}"))
