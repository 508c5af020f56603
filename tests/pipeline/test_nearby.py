"""What a worker has decided it delivers itself where it has room, and signals where it hasn't."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence

import dramatiq
import pytest
from dramatiq.brokers.stub import StubBroker

from notifier import metrics
from notifier.broker import LANES
from notifier.broker.signals import IDS_A_MESSAGE, IDS_OF_A_CAMPAIGN
from notifier.channels.rooms import Room
from notifier.deliveries import Channel, Lane
from notifier.pipeline.nearby import MOST_BEGUN, Nearby

QUEUE = Channel.PUSH, Lane.URGENT
OTHER = Channel.SMS, Lane.URGENT


class Hands:
    """Takes batches, and holds each until it is let go."""

    def __init__(self) -> None:
        self.begun: list[tuple[Channel, list[str]]] = []
        self.go = asyncio.Event()
        self.error: Exception | None = None

    async def deliver(self, channel: Channel, ids: Sequence[str]) -> None:
        self.begun.append((channel, list(ids)))
        await self.go.wait()
        if self.error is not None:
            raise self.error


@pytest.fixture
def broker() -> Iterator[StubBroker]:
    broker = StubBroker(middleware=[])
    yield broker
    broker.close()


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def room() -> Room:
    return Room(IDS_A_MESSAGE + 1)


@pytest.fixture
async def nearby(broker: StubBroker, hands: Hands, room: Room) -> AsyncIterator[Nearby]:
    nearby = Nearby(broker, {QUEUE: room}, hands.deliver)
    yield nearby
    hands.go.set()
    await nearby.close()


def signalled(broker: StubBroker, queue: tuple[Channel, Lane]) -> list[list[str]]:
    """The ids of the messages that wait in a queue."""
    name = LANES[queue]
    if name not in broker.queues:
        return []
    waiting = broker.queues[name].queue
    return [dramatiq.Message.decode(data).args[0] for data in waiting]


def ids_of(batches: int) -> list[str]:
    return [str(number) for number in range(batches * IDS_A_MESSAGE)]


async def test_what_this_process_serves_and_has_room_for_does_not_travel(
    broker: StubBroker, hands: Hands, nearby: Nearby
) -> None:
    await nearby.deliver({QUEUE: ["1", "2"], OTHER: ["3"]})
    await asyncio.sleep(0)

    assert hands.begun == [(Channel.PUSH, ["1", "2"])]
    assert signalled(broker, QUEUE) == []
    assert signalled(broker, OTHER) == [["3"]]


async def test_what_there_is_no_room_for_travels(broker: StubBroker, hands: Hands, nearby: Nearby) -> None:
    # Given room for two batches
    ids = ids_of(4)

    # When there are four
    await nearby.deliver({QUEUE: ids})
    await asyncio.sleep(0)

    # Then each is in one place
    begun = [id_ for _, batch in hands.begun for id_ in batch]
    travelling = [id_ for batch in signalled(broker, QUEUE) for id_ in batch]
    assert (begun, travelling) == (ids[: 2 * IDS_A_MESSAGE], ids[2 * IDS_A_MESSAGE :])


async def test_a_campaign_travels_in_smaller_parts(broker: StubBroker, nearby: Nearby) -> None:
    bulk = Channel.PUSH, Lane.BULK

    await nearby.deliver({bulk: ids_of(1)})

    assert [len(batch) for batch in signalled(broker, bulk)] == [IDS_OF_A_CAMPAIGN, IDS_OF_A_CAMPAIGN, 50]


async def test_there_is_room_again_for_what_comes_later(
    broker: StubBroker, hands: Hands, nearby: Nearby, room: Room
) -> None:
    # Given a process whose room was full, and has emptied
    await nearby.deliver({QUEUE: ids_of(2)})
    hands.go.set()
    async with room.enter(1):
        pass

    await nearby.deliver({QUEUE: ["late"]})
    await asyncio.sleep(0)

    assert hands.begun[-1] == (Channel.PUSH, ["late"])
    assert signalled(broker, QUEUE) == []


async def test_nobody_is_passed_who_waits_for_room(broker: StubBroker, hands: Hands, room: Room) -> None:
    # Given a room that is full, and a batch that waits for it
    nearby = Nearby(broker, {QUEUE: room}, hands.deliver)
    await nearby.deliver({QUEUE: ids_of(2)})

    async def wait() -> None:
        async with room.enter(1):
            hands.begun.append((Channel.PUSH, ["first"]))

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)

    # When there is room, and another comes at the same moment
    hands.go.set()
    room.leave(0)
    await nearby.deliver({QUEUE: ["second"]})
    await waiting

    # Then that one goes the long way
    assert signalled(broker, QUEUE) == [["second"]]
    await nearby.close()


async def test_a_rate_without_end_is_no_reason_to_take_everything(broker: StubBroker, hands: Hands) -> None:
    nearby = Nearby(broker, {QUEUE: Room(float("inf"))}, hands.deliver)

    await nearby.deliver({QUEUE: ids_of(MOST_BEGUN + 2)})
    await asyncio.sleep(0)

    assert len(hands.begun) == MOST_BEGUN
    assert len(signalled(broker, QUEUE)) == 2
    hands.go.set()
    await nearby.close()


async def test_what_may_end_a_worker_goes_the_long_way(broker: StubBroker, hands: Hands, nearby: Nearby) -> None:
    await nearby.deliver({QUEUE: ["1"]}, alone=True)

    assert hands.begun == []
    assert signalled(broker, QUEUE) == []
    assert [dramatiq.Message.decode(data).args[0] for data in broker.queues["careful"].queue] == [["1"]]


async def test_work_that_fails_is_counted_and_makes_room(hands: Hands, nearby: Nearby, room: Room) -> None:
    # Given work that fails
    before = metrics.messages_failed.labels(LANES[QUEUE])._value.get()
    hands.error = RuntimeError("no")
    hands.go.set()

    # When it is begun again and again, then there is room every time
    for _ in range(5):
        await nearby.deliver({QUEUE: ids_of(2)})
        async with room.enter(1):
            pass
    assert len(hands.begun) == 10
    assert metrics.messages_failed.labels(LANES[QUEUE])._value.get() == before + 10


async def test_who_ends_finishes_what_it_began_and_begins_nothing_more(
    broker: StubBroker, hands: Hands, room: Room
) -> None:
    # Given a batch under way
    nearby = Nearby(broker, {QUEUE: room}, hands.deliver)
    await nearby.deliver({QUEUE: ["1"]})
    await asyncio.sleep(0)

    # When the process ends, and decides something meanwhile
    closing = asyncio.create_task(nearby.close())
    await asyncio.sleep(0)
    await nearby.deliver({QUEUE: ["2"]})

    # Then it waits for the one, and signals the other
    assert not closing.done()
    assert signalled(broker, QUEUE) == [["2"]]
    hands.go.set()
    await closing
