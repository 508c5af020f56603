"""What the web process tells Prometheus: its own metrics or those of all processes, and what the database holds.

What is expensive is remembered: a text for a second, or five where anybody may ask, and each look at the database for
twenty times as long as it took. So the number of scrapers costs nothing, and neither does that of deliveries that are
over.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Final, TypeVar

import structlog
from prometheus_client.registry import Collector

from notifier import metrics
from notifier.api.ledger_counter import GOOD_FOR, REST, LedgerCounter
from notifier.broker import LANES
from notifier.domain.clock import SECOND
from notifier.domain.errors import StoreUnavailable
from notifier.pipeline.engine import SIGNAL_AGAIN, Engine
from notifier.runtime.recent import Recent
from notifier.store.console import subscriptions
from notifier.store.delivery import due
from notifier.store.delivery.due import Backlog, Queue

T = TypeVar("T")

PATIENCE: Final = 3.0
"""Seconds that a scrape waits for the database: less than the ten after which Prometheus gives up. What isn't known by
then is left out, and all the rest is told."""

OWN_GOOD_FOR: Final = 5 * SECOND
"""Milliseconds that the text for anybody is remembered: a third of Prometheus' usual interval. With all routes in use
it takes some 25 ms of CPU, so scrapers take at most half a percent of what the requests have."""

log = structlog.get_logger(__name__)


class Scrapes:
    """The texts of `/metrics`: of this process, and of all processes where they share a folder."""

    def __init__(self, engine: Engine, books: LedgerCounter) -> None:
        self._engine = engine
        self._books = books
        self._backlogs = Recent(self._look, engine.clock, GOOD_FOR, REST)
        self._subscriptions = Recent(partial(subscriptions.every, engine.database), engine.clock, GOOD_FOR, REST)
        self._own = Recent(partial(self._tell, lambda: metrics.REGISTRY), engine.clock, OWN_GOOD_FOR)
        self._all = Recent(partial(self._tell, metrics.of_all), engine.clock, GOOD_FOR)

    async def own(self) -> bytes:
        """Return the metrics of this process and of the database."""
        return await self._own.get()

    async def of_all(self) -> bytes:
        """Return the metrics of all processes that share a folder, and of the database."""
        return await self._all.get()

    async def _tell(self, counters: Callable[[], Collector]) -> bytes:
        """Render in a thread, between whose steps the event loop goes on."""
        found = await self._of_database()
        return await asyncio.to_thread(lambda: metrics.render(counters(), *found))

    async def _of_database(self) -> Sequence[Collector]:
        ledger, backlogs, subscribed = await asyncio.gather(
            _known(self._books.lately()), _known(self._backlogs.get()), _known(self._subscriptions.get())
        )
        now = self._engine.clock.now()
        told: list[Collector] = [] if ledger is None else [metrics.LedgerCollector(ledger)]
        told += [] if backlogs is None else [metrics.BacklogCollector(backlogs, now)]
        return told if subscribed is None else [*told, metrics.SubscriptionCollector(subscribed, now)]

    async def _look(self) -> Mapping[Queue, Backlog]:
        now = self._engine.clock.now()
        return await due.backlogs(self._engine.database, now, now + SIGNAL_AGAIN, tuple(LANES))


async def _known(asked: Awaitable[T]) -> T | None:
    """An answer of the database; None where it has none in time."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await asked
    except (StoreUnavailable, TimeoutError) as error:
        log.warning("metrics.not_seen", error=type(error).__name__)
        return None
