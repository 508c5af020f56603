"""The application over each database, with the bundled Valkey as broker and a clock that tests move."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from notifier.store.core.database import Database
from tests.api.server import Caller, application
from tests.conftest import prepare


@pytest.fixture(params=["sqlite", "postgresql", "mariadb", "buckets"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path, empty_sqlite: Path, migrated: set[str]) -> str:
    """An empty database of each engine, and one with buckets."""
    return prepare(request, tmp_path, empty_sqlite, migrated)


in_one_piece = pytest.mark.parametrize("database_url", ["sqlite", "postgresql", "mariadb"], indirect=True)
"""For what only a database of one piece keeps: of two events with one id each may have a bucket (docs/scale.md)."""

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For tests of what doesn't depend on the database."""


@pytest.fixture
async def api(database: Database, valkey: str) -> AsyncIterator[Caller]:
    """The served application, called with a key that may do everything."""
    async with application(database, valkey) as caller:
        yield caller
