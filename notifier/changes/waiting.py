"""Waiting for changes: who asks for what isn't there yet is answered as soon as it is.

One look a second serves all who wait in a process, however many they are: it reads what is new once, and wakes those
who want something of it.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import structlog

from notifier.changes import views
from notifier.changes.views import ChangeFilter, Page
from notifier.domain.changes import Place, behind, furthest
from notifier.domain.errors import StoreUnavailable
from notifier.runtime.background import forever, pause
from notifier.store.core.database import Database
from notifier.store.reading import changes as log_of_changes
from notifier.store.reading.changes import PastRetention

EVERY: Final = 1.0
"""Seconds between two looks."""
MOST: Final = 1_000
"""Callers who wait in one process: each has a connection, of which a process commonly has a few thousand."""
MOST_OF_ONE: Final = 20
"""Callers with one key: the processes of a large service. One key must not use up all places."""
TOGETHER: Final = 1_000
"""Changes that are read at once."""

log = structlog.get_logger(__name__)


class TooManyWait(Exception):
    """No place is left for another who waits."""


@dataclass(eq=False)
class Waiter:
    """A caller who wants to hear of changes; `whose` is the key, up to `place` there was nothing for it, and `waited`
    are the seconds so far."""

    whose: str
    wanted: ChangeFilter
    place: Place = ()
    waited: float = 0.0
    has_left: bool = False
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    def leave(self) -> None:
        """Wait no more: nobody would read the answer."""
        self.has_left = True
        self.woken.set()


class Waiting:
    """Those who wait in a process, until it is `ending`."""

    def __init__(self, database: Database, ending: asyncio.Event, every: float = EVERY) -> None:
        self._database = database
        self._ending = ending
        self._every = every
        self._waiters: set[Waiter] = set()
        self._seen: Place = ()
        self._task: asyncio.Task[None] | None = None

    @property
    def number(self) -> int:
        """How many wait."""
        return len(self._waiters)

    async def find(self, waiter: Waiter, place: Place, limit: int, seconds: float) -> Page:
        """The next changes behind a place, as soon as there are any; none after so many seconds, or where the process
        ends or the caller has left. Raises PastRetention or TooManyWait."""
        ends = time.monotonic() + seconds
        page = await views.find(self._database, waiter.wanted, place, limit)
        if page.changes or page.more or not seconds:
            return page
        with self._among_those_who_wait(waiter, page.end):
            while not page.changes and not page.more:
                waiter.place = page.end
                # What the look has passed since this page was read, it told to nobody who read meanwhile.
                if not behind(page.end, self._seen) and not await self._is_woken(waiter, ends):
                    return Page(changes=[], end=waiter.place, more=False)
                page = await views.find(self._database, waiter.wanted, waiter.place, limit)
        return page

    async def close(self) -> None:
        """End; a look under way ends first, so that its connection is closed."""
        self._ending.set()
        if self._task is not None:
            await self._task

    @contextmanager
    def _among_those_who_wait(self, waiter: Waiter, place: Place) -> Iterator[None]:
        own = sum(each.whose == waiter.whose for each in self._waiters)
        if len(self._waiters) >= MOST or own >= MOST_OF_ONE:
            raise TooManyWait
        self._waiters.add(waiter)
        if self._task is None or self._task.done():
            self._seen = place
            self._task = forever("changes.waiting", self._keep_looking)
        try:
            yield
        finally:
            self._waiters.discard(waiter)

    async def _is_woken(self, waiter: Waiter, ends: float) -> bool:
        """Whether there may be something for who waits, before it is time to answer."""
        if waiter.has_left or self._ending.is_set():
            return False
        waiter.woken.clear()
        began = time.monotonic()
        await pause(waiter.woken, ends - began)
        waiter.waited += time.monotonic() - began
        return waiter.woken.is_set() and not waiter.has_left and not self._ending.is_set()

    async def _keep_looking(self) -> None:
        """Look repeatedly while anybody waits."""
        while self._waiters and not self._ending.is_set():
            await pause(self._ending, self._every)
            try:
                await self._look()
            except StoreUnavailable as error:
                log.warning("changes.store_unavailable", error=str(error))
            except PastRetention:  # as a restored database begins, whose log is another: all ask for themselves
                self._seen = await log_of_changes.newest(self._database)
                self._wake_all()
        self._wake_all()

    async def _look(self) -> None:
        """Read what is new, and wake those who want something of it."""
        more = True
        while more and self._waiters and not self._ending.is_set():
            page = await views.find(self._database, ChangeFilter(), self._seen, TOGETHER)
            self._seen, more = page.end, page.more
            for each in self._waiters:
                if any(map(each.wanted.takes, page.changes)):
                    each.woken.set()
                elif not each.woken.is_set():
                    each.place = furthest(each.place, page.end)

    def _wake_all(self) -> None:
        for each in self._waiters:
            each.woken.set()
