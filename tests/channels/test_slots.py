"""Slots for what may be under way at once: never more than there are, in turn, and none is ever lost."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.providers.slots import SlotPool


async def test_who_waits_gets_a_place_in_turn_and_nobody_passes() -> None:
    # Given one place, which is taken, and two who wait for it
    slots, came = SlotPool(1), list[int]()
    assert not await slots.take(in_seconds(0))

    async def come(number: int) -> None:
        assert await slots.take(in_seconds(5))
        came.append(number)

    tasks = [asyncio.create_task(come(number)) for number in range(2)]
    await asyncio.sleep(0)

    # When it is given back again and again, and somebody comes each time before who waited has taken it
    for number in range(2):
        slots.give_back()
        tasks.append(asyncio.create_task(come(2 + number)))
        await tasks[number]

    # Then each has it in turn
    slots.give_back()
    await tasks[2]
    slots.give_back()
    await tasks[3]
    assert came == [0, 1, 2, 3]


async def test_who_waits_for_too_long_has_none_and_takes_none() -> None:
    slots = SlotPool(1)
    await slots.take(in_seconds(0))

    with pytest.raises(TimeoutError):
        await slots.take(in_seconds(0))

    slots.give_back()
    assert not await slots.take(in_seconds(0))


async def test_a_place_that_comes_as_its_taker_leaves_goes_to_the_next() -> None:
    # Given two who wait
    slots = SlotPool(1)
    await slots.take(in_seconds(0))
    first, second = (asyncio.create_task(slots.take(in_seconds(5))) for _ in range(2))
    await asyncio.sleep(0)

    # When the first one is given the place and called off in the same moment
    slots.give_back()
    first.cancel()

    # Then the second one has it
    await second
    assert first.cancelled()


@given(
    count=st.integers(1, 3), steps=st.lists(st.tuples(st.sampled_from(["take", "give", "cancel"]), st.integers(0, 9)))
)
def test_places_are_never_too_many_and_never_lost(count: int, steps: list[tuple[str, int]]) -> None:
    async def act() -> None:
        slots, tasks = SlotPool(count), list[asyncio.Task[bool]]()
        # When some come, some leave, and some are called off, with or without a place
        for step, which in steps:
            inside = [task for task in tasks if task.done()]
            if step == "take":
                tasks.append(asyncio.create_task(slots.take(in_seconds(60))))
            elif step == "give" and inside:
                tasks.remove(inside[which % len(inside)])
                slots.give_back()
            elif step == "cancel" and tasks:
                tasks[which % len(tasks)].cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            tasks = [task for task in tasks if not task.cancelled()]

            # Then as many are inside as come and fit
            assert sum(task.done() for task in tasks) == min(len(tasks), count)
        for task in tasks:
            task.cancel()

    asyncio.run(act())


def in_seconds(seconds: float) -> float:
    """The running loop's time in so many seconds."""
    return asyncio.get_running_loop().time() + seconds
