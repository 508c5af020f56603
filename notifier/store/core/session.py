"""Where a transaction finds its tables: in the schema of its bucket, and beside it in the one of all buckets."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

COMMON = "public"
"""The schema of what all buckets share."""

_PATH = "search_path"


@dataclass(frozen=True)
class Session:
    """The schema of a bucket, None where a database is of one piece. `pooled` says that each transaction may go to
    another server session."""

    pooled: bool
    schema: str | None = None

    @asynccontextmanager
    async def begin(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        """A connection in a transaction that finds the bucket's tables."""
        if self.schema is None:
            async with engine.begin() as connection:
                yield connection
        else:
            async with engine.connect() as connection:
                if not self.pooled:
                    await self._turn(connection)
                async with connection.begin():
                    if self.pooled:
                        await connection.exec_driver_sql(f"SET LOCAL {_PATH} TO {self.schema}, {COMMON}")
                    yield connection

    async def _turn(self, connection: AsyncConnection) -> None:
        """Have the connection look into the bucket's schema, unless it did so for the last transaction. Before the
        transaction, whose end could take it back."""
        raw = await connection.get_raw_connection()
        if raw.info.get(_PATH) != self.schema:
            driver = raw.driver_connection
            assert driver is not None  # noqa: S101 (asyncpg's)
            try:
                await driver.execute(f"SET {_PATH} TO {self.schema}, {COMMON}")
            except Exception as error:
                await connection.invalidate()  # past SQLAlchemy, which therefore doesn't know that it is broken
                raise ConnectionError(f"the connection can't be used ({type(error).__name__})") from error
            raw.info[_PATH] = self.schema
