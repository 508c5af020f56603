"""Room for batches: as many as keep the connections busy, and the next when there is some again."""

import asyncio

from notifier.providers.bulkheads import Bulkhead


async def test_batches_wait_while_those_inside_keep_all_connections() -> None:
    # Given room for ten messages
    room, inside, gates = Bulkhead(10), [], [asyncio.Event() for _ in range(4)]

    async def batch(number: int) -> None:
        async with room.enter(100):
            inside.append(number)
            await gates[number].wait()

    # When four batches of a hundred come
    batches = [asyncio.create_task(batch(number)) for number in range(4)]
    await asyncio.sleep(0)

    # Then one at a time is inside, in their order
    for number in range(4):
        assert inside == list(range(number + 1))
        gates[number].set()
        await batches[number]
        await asyncio.sleep(0.01)


async def test_single_messages_are_in_at_once() -> None:
    room = Bulkhead(10)
    everybody_in = asyncio.Event()
    inside = 0

    async def single() -> None:
        nonlocal inside
        async with room.enter(1):
            inside += 1
            if inside == 10:
                everybody_in.set()
            await everybody_in.wait()

    async with asyncio.timeout(1):
        await asyncio.gather(*(single() for _ in range(10)))


async def test_a_batch_that_fails_leaves_its_room() -> None:
    room = Bulkhead(1)

    async def broken() -> None:
        async with room.enter(5):
            raise ValueError

    outcomes = await asyncio.gather(*(broken() for _ in range(3)), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [ValueError] * 3
    async with asyncio.timeout(1), room.enter(1):
        pass
