"""The log of changes: whatever is committed when, each reader is told of everything, once and in one order."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.changes import Change, Place
from notifier.domain.deliveries import State
from notifier.domain.ids import make_id
from notifier.store.core.change_log import change_order, delivery_change
from notifier.store.core.database import Database
from notifier.store.delivery import changes
from notifier.store.delivery.changes import IN_A_ROW
from notifier.store.reading import changes as log
from notifier.store.reading.changes import ROWS, PastRetention

NOW = 1_773_000_000_000
BEGINNING = (changes.BEGINNING,)


def change(number: int, state: State = State.SENT, at: int = NOW) -> Change:
    return Change(
        delivery_id=make_id(str(number)), state=state, at=at, attempts=1, code="30003" if number % 2 else None
    )


async def add(database: Database, *told: Change) -> None:
    await database.write(lambda connection: changes.add(connection, told))


async def read(database: Database, place: Place = BEGINNING, limit: int = 3) -> tuple[list[Change], Place]:
    """All that follows a place, page by page, and the place behind it."""
    found: list[Change] = []
    more = True
    while more:
        stretch = await log.read(database, place, limit)
        found += [each.change for each in stretch.changes]
        assert [each.position for each in stretch.changes] == list(range(place[0], stretch.end[0]))
        place, more = stretch.end, stretch.more
    return found, place


async def test_what_is_told_is_read_as_it_was_by_pages_that_end_anywhere(database: Database) -> None:
    told = [change(number, at=NOW + number % 3) for number in range(10)]
    await add(database, *told[:4])
    await add(database, *told[4:5])
    await add(database, *told[5:])

    for limit in (1, 2, 3, 10, 99):
        assert (await read(database, limit=limit))[0] == told


async def test_what_is_not_told_is_no_row(database: Database) -> None:
    await add(database, change(1, State.PENDING), change(2, State.SENDING))

    assert await read(database) == ([], BEGINNING)
    assert await log.oldest(database) == await log.newest(database) == BEGINNING


async def test_a_transaction_that_moves_many_writes_rows_of_a_bounded_length(database: Database) -> None:
    told = [change(number) for number in range(2 * IN_A_ROW + 1)]

    await add(database, *told)

    async with database.engine.connect() as connection:
        lengths = (await connection.execute(sa.select(delivery_change.c.number))).scalars().all()
    assert sorted(lengths) == [1, IN_A_ROW, IN_A_ROW]
    assert (await read(database, limit=400))[0] == told


@pytest.mark.parametrize("database_url", ["postgresql", "mariadb"], indirect=True)
async def test_a_reader_misses_nothing_that_is_committed_late(database: Database) -> None:
    # Given a transaction that has written first and isn't committed
    async with database.engine.connect() as slow:
        await changes.add(slow, [change(1)])
        await add(database, change(2))

        # When somebody reads meanwhile
        first, place = await read(database)
        await slow.commit()

    # Then what comes late comes later
    assert first == [change(2)]
    assert (await read(database, place))[0] == [change(1)]


async def test_readers_and_writers_at_once_agree_on_one_order(database: Database) -> None:
    # Given writers that each tell of a delivery of its own
    async def write(number: int) -> None:
        for attempt in range(8):
            state = State.UNKNOWN if attempt < 7 else State.SENT
            await add(
                database, Change(delivery_id=make_id(str(number)), state=state, at=NOW - attempt, attempts=attempt)
            )

    # When several read meanwhile, and go on until they have all
    async def follow() -> list[Change]:
        found: list[Change] = []
        place: Place = BEGINNING
        while len(found) < 32:
            more, place = await read(database, place, 5)
            found += more
        return found

    told = await asyncio.gather(*(follow() for _ in range(3)), *(write(number) for number in range(4)))

    # Then all were told the same, and of each delivery in its order, whatever the clocks said
    assert told[0] == told[1] == told[2]
    by_delivery: defaultdict[str, list[int]] = defaultdict(list)
    for each in told[0] or ():
        by_delivery[each.delivery_id].append(each.attempts)
    assert list(by_delivery.values()) == [list(range(8))] * 4


async def test_a_place_whose_changes_are_gone_is_told(database: Database) -> None:
    for number in range(5):
        await add(database, change(number, at=NOW + number))
    _, end = await read(database)

    async with database.engine.begin() as connection:
        await connection.execute(sa.delete(delivery_change).where(delivery_change.c.position < 3))

    assert await log.oldest(database) == (3,)
    assert [each.at - NOW for each in (await read(database, (3,)))[0]] == [2, 3, 4]
    assert await log.since(database, NOW) == (3,)
    assert await log.since(database, NOW + 4) == (5,)
    assert await log.since(database, NOW + 9) == end
    for gone in ((2,), (end[0] + 1,)):
        with pytest.raises(PastRetention):
            await log.read(database, gone, 10)


async def test_positions_go_on_where_all_is_gone(database: Database) -> None:
    await add(database, change(1), change(2))
    _, end = await read(database)
    async with database.engine.begin() as connection:
        await connection.execute(sa.delete(delivery_change))

    await add(database, change(3))

    assert await read(database, end) == ([change(3)], (4,))
    async with database.engine.connect() as connection:
        assert (await connection.execute(sa.select(change_order.c.next))).scalars().all() == [4]


short = st.builds(
    Change, delivery_id=st.just(make_id("d")), state=st.sampled_from(State), at=st.integers(0, NOW),
    attempts=st.integers(0, 9), reason=st.none() | st.text(max_size=5), code=st.none() | st.text(max_size=5),
)  # fmt: skip


@given(st.lists(short, min_size=1))
def test_a_row_in_short_holds_all(told: Sequence[Change]) -> None:
    at = max(each.at for each in told)

    assert changes.read(changes.write(told, at), at) == told


async def test_what_follows_a_place_is_found_behind_hundreds_of_short_rows(database: Database) -> None:
    told = [change(number) for number in range(2 * ROWS)]
    for each in told:
        await add(database, each)

    assert (await read(database, limit=40))[0] == told
