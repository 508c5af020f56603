"""The batches that a process begins by itself: as many as it has room for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

import pytest

from notifier import metrics
from notifier.broker import LANES
from notifier.broker.signals import IDS_A_MESSAGE
from notifier.domain.deliveries import Lane
from notifier.pipeline.local_dispatcher import AHEAD, LOOK, MOST_BEGUN, LocalDispatcher
from notifier.providers.bulkheads import Bulkhead
from tests.named import PUSH, SMS

QUEUE = PUSH, Lane.URGENT
OTHER = SMS, Lane.URGENT
SOON = 0.1  # seconds that are nothing beside the times that a decision waits


class Batch:
    """Work that goes on until it is told to end."""

    def __init__(self, error: Exception | None = None) -> None:
        self.begun = self.ended = False
        self.go = asyncio.Event()
        self.over = asyncio.Event()
        self.error = error

    async def run(self) -> None:
        self.begun = True
        await self.go.wait()
        self.ended = True
        self.over.set()
        if self.error is not None:
            raise self.error


@pytest.fixture
def room() -> Bulkhead:
    return Bulkhead(100)


@pytest.fixture
def nearby(room: Bulkhead) -> LocalDispatcher:
    return LocalDispatcher({QUEUE: room})


def begin(nearby: LocalDispatcher, messages: int = 100, error: Exception | None = None) -> Batch:
    batch = Batch(error)
    nearby.begin(QUEUE, messages, batch.run())
    return batch


@asynccontextmanager
async def waiting(room: Bulkhead) -> AsyncIterator[asyncio.Task[None]]:
    """Somebody who waits for room, and stays a moment."""

    async def wait() -> None:
        async with room.enter(1):
            pass

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    yield task
    await task


async def seconds_to_catch_up(nearby: LocalDispatcher) -> float:
    loop = asyncio.get_running_loop()
    began = loop.time()
    await nearby.catch_up()
    return loop.time() - began


def test_a_process_takes_of_the_queues_that_it_serves_and_no_more_than_a_batch(nearby: LocalDispatcher) -> None:
    assert nearby.takes(QUEUE, 3) == 3
    assert nearby.takes(QUEUE, IDS_A_MESSAGE + 1) == IDS_A_MESSAGE
    assert nearby.takes(OTHER, 3) == 0
    assert LocalDispatcher().takes(QUEUE, 3) == 0


async def test_a_full_room_takes_nothing_until_it_is_left(nearby: LocalDispatcher) -> None:
    # Given a batch that fills its room from the moment it is begun
    batch = begin(nearby)
    assert nearby.takes(QUEUE, 1) == 0

    # When it ends
    batch.go.set()
    await nearby.catch_up()

    # Then there is room again
    assert batch.ended
    assert nearby.takes(QUEUE, 1) == 1


async def test_nobody_is_passed_who_waits_for_room(nearby: LocalDispatcher, room: Bulkhead) -> None:
    batch = begin(nearby)
    async with waiting(room) as somebody:
        # When the batch is about to end, and somebody waits for its place
        batch.go.set()
        async with asyncio.timeout(1):
            await batch.over.wait()

        # Then it is theirs
        assert nearby.takes(QUEUE, 1) == 0
        await somebody
    assert nearby.takes(QUEUE, 1) == 1


async def test_a_rate_without_end_is_no_reason_to_take_everything() -> None:
    nearby = LocalDispatcher({QUEUE: Bulkhead(float("inf"))})

    batches = [begin(nearby) for _ in range(MOST_BEGUN - 1)]
    assert nearby.takes(QUEUE, 1) == 1
    batches.append(begin(nearby))
    assert nearby.takes(QUEUE, 1) == 0

    for batch in batches:
        batch.go.set()
    await nearby.close()


async def test_work_that_fails_is_counted_and_makes_room(nearby: LocalDispatcher) -> None:
    before = metrics.messages_failed.labels(LANES[QUEUE])._value.get()

    for _ in range(5):
        batch = begin(nearby, error=RuntimeError("no"))
        batch.go.set()
        await nearby.catch_up()
        assert nearby.takes(QUEUE, 1) == 1

    assert metrics.messages_failed.labels(LANES[QUEUE])._value.get() == before + 5


async def test_who_ends_finishes_what_it_began_and_takes_nothing_more(nearby: LocalDispatcher) -> None:
    # Given a batch under way, and another that was taken and not yet begun
    first, second = begin(nearby, 1), Batch()

    # When the process ends
    closing = asyncio.create_task(nearby.close())
    await asyncio.sleep(0)
    assert nearby.takes(QUEUE, 1) == 0
    nearby.begin(QUEUE, 1, second.run())
    first.go.set()
    await asyncio.sleep(SOON)

    # Then it waits for both
    assert not closing.done()
    second.go.set()
    await closing
    assert (first.ended, second.ended) == (True, True)


async def test_nothing_is_waited_for_where_there_is_room(nearby: LocalDispatcher) -> None:
    batch = begin(nearby, messages=99)

    assert await seconds_to_catch_up(nearby) < SOON

    batch.go.set()
    await nearby.close()


async def test_a_busy_process_waits_for_room_and_not_for_ever(room: Bulkhead) -> None:
    # Given a full room, and a process that uses its core all the time
    nearby = LocalDispatcher({QUEUE: room}, spent=monotonic)
    batch = begin(nearby)

    # Then what is decided waits its time
    assert await seconds_to_catch_up(nearby) >= AHEAD

    # Unless there is room before that
    asyncio.get_running_loop().call_later(LOOK, batch.go.set)
    assert await seconds_to_catch_up(nearby) < AHEAD
    assert batch.ended


async def test_a_process_that_only_waits_for_a_provider_decides_meanwhile(room: Bulkhead) -> None:
    nearby = LocalDispatcher({QUEUE: room}, spent=lambda: 0.0)
    batch = begin(nearby)

    assert LOOK <= await seconds_to_catch_up(nearby) < AHEAD

    batch.go.set()
    await nearby.close()
