"""The process' view of all stations: read as a whole when somebody first asks, then followed by revision.

Nothing tells a process of changes but the rows themselves, so it doesn't matter which process or broker they came by.
"""

import asyncio
from collections.abc import Callable, Collection
from typing import Final

from notifier.api.stations.view import View
from notifier.domain.clock import elapsed
from notifier.store.core.database import Database
from notifier.store.stations import published

OLD: Final = 1.0
"""Seconds after which a view is looked at again before it answers."""

Listener = Callable[[int, Collection[int]], None]
"""Is told, after a look, the revision before it and the finest cells in which something has changed."""


class Following:
    """Keeps a view; `listen` is called with each change of it."""

    def __init__(self, database: Database) -> None:
        self.listen: Listener | None = None
        self._database = database
        self._view: View | None = None
        self._looked_at = 0.0
        self._looking = asyncio.Lock()

    async def view(self) -> View:
        """The view as it is now, a second old at most; raises StoreUnavailable."""
        return await self.look(OLD)

    async def look(self, old: float = 0.0) -> View:
        """The view after a look, where the last one began more than so many seconds ago; those who come while somebody
        looks wait for that."""
        asked = elapsed()
        async with self._looking:
            if self._view is None:
                self._looked_at = elapsed()
                self._view = await self._read()
            elif self._looked_at <= asked - old:
                self._looked_at, last = elapsed(), self._looked_at
                try:
                    await self._follow(self._view)
                except BaseException:
                    self._looked_at = last
                    raise
            return self._view

    async def _read(self) -> View:
        view = View()
        number = await published.newest(self._database)
        async for news in published.everything(self._database):
            view.fill(news)
        view.filled(number)
        return view

    async def _follow(self, view: View) -> None:
        before = view.revision
        number = await published.newest(self._database)
        if number == before:
            return
        touched = view.apply(await published.since(self._database, before), number)
        if self.listen is not None:
            self.listen(before, touched)
