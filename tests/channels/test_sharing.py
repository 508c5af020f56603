"""What processes share of a provider: its rate, its rest, and its trouble; in Redis, in the database, and without."""

import asyncio
import time
from pathlib import Path

import pytest
import redis
from aiohttp import web

from notifier.channels.sms.messages import SmsContent
from notifier.domain.clock import SECOND, SystemClock
from notifier.domain.errors import SendError, Throttled, Unavailable
from notifier.domain.messages import Receipt
from notifier.pipeline.sharing import InDatabase
from notifier.providers.breaker import IN_A_ROW
from notifier.providers.pacing import BURST, OVERBOOKED
from notifier.providers.shared import TIMEOUT, Kept
from notifier.providers.shared_in_redis import InRedis
from notifier.runtime.broker_url import redis_url
from notifier.store.core.database import Database
from tests.channels import canary
from tests.channels.accounts import DOWN, TAKES, Keep, Process, answers, counted, outcome, requests
from tests.channels.provider import Provider as StandIn
from tests.channels.provider import reply
from tests.channels.sms.samples import refusal, text

LONG = SmsContent(text="x" * 161)


async def _known(keep: Keep) -> None:
    """Wait until all can know that the provider rests."""
    kept = keep()
    async with asyncio.timeout(10):
        while True:
            taken = await kept.take("provider:sms:main", 0, False, 0, [])
            if taken.rests:
                break
            await asyncio.sleep(0.005)
    await kept.close()


def nowhere() -> Kept:
    """A Redis that isn't there."""
    return InRedis(redis_url("redis://127.0.0.1:1"), "notifier")


@pytest.mark.parametrize("status", [429, 503])
async def test_no_process_calls_a_provider_before_its_retry_after(
    process: Process, provider: StandIn, keep: Keep, status: int
) -> None:
    # Given two processes, and a provider that asks one of them to wait
    code = {429: 20429, 503: 20503}[status]
    answers(provider, main=reply(status, refusal(code, status), {"Retry-After": "1"}))
    one, other = (process(by=keep, clock=SystemClock(), main={}) for _ in range(2))
    asked = await outcome(one)
    said_at = time.monotonic()
    assert isinstance(asked, Throttled | Unavailable)
    assert asked.retry_after == 1
    await _known(keep)
    answers(provider, main=TAKES)

    # When both go on sending
    while True:
        outcomes = [await outcome(one), await outcome(other)]
        if any(isinstance(each, Receipt) for each in outcomes):
            break
        assert requests(provider) == {"main": 1}
        assert {each.code for each in outcomes if isinstance(each, SendError)} == {"resting"}
        await asyncio.sleep(0.01)

    # Then the next request comes when the second is over, and not with the next backoff
    assert 1.0 <= time.monotonic() - said_at < 10


async def test_a_breaker_that_opens_in_one_process_is_open_in_all(
    process: Process, provider: StandIn, keep: Keep
) -> None:
    answers(provider, main=DOWN)
    one, other = (process(by=keep, clock=SystemClock(), main={}) for _ in range(2))
    for _ in range(IN_A_ROW):
        await outcome(one)
    await _known(keep)

    held = [await outcome(other) for _ in range(10)]

    assert requests(provider) == {"main": IN_A_ROW}
    assert {each.code for each in held if isinstance(each, SendError)} == {"resting"}


async def test_what_a_process_was_told_outlives_redis(process: Process, provider: StandIn, empty_valkey: str) -> None:
    answers(provider, main=reply(429, refusal(20429, 429), {"Retry-After": "60"}))
    one = process(by=lambda: InRedis(redis_url(empty_valkey), "notifier"), clock=SystemClock(), main={})
    await outcome(one)

    with redis.Redis.from_url(empty_valkey) as client:
        client.flushall()
    answers(provider, main=TAKES)

    assert isinstance(await outcome(one), Unavailable)
    assert requests(provider) == {"main": 1}


