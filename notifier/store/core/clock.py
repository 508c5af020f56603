"""The database's clock: leases, due times and expiry follow it, so that a node whose own clock is off does no harm."""

import asyncio

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.clock import elapsed
from notifier.domain.errors import StoreUnavailable
from notifier.runtime.background import cancelled, forever
from notifier.store.core.database import Database

SYNC_EVERY = 30.0  # seconds: two quartz clocks drift apart by a millisecond or so meanwhile

NOW = {
    "postgresql": "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)",
    "mysql": "SELECT CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)",
    "sqlite": "SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
}

log = structlog.get_logger(__name__)


class DatabaseClock:
    """Tells the database's time without a query per call: its last answer plus the monotonic time since.

    The monotonic clock neither jumps nor can be set, and goes on while the process is stopped or the machine sleeps.
    """

    def __init__(self, database: Database, every: float = SYNC_EVERY) -> None:
        self._database = database
        self._every = every
        self._offset = 0.0
        self._task: asyncio.Task[None] | None = None

    def now(self) -> int:
        return round(elapsed() * 1000 + self._offset)

    async def start(self) -> None:
        """Ask the database for its time, and again every `SYNC_EVERY` seconds."""
        await self._sync()
        self._task = forever("clock", self._keep)

    async def close(self) -> None:
        """Stop asking the database for its time."""
        if self._task is not None:
            await cancelled(self._task)

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            try:
                await self._sync()
            except StoreUnavailable as error:
                log.warning("clock.not_synced", error=str(error))

    async def _sync(self) -> None:
        async def work(connection: AsyncConnection) -> float:
            # Around the statement alone: to wait for a connection may take seconds, of which half would be the error.
            before = elapsed()
            told = int((await connection.execute(sa.text(NOW[self._database.dialect]))).scalar_one())
            return told - (before + elapsed()) / 2 * 1000

        self._offset = await self._database.read(work)
