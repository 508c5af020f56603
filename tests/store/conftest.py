"""Databases to upgrade, and upgrades that end on their way."""

from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from notifier.store.core.database import Database
from notifier.store.core.resumable import Tell
from notifier.store.core.schema import metadata

PARTS = "SELECT relname FROM pg_class WHERE relispartition"


class Ended(Exception):
    """What ends an upgrade here."""


def ending_at(last: str) -> Tell:
    """What ends an upgrade when it tells of this."""

    def tell(what: str) -> None:
        if what.startswith(last):
            raise Ended

    return tell


def differences(connection: sa.Connection) -> list[object]:
    """What a migration would have to change, so that the tables are those that the code describes."""
    parts = set(connection.scalars(sa.text(PARTS))) if connection.dialect.name == "postgresql" else set()

    def is_ours(name: str | None, kind: str, _parents: object) -> bool:
        return kind != "table" or name not in parts

    return list(compare_metadata(MigrationContext.configure(connection, opts={"include_name": is_ours}), metadata))


@pytest.fixture
async def bare(bare_url: str) -> AsyncIterator[Database]:
    """An open database of each engine without a table."""
    opened = Database(bare_url, connections=2)
    yield opened
    await opened.close()
