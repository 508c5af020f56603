"""Counts of the ledger for the API. A count reads all that is open, so one at a time serves all requests that wait."""

from collections.abc import Sequence

from notifier.domain.clock import SECOND, Clock
from notifier.runtime.coalesce import Coalescer
from notifier.runtime.recent import Recent
from notifier.store.core.database import Database
from notifier.store.reading import ledger
from notifier.store.reading.ledger import Ledger

TOGETHER = 10_000  # requests that may wait for one count: more than a process has connections
GOOD_FOR = SECOND  # milliseconds that a count is cached at least
REST = 20  # times its own duration that a count is cached: counting takes at most 1/20 of a connection


class LedgerCounter:
    """Counts the ledger on request; many requests at once cause a single count in the database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._counts: Coalescer[None, Ledger] = Coalescer(self._count, TOGETHER)
        self._recent = Recent(self.now, clock, GOOD_FOR, REST)

    async def now(self) -> Ledger:
        """Return the ledger, counted after this call began; raises StoreUnavailable."""
        (counted,) = await self._counts.add([None])
        return counted

    async def lately(self) -> Ledger:
        """Return the cached count of the ledger, however often it is called; raises StoreUnavailable."""
        return await self._recent.get()

    async def _count(self, asked: Sequence[None]) -> Sequence[Ledger]:
        return [await ledger.read(self._database)] * len(asked)
