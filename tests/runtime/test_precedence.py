"""What waits for others begins once nothing of them is in hand."""

import asyncio

from notifier.runtime.precedence import Precedence


async def test_what_waits_begins_when_the_last_of_the_first_is_done() -> None:
    # Given two that go first, one inside the other's time
    precedence, order = Precedence(), list[str]()

    async def later() -> None:
        await precedence.wait()
        order.append("later")

    with precedence.first():
        with precedence.first():
            waiting = asyncio.create_task(later())
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        order.append("first")

    # Then what waits begins after both, and at once where there is none
    await waiting
    await later()
    assert order == ["first", "later", "later"]
