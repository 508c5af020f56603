"""Leases on what a worker took as it decided it: settled at once or in parts, by one or by several at a moment."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from notifier.store.core.database import Database
from notifier.store.core.schema import lease
from notifier.store.delivery import batch_leases
from notifier.store.delivery.batch_leases import BatchLease

TOKEN, OTHER = "a" * 32, "b" * 32


@pytest.fixture
async def held(database: Database) -> None:
    """Two leases, on five deliveries and on two."""
    both = [
        BatchLease(token=token, channel="push", ends_at=1, waiting=count, deliveries=[])
        for token, count in ((TOKEN, 5), (OTHER, 2))
    ]
    await database.write(lambda connection: batch_leases.add(connection, database.dialect, both))


async def waiting(database: Database) -> dict[str, int]:
    """How many deliveries wait under each lease."""
    async with database.engine.connect() as connection:
        return {row.token: row.waiting for row in await connection.execute(sa.select(lease))}


async def take(database: Database, *tokens: str) -> bool:
    """Take deliveries off leases, a token for each."""
    return await database.write(lambda connection: batch_leases.take_off(connection, database.dialect, tokens))


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """The statements about leases meanwhile."""
    found: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "lease" in statement:
            found.append(statement)

    sa.event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    yield found
    sa.event.remove(database.engine.sync_engine, "before_cursor_execute", note)


@pytest.mark.usefixtures("held")
async def test_what_is_settled_whole_takes_its_lease_away_in_one_statement(database: Database) -> None:
    with statements(database) as found:
        assert await take(database, *[TOKEN] * 5, *[OTHER] * 2)

    assert await waiting(database) == {}
    assert len(found) == 1


@pytest.mark.usefixtures("held")
async def test_the_last_part_takes_the_lease_away(database: Database) -> None:
    # When all of one is settled, and a part of the other
    assert await take(database, OTHER, TOKEN, OTHER, TOKEN)
    assert await waiting(database) == {TOKEN: 3}

    # Then the rest ends it, and no more is on it
    assert await take(database, *[TOKEN] * 3)
    assert await waiting(database) == {}
    assert not await take(database, TOKEN)


@pytest.mark.usefixtures("held")
async def test_more_than_a_lease_has_are_not_taken_off(database: Database) -> None:
    assert not await take(database, *[TOKEN] * 6)

    assert await waiting(database) == {TOKEN: 5, OTHER: 2}


@pytest.mark.usefixtures("held")
async def test_of_several_who_take_parts_at_the_same_moment_the_last_one_ends_the_lease(database: Database) -> None:
    async def take_surely(count: int) -> None:
        while not await take(database, *[TOKEN] * count):
            pass

    await asyncio.gather(take_surely(1), take_surely(2), take_surely(2))

    assert await waiting(database) == {OTHER: 2}
