"""Databases to upgrade, and upgrades that end on their way."""

from collections.abc import AsyncIterator

import pytest

from notifier.store.core.database import Database
from notifier.store.core.resumable import Tell


class Ended(Exception):
    """What ends an upgrade here."""


def ending_at(last: str) -> Tell:
    """What ends an upgrade when it tells of this."""

    def tell(what: str) -> None:
        if what.startswith(last):
            raise Ended

    return tell


@pytest.fixture
async def bare(bare_url: str) -> AsyncIterator[Database]:
    """An open database of each engine without a table."""
    opened = Database(bare_url, connections=2)
    yield opened
    await opened.close()