async def test_a_backlog_drains_at_the_rate_and_never_above_it_whoever_sends(
    process: Process, provider: StandIn, keep: Keep
) -> None:
    # Given two processes, and a sender that takes 100 segments a second
    arrived: list[float] = []

    async def take(request: web.Request) -> web.StreamResponse:
        arrived.append(time.monotonic())
        return await TAKES(request)

    answers(provider, main=take)
    both = [process(by=keep, clock=SystemClock(), main={"rate": 100.0}) for _ in range(2)]

    # When they have 150 texts of two segments, and try again when they are told
    async def drain(number: int) -> None:
        while True:
            sent = await outcome(both[number % 2], to=f"+49151{number}", content=LONG, urgency="low")
            if isinstance(sent, Receipt):
                return
            assert isinstance(sent, Throttled)
            assert sent.retry_after is not None
            await asyncio.sleep(sent.retry_after)

    before, began = counted("notifier_paced_total", provider="main"), time.monotonic()
    await asyncio.gather(*(drain(number) for number in range(150)))

    # Then no second had more than it may, and the whole took no longer than it must
    late = 0.25  # of a second, by which a loop wakes up too late: this one does everything, on a machine that is busy
    for first, at in enumerate(arrived):
        assert 2 * sum(other < at + 1 for other in arrived[first:]) <= 100 * (1 + BURST / SECOND + late) + 2
    assert len(arrived) == 150
    assert 2.8 < arrived[-1] - began < 10
    assert counted("notifier_paced_total", provider="main") > before


async def test_what_is_far_down_the_queue_is_not_kept_waiting(process: Process, provider: StandIn) -> None:
    answers(provider, main=TAKES)
    providers = process(clock=SystemClock(), main={"rate": 10.0})

    began = time.monotonic()
    sent = await asyncio.gather(*(outcome(providers, to=f"+49151{number}") for number in range(200)))

    assert time.monotonic() - began < 10  # and not 20
    back = [each.retry_after or 0 for each in sent if isinstance(each, SendError)]
    assert len(back) >= 190
    assert max(back) == pytest.approx(len(back) / 10 / OVERBOOKED, rel=0.15)


async def test_the_urgent_pass_a_backlog(process: Process, provider: StandIn) -> None:
    # Given a backlog that takes every slot it is given
    answers(provider, main=TAKES)
    providers = process(clock=SystemClock(), main={"rate": 50.0})
    backlog = [asyncio.create_task(outcome(providers, urgency="low")) for _ in range(300)]
    await asyncio.sleep(0.1)

    # When something urgent comes, then it goes out, long before the six seconds of the backlog are over
    began = time.monotonic()
    urgent = await asyncio.gather(*(outcome(providers, urgency="urgent") for _ in range(20)))
    assert all(isinstance(each, Receipt) for each in urgent)
    assert time.monotonic() - began < 4.5
    await asyncio.gather(*backlog)


@pytest.mark.parametrize("away", ["redis", "database"])
async def test_where_nobody_answers_each_process_keeps_to_its_share(
    process: Process, provider: StandIn, tmp_path: Path, away: str
) -> None:
    answers(provider, main=TAKES)
    gone = Database(f"sqlite:///{tmp_path / 'gone.db'}", connections=4)  # a database without our tables
    keep = nowhere if away == "redis" else lambda: InDatabase(gone, SystemClock())
    four = [process(by=keep, processes=4, main={"rate": 40.0}) for _ in range(4)]

    sent = await asyncio.gather(*(outcome(each, urgency="urgent") for each in four for _ in range(50)))

    # A second's worth ahead, of which each has a quarter, and the one that may always go
    assert 40 <= sum(isinstance(each, Receipt) for each in sent) <= 40 + 4 * 2
    await gone.close()


async def test_what_is_shared_and_away_delays_nothing(process: Process, provider: StandIn) -> None:
    answers(provider, main=TAKES)
    providers = process(by=nowhere, main={})

    began = time.monotonic()
    for _ in range(20):
        await providers.send(text())

    assert time.monotonic() - began < 10 * TIMEOUT  # and not twenty times


async def test_redis_holds_nothing_of_the_messages(process: Process, provider: StandIn, empty_valkey: str) -> None:
    answers(provider, main=reply(429, refusal(20429, 429), {"Retry-After": "60"}), two=DOWN)
    providers = process(
        by=lambda: InRedis(redis_url(empty_valkey), "notifier"),
        clock=SystemClock(),
        main={"rate": 1000.0},
        two={"rate": 1000.0},
    )
    for _ in range(20):
        await outcome(providers)
    await providers.close()

    with redis.Redis.from_url(empty_valkey) as client:
        kept = [(key, client.hgetall(key)) for key in client.scan_iter()]
    assert len(kept) == 2
    assert not [each for each in canary.ALL if each in str(kept)]
