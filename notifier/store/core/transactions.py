"""Which transactions of a process are under way: their number, and an end that waits for them."""

import asyncio
import contextlib
from collections.abc import Iterator

from notifier.domain.errors import StoreUnavailable


class Transactions:
    """The transactions that are under way, of all buckets."""

    def __init__(self) -> None:
        self.under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """Count a transaction, for `end` to wait for; raise StoreUnavailable where the database is closed."""
        if self._closed:
            raise StoreUnavailable("the database's connections are closed: this process is stopping")
        self.under_way += 1
        self._idle.clear()
        try:
            yield
        finally:
            self.under_way -= 1
            if not self.under_way:
                self._idle.set()

    async def end(self, within: float) -> None:
        """Refuse new transactions, and wait so many seconds at most for those that are under way."""
        self._closed = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._idle.wait()
