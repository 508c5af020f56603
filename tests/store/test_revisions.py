"""A release and the one after it work with one database: the code of each with the schema of the other."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory
from click.testing import CliRunner

from notifier.cli import main
from notifier.domain.errors import ConfigurationError
from notifier.runtime.settings import load_settings
from notifier.startup import open_database
from notifier.store.core import migrate
from notifier.store.core.database import Database
from notifier.store.core.revisions import Fit, fit, parse

NEWEST = 9_000


@pytest.mark.parametrize(
    ("current", "newest", "fits"),
    [
        (None, "0021", Fit.BEHIND),
        ("0020", "0021", Fit.BEHIND),
        ("0021", "0021", Fit.SAME),
        ("0022-0021", "0022-0021", Fit.SAME),
        ("0021", "0022-0021", Fit.BEHIND),
        ("0022-0021", "0021", Fit.AHEAD),
        ("0024-0021", "0021", Fit.AHEAD),
        ("0023-0022", "0022-0021", Fit.AHEAD),
        ("0023-0022", "0021", Fit.BEYOND),
        ("0022", "0021", Fit.BEYOND),
    ],
)
def test_how_a_schema_fits_code(current: str | None, newest: str, fits: Fit) -> None:
    assert fit(current, newest) is fits


def test_every_revision_says_which_code_works_with_it() -> None:
    ids = [each.revision for each in ScriptDirectory.from_config(migrate.config()).walk_revisions()]

    assert [parse(id_).number for id_ in ids] == list(range(len(ids), 0, -1))
    assert all(parse(id_).least <= parse(id_).number for id_ in ids)


async def stamp(database: Database, revision: str) -> None:
    async with database.engine.begin() as connection:
        await connection.execute(sa.text("UPDATE alembic_version SET version_num = :id"), {"id": revision})


@pytest.fixture
async def newest(database: Database) -> AsyncIterator[str]:
    """The newest revision that this code knows; the database is at it again in the end."""
    _, newest = await migrate.revisions(database)
    yield newest
    await stamp(database, newest)


async def test_code_is_started_and_gone_back_to_on_the_schema_of_the_next_release(
    database: Database, database_url: str, newest: str
) -> None:
    # Given a database that the next release has upgraded, by a change that only adds
    ahead = f"{NEWEST}-{parse(newest).number:04}"
    await stamp(database, ahead)

    # When this release is started on it, and upgrades it as an installation does each time
    settings = load_settings({"NOTIFIER_DATABASE_URL": database_url})
    await (await open_database(settings)).close()
    await migrate.upgrade(database)

    # Then it works, and the schema stays
    assert (await migrate.revisions(database))[0] == ahead


async def test_a_schema_that_this_code_does_not_work_with_is_refused_and_says_what_to_do(
    database: Database, database_url: str, newest: str
) -> None:
    await stamp(database, str(NEWEST))

    settings = load_settings({"NOTIFIER_DATABASE_URL": database_url})
    for work in (open_database(settings), migrate.upgrade(database)):
        with pytest.raises(ConfigurationError, match="needs a later release than this one"):
            await work

    told = await asyncio.to_thread(
        CliRunner().invoke, main, ["db", "upgrade"], env={"NOTIFIER_DATABASE_URL": database_url}
    )
    assert told.exit_code == 78
    assert "Traceback" not in told.output
