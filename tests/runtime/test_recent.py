"""Answers that are remembered for a moment: one question for all who ask meanwhile."""

import asyncio

import pytest

from notifier.domain.clock import SECOND, ManualClock
from notifier.runtime.recent import Recent


class Costly:
    """What takes its time to answer, once it is let; it may have nothing to say."""

    def __init__(self, clock: ManualClock, takes: int = 0) -> None:
        self.asked = 0
        self.silent = False
        self.open = asyncio.Event()
        self.open.set()
        self._clock = clock
        self._takes = takes

    async def find(self) -> int:
        self.asked += 1
        await self.open.wait()
        self._clock.advance(self._takes)
        if self.silent:
            raise OSError
        return self.asked


async def test_many_who_ask_at_once_cause_one_question_and_the_next_ones_none() -> None:
    clock = ManualClock(0)
    costly = Costly(clock)
    recent = Recent(costly.find, clock, good_for=SECOND)

    assert await asyncio.gather(*(recent.get() for _ in range(30))) == [1] * 30
    clock.advance(SECOND - 1)
    assert await recent.get() == 1
    clock.advance(1)
    assert await recent.get() == 2


async def test_what_takes_long_is_remembered_the_longer() -> None:
    # Given an answer that takes a second, and is good for ten times as long
    clock = ManualClock(0)
    costly = Costly(clock, takes=SECOND)
    recent = Recent(costly.find, clock, good_for=SECOND, rest=10)
    assert await recent.get() == 1

    clock.advance(10 * SECOND - 1)
    assert await recent.get() == 1
    clock.advance(1)
    assert await recent.get() == 2


async def test_a_failure_is_told_to_all_who_wait_and_not_remembered() -> None:
    clock = ManualClock(0)
    costly = Costly(clock)
    recent = Recent(costly.find, clock, good_for=SECOND)
    costly.silent = True

    told = await asyncio.gather(recent.get(), recent.get(), return_exceptions=True)

    assert [type(each) for each in told] == [OSError, OSError]
    assert costly.asked == 1
    costly.silent = False
    assert await recent.get() == 2


async def test_who_gives_up_takes_the_answer_from_nobody() -> None:
    # Given two who wait
    clock = ManualClock(0)
    costly = Costly(clock)
    recent = Recent(costly.find, clock, good_for=SECOND)
    costly.open.clear()
    stays = asyncio.create_task(recent.get())

    # When one doesn't wait any longer
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await recent.get()
    costly.open.set()

    # Then the other hears it
    assert await stays == 1
