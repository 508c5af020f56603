"""While events wait for their decisions, those of a key that reports far more than others come behind them."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from itertools import count
from typing import Any

import dramatiq
import pytest
import redis

from notifier.broker import DECIDE, DECIDE_LATER, DECIDE_URGENT
from notifier.domain.clock import ManualClock
from notifier.domain.cloudevents import EventReader
from notifier.domain.turns import LITTLE
from notifier.pipeline.accept import BEHIND, LOOK, Accepted, Intake
from notifier.pipeline.clock import FULL_QUEUE, tick
from notifier.pipeline.decide import decide
from notifier.pipeline.engine import LATER_AGAIN, SIGNAL_AGAIN, WorkerEngine
from tests.pipeline.samples import COMPLETE, WARNING

ReportAs = Callable[..., Awaitable[list[str]]]


@pytest.fixture
async def report_as(engine: WorkerEngine) -> AsyncIterator[ReportAs]:
    """Accept so many events of a key; their ids."""
    intake, reader, numbers = Intake(engine), EventReader(engine.catalog), count()

    async def accept(key: str, number: int, type_: str = "charging.complete", *, test: bool = False) -> list[str]:
        data = WARNING if type_ == "idle.warning" else COMPLETE
        made = [
            reader.made(type_, key, str(each), "s", engine.clock.now(), {**data, "session_id": str(each)})
            for each in (next(numbers) for _ in range(number))
        ]
        answers = await intake.accept([each.as_test() for each in made] if test else made, lane=key)
        await intake.close()
        return [each.event for each in answers if isinstance(each, Accepted)]

    yield accept
    await intake.close()


class Queues:
    """What waits in the broker."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def ids(self, queue: str) -> list[str]:
        """The ids of the events that wait in a queue."""
        found: Any = self._client.hgetall(f"notifier:{queue}.msgs")
        return [id_ for data in found.values() for id_ in dramatiq.Message.decode(data).args[0]]

    def empty(self, *queues: str) -> None:
        for queue in queues:
            self._client.delete(f"notifier:{queue}", f"notifier:{queue}.msgs")

    def fill(self, queue: str, messages: int) -> None:
        """Have so many messages wait in a queue, whatever they say."""
        self._client.rpush(f"notifier:{queue}", *("x" * (each + 1) for each in range(messages)))


@pytest.fixture
def queues(valkey: str, engine: WorkerEngine) -> Iterator[Queues]:
    with redis.Redis.from_url(valkey) as client:
        yield Queues(client)


async def test_a_test_comes_later_while_others_wait_and_takes_nobodys_turn(
    report_as: ReportAs, clock: ManualClock, queues: Queues
) -> None:
    # Given a key that reports much, alone but for tests
    await report_as("real", 2 * LITTLE)
    await report_as("tests", 1, test=True)
    assert queues.ids(DECIDE_LATER) == []

    # When events wait, then the tests come behind all others, and the one real key has its turn
    clock.advance(BEHIND + LOOK)
    tests, real = await report_as("tests", 1, test=True), await report_as("real", 5)
    assert queues.ids(DECIDE_LATER) == tests
    assert set(real) <= set(queues.ids(DECIDE))


async def test_a_loop_comes_later_while_others_wait_and_not_before(
    report_as: ReportAs, clock: ManualClock, queues: Queues
) -> None:
    # Given a key in a loop beside another one, while nobody waits for long: then all take their turn
    first = [*await report_as("other", 1), *await report_as("loop", 2 * LITTLE)]
    assert sorted(queues.ids(DECIDE)) == sorted(first)

    # When they wait, then the loop's events come later, and nobody else's do; what is urgent is counted by itself
    clock.advance(BEHIND + LOOK)
    looping, other = await report_as("loop", 5), await report_as("other", 1)
    urgent = [*await report_as("other", 1, "idle.warning"), *await report_as("loop", 1, "idle.warning")]
    assert sorted(queues.ids(DECIDE_LATER)) == sorted(looping)
    assert sorted(queues.ids(DECIDE)) == sorted([*first, *other])
    assert sorted(queues.ids(DECIDE_URGENT)) == sorted(urgent)


async def test_while_some_of_a_loop_wait_all_of_it_does(
    engine: WorkerEngine, report_as: ReportAs, clock: ManualClock, queues: Queues
) -> None:
    # Given events of a loop that come later, and none of others that waits any more
    first = [*await report_as("other", 1), *await report_as("loop", 2 * LITTLE)]
    clock.advance(BEHIND + LOOK)
    later = await report_as("loop", 5)
    await decide(engine, first)

    # When it reports again, then that comes behind what it has reported before; and once all is decided in its turn
    clock.advance(LOOK)
    later += await report_as("loop", 5)
    assert sorted(queues.ids(DECIDE_LATER)) == sorted(later)
    await decide(engine, later)
    clock.advance(LOOK)
    (again,) = await report_as("loop", 1)
    assert again in queues.ids(DECIDE)


async def test_who_reports_alone_never_comes_later(report_as: ReportAs, clock: ManualClock, queues: Queues) -> None:
    for _ in range(3):
        await report_as("csms", 2 * LITTLE)
        clock.advance(BEHIND + LOOK)

    assert queues.ids(DECIDE_LATER) == []


async def test_the_clock_leaves_what_comes_later_behind_the_others_and_loses_none_of_it(
    engine: WorkerEngine, report_as: ReportAs, clock: ManualClock, queues: Queues
) -> None:
    # Given events that come later, others whose signal was lost, and a queue for later in which something waits
    await report_as("other", 1)
    await report_as("loop", 2 * LITTLE)
    clock.advance(BEHIND + LOOK)
    later, other = await report_as("loop", 60), await report_as("other", 1)
    queues.empty(DECIDE)

    # When the clock looks after a moment, then it signals again what is not to wait, and nothing of the others
    clock.advance(SIGNAL_AGAIN)
    await tick(engine)
    assert set(other) <= set(queues.ids(DECIDE))
    assert not {*later} & {*queues.ids(DECIDE)}

    # When those still wait after long, then they are signalled behind all others again, and not where many wait there
    clock.advance(LATER_AGAIN)
    queues.empty(DECIDE, DECIDE_LATER)
    queues.fill(DECIDE_LATER, FULL_QUEUE)
    await tick(engine)
    assert not {*later} & {*queues.ids(DECIDE), *queues.ids(DECIDE_LATER)}
    clock.advance(LATER_AGAIN)
    queues.empty(DECIDE, DECIDE_LATER)
    queues.fill(DECIDE_LATER, 1)
    await tick(engine)
    assert {*later} <= {*queues.ids(DECIDE_LATER)}

    # And where nothing waits there, they were lost, and are signalled as all are
    clock.advance(LATER_AGAIN)
    queues.empty(DECIDE, DECIDE_LATER)
    await tick(engine)
    assert {*later} <= {*queues.ids(DECIDE)}
