"""Batches that make themselves: at once while it is quiet, together under load, and each caller only its own."""

import asyncio
import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.runtime.coalesce import Coalescer


class Store:
    """What a coalescer flushes to: doubles each item, once it is let; a batch with an item in `bad` fails."""

    def __init__(self, bad: frozenset[int] = frozenset()) -> None:
        self.batches: list[list[int]] = []
        self.bad = bad
        self.open = asyncio.Event()
        self.open.set()
        self.at_once = 0

    async def flush(self, batch: list[int]) -> Sequence[int]:
        self.at_once += 1
        assert self.at_once == 1, "two flushes at once"
        self.batches.append(batch)
        try:
            await self.open.wait()
            if self.bad.intersection(batch):
                raise BadItem(*batch)
            return [2 * item for item in batch]
        finally:
            self.at_once -= 1


class BadItem(Exception):
    pass


async def settle() -> None:
    """Let every task run until it waits for something outside."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_while_it_is_quiet_each_call_is_flushed_at_once_and_alone() -> None:
    # Given a store that nobody writes to
    store = Store()
    writer = Coalescer(store.flush, limit=10)

    # When two calls come one after the other, then each is its own batch, and no time passes
    loop = asyncio.get_running_loop()
    started = loop.time()
    assert await writer.add([1, 2]) == [2, 4]
    assert await writer.add([3]) == [6]
    assert store.batches == [[1, 2], [3]]
    assert loop.time() - started < 0.5


async def test_what_comes_during_a_flush_goes_together_into_the_next() -> None:
    # Given a flush under way
    store = Store()
    store.open.clear()
    writer = Coalescer(store.flush, limit=10)
    first = asyncio.create_task(writer.add([0]))
    await settle()

    # When five more calls come before it ends
    more = [asyncio.create_task(writer.add([number])) for number in range(1, 6)]
    await settle()
    store.open.set()

    # Then they are one batch, and each caller has its own results
    assert await asyncio.gather(first, *more) == [[0], [2], [4], [6], [8], [10]]
    assert store.batches == [[0], [1, 2, 3, 4, 5]]


async def test_a_batch_never_exceeds_the_limit_and_no_caller_is_split_that_fits() -> None:
    store = Store()
    store.open.clear()
    writer = Coalescer(store.flush, limit=4)
    calls = [asyncio.create_task(writer.add(items)) for items in ([0], [1, 2], [3, 4, 5], [6])]
    await settle()
    store.open.set()

    await asyncio.gather(*calls)

    assert store.batches == [[0], [1, 2], [3, 4, 5, 6]] or store.batches == [[0, 1, 2], [3, 4, 5, 6]]


async def test_more_items_than_the_limit_are_several_batches_and_one_answer() -> None:
    store = Store()

    assert await Coalescer(store.flush, limit=3).add(range(8)) == [0, 2, 4, 6, 8, 10, 12, 14]

    assert store.batches == [[0, 1, 2], [3, 4, 5], [6, 7]]


async def test_no_items_are_no_batch() -> None:
    store = Store()

    assert await Coalescer(store.flush, limit=3).add([]) == []

    assert store.batches == []


async def test_an_error_reaches_every_caller_of_its_batch_and_none_besides() -> None:
    # Given a batch of two callers, one of whose items is bad, between two other batches
    store = Store(bad=frozenset({2}))
    store.open.clear()
    writer = Coalescer(store.flush, limit=2)
    calls = [asyncio.create_task(writer.add([number])) for number in range(5)]
    await settle()
    store.open.set()

    # When all are flushed
    results = await asyncio.gather(*calls, return_exceptions=True)

    # Then its callers have the error, and the others their results
    (bad,) = [batch for batch in store.batches if 2 in batch]
    for number, result in enumerate(results):
        assert isinstance(result, BadItem) if number in bad else result == [2 * number]
    assert await writer.add([9]) == [18]


async def test_a_caller_that_gives_up_harms_nobody_and_its_items_are_written() -> None:
    # Given three callers waiting for one batch, behind one that is being flushed
    store = Store()
    store.open.clear()
    writer = Coalescer(store.flush, limit=10)
    flushing = asyncio.create_task(writer.add([0]))
    await settle()
    waiting = [asyncio.create_task(writer.add([number])) for number in (1, 2, 3)]
    await settle()

    # When one in the middle and the one being flushed are cancelled
    waiting[1].cancel()
    flushing.cancel()
    await settle()
    store.open.set()

    # Then the others have their own results, and all was written
    assert [await waiting[0], await waiting[2]] == [[2], [6]]
    assert store.batches == [[0], [1, 2, 3]]


async def test_where_the_flush_itself_is_cancelled_nobody_waits_for_ever() -> None:
    # Given a flush that ends as cancelled, such as by a pool that closes, with more callers behind it
    store = Store()

    async def flush(batch: list[int]) -> Sequence[int]:
        await store.flush(batch)
        raise asyncio.CancelledError

    store.open.clear()
    writer = Coalescer(flush, limit=10)
    calls = [asyncio.create_task(writer.add([0]))]
    await settle()
    calls.append(asyncio.create_task(writer.add([1])))
    await settle()

    # When it does
    store.open.set()

    # Then all its callers are told
    async with asyncio.timeout(5):
        results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError] * 2


Call = tuple[int, int, int | None]
"""Turns of the loop before the call, its number of items, and the turns after which it is cancelled, if it is."""


@given(
    calls=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5), st.none() | st.integers(0, 6)), max_size=12),
    limit=st.integers(1, 6),
    shut=st.lists(st.booleans(), max_size=40),
    bad=st.frozensets(st.integers(0, 30), max_size=2),
)
def test_however_calls_errors_and_cancellations_interleave(
    calls: list[Call], limit: int, shut: list[bool], bad: frozenset[int]
) -> None:
    asyncio.run(interleave(calls, limit, shut, bad))


async def interleave(calls: list[Call], limit: int, shut: list[bool], bad: frozenset[int]) -> None:
    # Given callers with items of their own, and a store that is slow or quick by turns
    store = Store(bad)
    writer = Coalescer(store.flush, limit)
    results: dict[int, Sequence[int] | BaseException] = {}
    items: list[range] = []
    start = 0
    for _, size, _ in calls:
        items.append(range(start, start + size))
        start += size

    async def call(number: int) -> None:
        turns, _, patience = calls[number]
        for _ in range(turns):
            await asyncio.sleep(0)
        adding = asyncio.create_task(writer.add(items[number]))
        for _ in range(patience or 0):
            await asyncio.sleep(0)
        if patience is not None:
            adding.cancel()
        (results[number],) = await asyncio.gather(adding, return_exceptions=True)

    async def doors() -> None:
        for closed in shut:
            store.open.clear() if closed else store.open.set()
            await asyncio.sleep(0)
        store.open.set()

    # When all have been answered
    async with asyncio.timeout(5):
        await asyncio.gather(doors(), *(call(number) for number in range(len(calls))))
        await settle()

    # Then no batch was too large, and nothing was written twice
    written = [item for batch in store.batches for item in batch]
    assert all(len(batch) <= limit for batch in store.batches)
    assert len(set(written)) == len(written)
    for number, result in results.items():
        own = items[number]
        if isinstance(result, asyncio.CancelledError):
            assert calls[number][2] is not None, "cancelled by somebody else"
            # Once in line its items are written: all of them or, where it never got in line, none.
            assert set(own) <= set(written) or not set(own) & set(written)
        elif isinstance(result, BaseException):
            assert isinstance(result, BadItem)
            assert set(own) & set(result.args), "the error of another batch"
        else:
            assert list(result) == [2 * item for item in own]
            assert set(own) <= set(written)


async def test_results_keep_the_order_of_the_calls_under_a_hundred_callers() -> None:
    store = Store()
    writer = Coalescer(store.flush, limit=7)

    results = await asyncio.gather(*(writer.add([number, number + 1000]) for number in range(100)))

    assert results == [[2 * number, 2 * number + 2000] for number in range(100)]
    assert len(store.batches) < 100


async def test_an_error_that_nobody_waits_for_any_more_is_not_complained_about() -> None:
    store = Store(bad=frozenset({1}))
    store.open.clear()
    writer = Coalescer(store.flush, limit=10)
    alone = asyncio.create_task(writer.add([1]))
    await settle()

    alone.cancel()
    store.open.set()
    with pytest.raises(asyncio.CancelledError):
        await alone

    assert await writer.add([2]) == [4]


async def test_what_one_lane_brings_at_once_keeps_no_other_lane_waiting() -> None:
    # Given a caller who brings fifty times as much as one batch takes, and a flush under way
    store = Store()
    store.open.clear()
    writer = Coalescer(store.flush, limit=2)
    flood = [asyncio.create_task(writer.add([number], "loop")) for number in range(100)]
    await settle()

    # When others come afterwards
    others = [asyncio.create_task(writer.add([1000 + number], f"key-{number % 2}")) for number in range(4)]
    await settle()
    store.open.set()
    await asyncio.gather(*flood, *others)

    # Then lanes take turns, and each keeps its order
    found = [item for batch in store.batches for item in batch]
    assert max(found.index(1000 + number) for number in range(4)) <= 8
    assert [item for item in found if item < 1000] == list(range(100))
    assert sorted(found) == [*range(100), *range(1000, 1004)]


@given(calls=st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 9)), max_size=30))
async def test_no_lane_waits_longer_than_a_batch_for_each_of_the_others(calls: list[tuple[str, int]]) -> None:
    # Given calls of several lanes, of so many items, all waiting behind one flush
    store = Store()
    store.open.clear()
    writer = Coalescer(store.flush, limit=9)
    first = asyncio.create_task(writer.add([-1]))
    await settle()
    numbers = iter(range(10**6))
    items = [(lane, [next(numbers) for _ in range(count)]) for lane, count in calls]
    waiting = [asyncio.create_task(writer.add(each, lane)) for lane, each in items]
    await settle()
    store.open.set()

    # When all are flushed, then each has its results, and its lane's order
    assert await asyncio.gather(first, *waiting) == [[-2], *([2 * item for item in each] for _, each in items)]
    lane_of = {item: lane for lane, each in items for item in each}
    for lane in "abc":
        own = [item for batch in store.batches for item in batch if lane_of.get(item) == lane]
        assert own == sorted(own)
        # And from its first batch to its last it is in at least every third
        where = [number for number, batch in enumerate(store.batches) if any(lane_of.get(i) == lane for i in batch)]
        assert all(later - earlier <= 3 for earlier, later in itertools.pairwise(where))
