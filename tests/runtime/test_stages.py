"""What a stage takes is counted for it: step by step, once, whatever becomes of it."""

import asyncio
from time import thread_time

import pytest

from notifier.runtime.stages import Stage, cpu_seconds, meter, metered

SHORT = 0.01  # seconds of CPU
LONG = 0.05


def burn(seconds: float) -> None:
    """Take so much of this thread's CPU."""
    until = thread_time() + seconds
    while thread_time() < until:
        pass


def counted(stage: Stage) -> float:
    return float(cpu_seconds.labels(stage)._value.get())


@metered(Stage.STORE)
async def inner() -> str:
    await asyncio.sleep(0)
    burn(LONG)
    await asyncio.sleep(0)
    return "done"


@metered(Stage.DECIDE)
async def outer() -> str:
    burn(SHORT)
    return await inner()


async def test_what_a_stage_calls_is_counted_for_the_one_that_does_it() -> None:
    before = {stage: counted(stage) for stage in Stage}

    assert await outer() == "done"

    assert counted(Stage.STORE) - before[Stage.STORE] >= LONG
    assert SHORT <= counted(Stage.DECIDE) - before[Stage.DECIDE] < LONG
    assert counted(Stage.SEND) == before[Stage.SEND]


async def test_what_others_do_while_a_stage_waits_is_not_counted_for_it() -> None:
    # Given a stage that waits for something that others work at
    done = asyncio.Event()

    @metered(Stage.SETTLE)
    async def wait() -> None:
        await done.wait()

    async def work() -> None:
        await asyncio.sleep(0)
        burn(LONG)
        done.set()

    before = counted(Stage.SETTLE)
    await asyncio.gather(asyncio.ensure_future(wait()), work())

    assert counted(Stage.SETTLE) - before < LONG


async def test_what_is_done_at_once_is_counted_and_taken_off_what_is_around_it() -> None:
    before = counted(Stage.RENDER), counted(Stage.ACCEPT)

    @metered(Stage.ACCEPT)
    async def around() -> None:
        with meter(Stage.RENDER):
            burn(LONG)

    await around()

    assert counted(Stage.RENDER) - before[0] >= LONG
    assert counted(Stage.ACCEPT) - before[1] < LONG


async def test_of_many_calls_some_are_measured_for_all() -> None:
    @metered(Stage.SEND, every=4)
    async def send() -> None:
        burn(SHORT)

    before = counted(Stage.SEND)
    for _ in range(8):
        await send()

    assert 8 * SHORT <= counted(Stage.SEND) - before < 16 * SHORT


@pytest.mark.parametrize("call", [0, 1])
async def test_a_stage_that_fails_fails_as_it_would_and_is_counted_where_it_is_measured(call: int) -> None:
    @metered(Stage.SETTLE, every=2)
    async def fail() -> None:
        burn(SHORT)
        await asyncio.sleep(0)
        raise LookupError("no")

    before = counted(Stage.SETTLE)
    for _ in range(call + 1):
        with pytest.raises(LookupError):
            await fail()

    assert 2 * SHORT <= counted(Stage.SETTLE) - before < 4 * SHORT


async def test_a_stage_that_is_cancelled_may_end_in_its_own_way() -> None:
    # Given a stage that has something to put away
    put_away: list[str] = []

    @metered(Stage.STORE)
    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            burn(SHORT)
            await asyncio.sleep(0)
            put_away.append("all")

    # When it is cancelled while it waits
    before = counted(Stage.STORE)
    task = asyncio.ensure_future(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    # Then it has put that away, which counts
    assert put_away == ["all"]
    assert counted(Stage.STORE) - before >= SHORT
