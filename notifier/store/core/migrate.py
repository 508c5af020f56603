"""Schema migrations, by Alembic from inside the package: no ini file, the same on every machine."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory, revision
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.schema import CreateSchema

from notifier.domain.buckets import MOST
from notifier.domain.errors import ConfigurationError
from notifier.store.core import buckets, partitions  # noqa: F401 (a table has its default partition by the latter)
from notifier.store.core.database import Database
from notifier.store.core.resumable import Tell
from notifier.store.core.revisions import Fit, fit
from notifier.store.core.schema import metadata

LOOK_AGAIN = 0.2  # seconds between two checks whether another process has finished its upgrade

_RUNNING: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()
"""A lock per event loop: Alembic keeps its state in globals, and yields to other tasks in the middle of its work."""

_NAMED_LOCK = "SELECT GET_LOCK(CONCAT('notifier-', MD5(DATABASE())), 0)"
LOCKS = {
    # The lock ends with its transaction, which a pooler can't split.
    "postgresql": "SELECT pg_try_advisory_xact_lock(hashtext('notifier db upgrade'))",
    # The lock is server-wide, for all databases, and ends with the connection. A statement goes on after its client was
    # killed; so does the lock.
    "mysql": _NAMED_LOCK,
    "mariadb": _NAMED_LOCK,
}


# Alembic refuses a dash in an id since `0022-1` could mean the revision before. Ours have one (`revisions`), which the
# release before reads, and we ask Alembic for nothing but the newest.
with suppress(ValueError):
    revision._revision_illegal_chars.remove("-")  # noqa: SLF001 (nothing public says so)


def quiet(_what: str) -> None:
    """Reports progress to nobody."""


def config(
    connection: Connection | None = None, tell: Tell = quiet, elsewhere: Collection[str] = frozenset()
) -> Config:
    """Alembic's configuration; its env.py runs on the given connection. Tables that stand in another schema are left
    out."""
    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    made.attributes.update(connection=connection, tell=tell, elsewhere=elsewhere)
    return made


async def upgrade(database: Database, tell: Tell = quiet) -> None:
    """Bring the schema to the newest revision, that of every bucket too; does nothing where it is already there.

    Of several callers at once, one works and the others wait for it. An upgrade that was interrupted is resumed. `tell`
    is called with each change before it begins. A schema of a later release is left as it is. Raises ConfigurationError
    where this code doesn't work with that, and StoreUnavailable where the database doesn't answer.
    """
    await database.ping()
    current, newest = await revisions(database)
    match fit(current, newest):
        case Fit.AHEAD:
            return
        case Fit.BEYOND:
            raise beyond(current)
    await buckets.find(database)
    if len(database.buckets) == 1:
        await _upgrade(database, tell, [])
        return
    shared = [table for table in metadata.sorted_tables if table.name in buckets.SHARED]
    for each in database.buckets:
        await _upgrade(each, partial(_tell_of, tell, each.bucket), shared)
    # The last one: it is where the revision of the whole is read.
    await _upgrade(database, tell, [table for table in metadata.sorted_tables if table not in shared])


def _tell_of(tell: Tell, bucket: int, what: str) -> None:
    tell(f"bucket {bucket}: {what}")


async def create(database: Database, number: int, tell: Tell = quiet) -> None:
    """Make the schema of an empty database of so many buckets; one that was interrupted is gone on with.

    Raises ConfigurationError where the database is another already, and StoreUnavailable.
    """
    if not 1 < number <= MOST:
        raise ConfigurationError(f"a database has 2 to {MOST} buckets, not {number}; one needs no option")
    if database.dialect != "postgresql":
        raise ConfigurationError("only a PostgreSQL database can have buckets, for which it has schemas")
    await buckets.find(database)
    made = len(database.buckets)
    current, _ = await revisions(database)
    if made != number and (made > 1 or current is not None):
        raise ConfigurationError(
            f"this database is in use with {made} bucket{'s' if made > 1 else ''}; the number is chosen once, for an"
            " empty one"
        )

    async def work(connection: AsyncConnection) -> None:
        for bucket in range(number):
            await connection.execute(CreateSchema(buckets.schema_of(bucket), if_not_exists=True))

    await database.write(work)
    await buckets.find(database)
    await upgrade(database, tell)


async def _upgrade(database: Database, tell: Tell, elsewhere: Sequence[sa.Table]) -> None:
    """Bring one schema to the newest revision, without tables that stand in another."""

    def run(connection: Connection) -> None:
        own = [table for table in metadata.sorted_tables if table not in elsewhere]
        made = config(connection, tell, [table.name for table in elsewhere])
        if elsewhere and MigrationContext.configure(connection).get_current_revision() is None:
            # Earlier revisions move rows between all tables, of which a new schema has some only.
            tell(f"{len(own)} tables")
            metadata.create_all(connection, own)
            command.stamp(made, "head")
        else:
            command.upgrade(made, "head")

    one_at_a_time = _RUNNING.setdefault(asyncio.get_running_loop(), asyncio.Lock())
    patient = database.patient()
    try:
        async with one_at_a_time, patient.engine.connect() as connection, alone(patient, connection, tell):
            await connection.execution_options(notifier_write=True)
            await patient.look_into(connection)
            await connection.run_sync(run)
            await connection.commit()
    finally:
        await patient.close()


async def revisions(database: Database) -> tuple[str | None, str]:
    """The database's revision and the newest one. Raises StoreUnavailable."""
    newest = await asyncio.to_thread(_newest)

    async def work(connection: AsyncConnection) -> str | None:
        return await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())

    return await database.read(work), newest


def _newest() -> str:
    newest = ScriptDirectory.from_config(config()).get_current_head()
    if newest is None:
        raise RuntimeError("the package has no migrations")
    return newest


def beyond(current: str | None) -> ConfigurationError:
    """Return the error about a schema of a release that this code doesn't know."""
    return ConfigurationError(
        f"the database is at revision {current}, which needs a later release than this one; install that, or restore a"
        " backup from before the upgrade (docs/backup.md)"
    )


@asynccontextmanager
async def alone(database: Database, connection: AsyncConnection, tell: Tell) -> AsyncIterator[None]:
    """Hold the upgrade lock of this database, so that no other process upgrades it meanwhile."""
    if database.dialect == "sqlite":
        with _beside(f"{database.engine.url.database}-upgrade") as file:
            await _until(partial(_lock, file), tell)
            yield
    elif database.dialect == "mysql":
        await _until(partial(_ask, connection), tell)
        await connection.commit()
        yield
    else:
        async with database.engine.connect() as own:
            await _until(partial(_ask, own), tell)
            yield


async def _until(taken: Callable[[], Awaitable[bool]], tell: Tell) -> None:
    told = False
    while not await taken():
        if not told:
            tell("another process is upgrading this database; waiting for it")
        told = True
        await asyncio.sleep(LOOK_AGAIN)


async def _ask(connection: AsyncConnection) -> bool:
    return bool((await connection.execute(sa.text(LOCKS[connection.dialect.name]))).scalar_one())


async def _lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _beside(path: str) -> Iterator[int]:
    file = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield file
    finally:
        os.close(file)
