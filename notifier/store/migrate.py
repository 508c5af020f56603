"""Schema migrations, by Alembic from inside the package: no ini file, the same on every machine."""

import asyncio
from pathlib import Path
from weakref import WeakKeyDictionary

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.store.database import Database

_RUNNING: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()
"""A lock for each loop: Alembic keeps in globals what it works on, and gives way in the middle of it."""


def config(connection: Connection | None = None) -> Config:
    """Alembic's configuration; its env.py runs on the connection given."""
    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    made.attributes["connection"] = connection
    return made


async def upgrade(database: Database) -> None:
    """Bring the schema to the newest revision; does nothing where it is there."""

    def run(connection: Connection) -> None:
        command.upgrade(config(connection), "head")

    one_at_a_time = _RUNNING.setdefault(asyncio.get_running_loop(), asyncio.Lock())
    async with one_at_a_time, database.engine.connect() as connection:
        await connection.run_sync(run)
        await connection.commit()


async def revisions(database: Database) -> tuple[str | None, str | None]:
    """The revision that the database has, and the newest there is. Raises StoreUnavailable."""
    newest = await asyncio.to_thread(lambda: ScriptDirectory.from_config(config()).get_current_head())

    async def work(connection: AsyncConnection) -> str | None:
        return await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())

    return await database.read(work), newest
