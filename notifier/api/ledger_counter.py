"""Counts of the ledger for the API. A count reads all that is open, so one at a time serves all requests that wait."""

import asyncio
from collections.abc import Sequence

from notifier.domain.clock import SECOND, Clock
from notifier.runtime.coalesce import Coalescer
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
        self._clock = clock
        self._counts: Coalescer[None, Ledger] = Coalescer(self._count, TOGETHER)
        self._until = 0
        self._known: Ledger | None = None
        self._looking: asyncio.Task[Ledger] | None = None

    async def now(self) -> Ledger:
        """Return the ledger, counted after this call began; raises StoreUnavailable."""
        (counted,) = await self._counts.add([None])
        return counted

    async def lately(self) -> Ledger:
        """Return the cached count of the ledger, however often it is called; raises StoreUnavailable."""
        if self._known is not None and self._clock.now() < self._until:
            return self._known
        if self._looking is None:
            self._looking = asyncio.create_task(self.now())
            self._looking.add_done_callback(self._looked)
        return await asyncio.shield(self._looking)

    def _looked(self, _task: asyncio.Task[Ledger]) -> None:
        self._looking = None

    async def _count(self, asked: Sequence[None]) -> Sequence[Ledger]:
        began = self._clock.now()
        self._known = await ledger.read(self._database)
        ended = self._clock.now()
        self._until = ended + max(GOOD_FOR, REST * (ended - began))
        return [self._known] * len(asked)
