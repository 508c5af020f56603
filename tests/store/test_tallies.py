"""Tallies: appended by whoever changes the books, merged by clocks, and always the same sums."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.store.core.books import tally
from notifier.store.core.database import Database
from notifier.store.delivery import tallies
from notifier.store.delivery.tallies import Tally

DAY = 20_521  # 2026-03-09
TEXTS = Tally(day=DAY, part="delivery", state="sent", channel="sms", number=3)
FAILED = Tally(day=DAY, part="delivery", state="failed", channel="sms", reason="refused", number=1)
ACCEPTED = Tally(day=DAY, part="event", state="accepted", number=1)

Key = tuple[Any, ...]


async def rows(database: Database) -> list[Any]:
    async with database.engine.connect() as connection:
        return list(await connection.execute(sa.select(tally)))


async def add(database: Database, told: Sequence[Tally]) -> None:
    await database.write(lambda connection: tallies.add(connection, database.dialect, told))


async def sums(database: Database) -> dict[Key, int]:
    """What the books say, but for what is none."""

    async def work(connection: Any) -> dict[Key, int]:
        found = await connection.execute(tallies.sums())
        return {(row.part, row.state, row.channel, row.reason): row.number for row in found if row.number}

    return await database.read(work)


def expected(told: Sequence[Tally]) -> dict[Key, int]:
    counted: Counter[Key] = Counter()
    for each in told:
        counted[each.part, each.state, each.channel, each.reason] += each.number
    return {key: number for key, number in counted.items() if number}


@contextmanager
def writes(database: Database) -> Iterator[list[str]]:
    """The statements meanwhile that write."""
    found: list[str] = []

    def on_statement(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        if statement.startswith(("INSERT", "DELETE", "UPDATE")):
            found.append(statement)

    sa.event.listen(database.engine.sync_engine, "before_cursor_execute", on_statement)
    yield found
    sa.event.remove(database.engine.sync_engine, "before_cursor_execute", on_statement)


async def test_what_a_transaction_tells_is_one_row_a_key_and_one_statement(database: Database) -> None:
    with writes(database) as written:
        await add(database, [TEXTS, ACCEPTED, TEXTS, FAILED])

    assert len(written) == 1
    assert sorted(row.number for row in await rows(database)) == [1, 1, 6]
    assert await sums(database) == expected([TEXTS, TEXTS, ACCEPTED, FAILED])


async def test_what_comes_to_nothing_is_not_written(database: Database) -> None:
    fewer = Tally(day=DAY, part="event", state="accepted", number=-1)

    with writes(database) as written:
        await add(database, [])
        await add(database, [ACCEPTED, fewer])

    assert (written, await rows(database)) == ([], [])


async def test_rows_of_equal_keys_become_one_and_what_comes_to_nothing_none(database: Database) -> None:
    # Given rows of several transactions, on two days, and one that takes another back
    before = Tally(day=DAY - 1, part="event", state="accepted", number=4)
    back = Tally(day=DAY, part="delivery", state="failed", channel="sms", reason="refused", number=-1)
    told = [TEXTS, TEXTS, TEXTS, FAILED, back, ACCEPTED, ACCEPTED, before, before]
    for each in told:
        await add(database, [each])

    # When they are merged, a day at a time, the fullest first
    assert [await tallies.fold(database, 100) for _ in range(3)] == [5, 1, 0]

    # Then the sums are what they were
    assert sorted((row.day, row.state, row.number) for row in await rows(database)) == [
        (DAY - 1, "accepted", 8), (DAY, "accepted", 2), (DAY, "sent", 9),
    ]  # fmt: skip
    assert await sums(database) == expected(told)


async def test_where_nothing_can_be_merged_nothing_is_written(database: Database) -> None:
    await add(database, [TEXTS, FAILED, ACCEPTED])

    with writes(database) as written:
        assert await tallies.fold(database, 100) == 0

    assert written == []


@pytest.mark.parametrize("limit", [3, 1_000])
async def test_while_some_tell_and_others_merge_every_reader_has_the_sums_of_a_moment(
    database: Database, limit: int
) -> None:
    # Given three who tell of events, each accepted and decided in one transaction, and two who merge
    both = [ACCEPTED, Tally(day=DAY, part="event", state="decided", number=1)]
    rounds, done = 30, asyncio.Event()

    async def tell() -> None:
        for _ in range(rounds):
            await add(database, both)

    async def fold() -> None:
        while not done.is_set():
            await tallies.fold(database, limit)
            await asyncio.sleep(0)

    async def look() -> None:
        last = 0
        while not done.is_set():
            found = await sums(database)
            number = found.get(("event", "accepted", "", ""), 0)
            # Then nobody ever sees one without the other, nor fewer than before
            assert found.get(("event", "decided", "", ""), 0) == number >= last
            last = number

    # When all do so at once
    async with asyncio.TaskGroup() as tasks:
        others = [tasks.create_task(work()) for work in (fold, fold, look)]
        await asyncio.gather(*(tell() for _ in range(3)))
        done.set()
        await asyncio.gather(*others)

    # And in the end there is a row each
    while await tallies.fold(database, 1_000):
        pass
    assert sorted(row.number for row in await rows(database)) == [3 * rounds, 3 * rounds]


@settings(max_examples=100, deadline=None)
@given(instant=st.integers(0, 2**45))
def test_a_day_is_as_long_as_a_day_and_begins_at_midnight(instant: int) -> None:
    first = tallies.day(instant) * 86_400_000

    assert first <= instant < first + 86_400_000
