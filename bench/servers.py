"""The servers that a benchmark runs on: a PostgreSQL database of its own, and a Redis database emptied for it; or the
embedded default, SQLite and a Valkey that the system brings along."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import redis
import sqlalchemy as sa

from bench.options import DatabaseKind
from notifier.chaos.servers import execute
from notifier.domain.errors import ConfigurationError

DATABASE = f"notifier_bench_{os.getpid()}"
POSTGRESQL = os.environ.get("NOTIFIER_TEST_POSTGRESQL_URL", "postgresql://postgres@127.0.0.1/postgres")
REDIS = os.environ.get("NOTIFIER_TEST_REDIS_URL", "redis://127.0.0.1:6379/9")


@asynccontextmanager
async def servers(database: DatabaseKind = "postgresql") -> AsyncIterator[dict[str, object]]:
    """Settings that name the servers; the database is made anew and dropped at the end."""
    if database == "sqlite":
        yield {}
        return
    url = sa.make_url(POSTGRESQL)
    try:
        await execute(POSTGRESQL, f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        await execute(POSTGRESQL, f"CREATE DATABASE {DATABASE}")
        with redis.Redis.from_url(REDIS, socket_timeout=5) as client:
            client.flushdb()
    except (OSError, sa.exc.SQLAlchemyError, redis.RedisError) as error:
        raise ConfigurationError(
            f"the benchmarks need PostgreSQL and Redis ({type(error).__name__}); "
            "name them by NOTIFIER_TEST_POSTGRESQL_URL and NOTIFIER_TEST_REDIS_URL"
        ) from None
    try:
        yield {
            "database_url": url.set(database=DATABASE).render_as_string(hide_password=False),
            "broker_url": REDIS,
        }
    finally:
        await execute(POSTGRESQL, f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
