"""The servers that a benchmark runs on: a PostgreSQL or MariaDB database of its own, and a Redis database emptied for
it; or the embedded default, SQLite and a Valkey that the system brings along."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

import redis
import sqlalchemy as sa

from bench.options import DatabaseKind
from bench.pooler import pooled
from notifier.chaos.servers import execute
from notifier.domain.errors import ConfigurationError
from notifier.store.core import migrate
from notifier.store.core.database import Database

DATABASE = f"notifier_bench_{os.getpid()}"
URLS = {
    "postgresql": os.environ.get("NOTIFIER_TEST_POSTGRESQL_URL", "postgresql://postgres@127.0.0.1/postgres"),
    "mariadb": os.environ.get("NOTIFIER_TEST_MARIADB_URL", "mariadb://root@127.0.0.1/test"),
}
DROP = {
    "postgresql": f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)", "mariadb": f"DROP DATABASE IF EXISTS {DATABASE}"
}  # fmt: skip
REDIS = os.environ.get("NOTIFIER_TEST_REDIS_URL", "redis://127.0.0.1:6379/9")


@asynccontextmanager
async def servers(database: DatabaseKind = "postgresql", buckets: int = 1) -> AsyncIterator[dict[str, object]]:
    """Settings that name the servers; the database is made anew, in so many buckets, and dropped at the end."""
    if database == "sqlite":
        yield {}
        return
    kind = "postgresql" if database == "pgbouncer" else database
    server = URLS[kind]
    try:
        await execute(server, DROP[kind])
        await execute(server, f"CREATE DATABASE {DATABASE}")
        with redis.Redis.from_url(REDIS, socket_timeout=5) as client:
            client.flushdb()
    except (OSError, sa.exc.SQLAlchemyError, redis.RedisError) as error:
        raise ConfigurationError(
            f"the benchmarks need {kind} and Redis ({type(error).__name__}); "
            f"name them by NOTIFIER_TEST_{kind.upper()}_URL and NOTIFIER_TEST_REDIS_URL"
        ) from None
    url = sa.make_url(server).set(database=DATABASE).render_as_string(hide_password=False)
    try:
        if buckets > 1:
            await _divide(url, buckets)
        async with pooled(url) if database == "pgbouncer" else nullcontext(url) as used:
            yield {"database_url": used, "broker_url": REDIS}
    finally:
        await execute(server, DROP[kind])


async def _divide(url: str, buckets: int) -> None:
    database = Database(url, connections=1)
    await migrate.create(database, buckets)
    await database.close()
