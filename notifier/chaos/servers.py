"""Servers for scenarios: a database of our own on the server named, dropped at the end, and an empty broker."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import redis
import sqlalchemy as sa

from notifier.broker import QUEUES, broker_address, make_broker
from notifier.demo.local import OWN
from notifier.domain.errors import ConfigurationError
from notifier.runtime.broker_url import NAMESPACE, RedisUrl, redis_url
from notifier.runtime.redis_clients import connect
from notifier.store.core.database import Database

REDIS_TIMEOUT = 5  # seconds for one command


@asynccontextmanager
async def database_of_our_own(server: str) -> AsyncIterator[str]:
    """Create a database on the server of this URL and yield its URL; drop it at the end."""
    url = sa.make_url(server)
    if url.get_backend_name() == "sqlite":
        raise ConfigurationError("--database names a server; without it a SQLite file of its own is used")
    name = f"notifier_chaos_{os.getpid()}"
    anyway = " WITH (FORCE)" if url.get_backend_name().startswith("postgres") else ""
    try:
        await execute(server, f"DROP DATABASE IF EXISTS {name}{anyway}")
        await execute(server, f"CREATE DATABASE {name}")
    except (OSError, sa.exc.SQLAlchemyError) as error:
        raise ConfigurationError(f"--database: no database can be made there ({type(error).__name__})") from None
    try:
        yield url.set(database=name).render_as_string(hide_password=False)
    finally:
        await execute(server, f"DROP DATABASE IF EXISTS {name}{anyway}")


async def empty_broker(url: str) -> None:
    """Remove every signal from a broker; ConfigurationError where it can't be reached or holds other data."""
    try:
        is_redis = isinstance(broker_address(url), RedisUrl)
        await asyncio.to_thread(_empty_redis if is_redis else _empty_rabbitmq, url)
    except (OSError, redis.RedisError) as error:
        raise ConfigurationError(f"--broker: it can't be reached ({type(error).__name__})") from None


def client_of(url: str) -> redis.Redis:
    """Make a client of a Redis, closed at its context's end; ConfigurationError where the URL is none of a Redis."""
    try:
        return connect(redis_url(url), REDIS_TIMEOUT, connections=1)
    except ValueError as error:
        problem = str(error)
    raise ConfigurationError(f"--broker {problem}")


def _empty_redis(url: str) -> None:
    with client_of(url) as client:
        ours = f"{NAMESPACE}:".encode(), f"{{{NAMESPACE}}}:".encode()
        if any(not key.startswith(ours) for key in client.scan_iter(count=1000)):
            raise ConfigurationError("--broker: the Redis database contains other keys; name an empty one")
        client.flushdb()


def _empty_rabbitmq(url: str) -> None:
    broker = make_broker(url, namespace=f"{NAMESPACE}:{OWN}")
    for queue in QUEUES:
        broker.declare_queue(queue)
    broker.flush_all()
    broker.close()


async def execute(url: str, statement: str) -> None:
    """Run a statement that can't be in a transaction, such as CREATE DATABASE."""
    database = Database(url, connections=1)
    try:
        async with database.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            await connection.execute(sa.text(statement))
    finally:
        await database.close()
