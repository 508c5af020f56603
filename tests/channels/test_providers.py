"""Several providers as one: what one did not take the next one takes, none passes its rate, and the ill are left alone.

Against two Twilio accounts at a stand-in that counts every request, with and without a Redis in between.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest
import redis
from prometheus_client import REGISTRY as _  # noqa: F401

from notifier.accounts import TwilioAccount
from notifier.channels import Asks, email, push, sms
from notifier.channels.breaker import IN_A_ROW, PROBES, RESTS, State
from notifier.channels.codes import AGAIN
from notifier.channels.http import Timeouts
from notifier.channels.opening import Unconfigured, open_transports, segments
from notifier.channels.pacing import BURST, PATIENCE
from notifier.channels.providers import HELD, WHAT_IT_SAYS, Provider, Providers, Terms, rank
from notifier.channels.shared import TIMEOUT, Shared
from notifier.channels.sms.transport import TwilioTransport
from notifier.clock import SECOND, Clock, ManualClock, SystemClock
from notifier.deliveries import Channel
from notifier.errors import Misconfigured, OutcomeUnknown, Refused, SendError, Throttled, Unavailable
from notifier.messages import Receipt, SmsMessage
from notifier.metrics import REGISTRY
from notifier.settings import Settings, load_settings
from tests.channels import canary
from tests.channels.provider import Handler, drop, reply, silence
from tests.channels.provider import Provider as StandIn
from tests.channels.sms.samples import created, refusal, text

TAKES = reply(201, created())
DOWN = reply(503, refusal(20503, 503))
OURS = reply(401, refusal(20003, 401))

Process = Callable[..., Providers[SmsMessage]]
"""Opens the providers as one process has them: those of the accounts by name, with their options."""


def path(account: str) -> str:
    return f"/2010-04-01/Accounts/{account}/Messages.json"


def answers(provider: StandIn, **handlers: Handler) -> None:
    for account, handler in handlers.items():
        provider.answers(path(account), handler)


def requests(provider: StandIn) -> dict[str, int]:
    """How many requests each account has had."""
    return dict(Counter(seen.path.split("/")[3] for seen in provider.seen))


@pytest.fixture
async def process(provider: StandIn, clock: ManualClock, valkey: str) -> AsyncIterator[Process]:
    with redis.Redis.from_url(valkey) as client:
        client.flushdb()
    opened: list[Providers[SmsMessage]] = []

    def open_process(
        *, url: str | None = None, clock: Clock = clock, timeout: float = 1.0, processes: int = 1,
        **accounts: Mapping[str, Any],
    ) -> Providers[SmsMessage]:  # fmt: skip
        terms = Terms(channel=Channel.SMS, codes=sms.CODES, cost=segments, processes=processes)
        shared = Shared(url, clock) if url else None
        providers = [
            Provider(
                TwilioAccount(name=name, sid=name, token=canary.SECRET, url=provider.url, sender="+1500", **options),
                TwilioTransport(
                    name, canary.SECRET, "+1500", clock=clock, base_url=provider.url,
                    timeouts=Timeouts(connect=timeout / 2, total=timeout),
                ),
                terms, shared, clock,
            )
            for name, options in accounts.items()
        ]  # fmt: skip
        opened.append(Providers(providers, shared))
        return opened[-1]

    yield open_process
    for each in opened:
        await each.close()


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def outcome(providers: Providers[SmsMessage], **changes: Any) -> Receipt | SendError:
    try:
        return await providers.send(text(**changes))
    except SendError as error:
        return error


async def test_a_receipt_names_the_provider(process: Process, provider: StandIn) -> None:
    answers(provider, main=TAKES)

    receipt = await process(main={}).send(text())

    assert receipt == Receipt("main", "SM" + "1" * 32)


@pytest.mark.parametrize("failing", [DOWN, OURS, reply(429, refusal(20429, 429))])
async def test_what_one_surely_did_not_take_the_next_one_takes_in_the_same_send(
    process: Process, provider: StandIn, failing: Handler
) -> None:
    # Given a provider that fails, and one in reserve
    answers(provider, main=failing, reserve=TAKES)

    # When a text is sent
    before = counted("notifier_provider_requests_total", provider="reserve", outcome="sent")
    receipt = await process(main={}, reserve={"weight": 0}).send(text())

    # Then the one in reserve has it
    assert receipt.provider == "reserve"
    assert requests(provider) == {"main": 1, "reserve": 1}
    assert counted("notifier_provider_requests_total", provider="reserve", outcome="sent") == before + 1


async def test_a_provider_that_is_not_reached_is_passed_over(
    process: Process, provider: StandIn, unused_tcp_port: int, clock: ManualClock
) -> None:
    answers(provider, reserve=TAKES)
    providers = process(gone={}, reserve={"weight": 0})
    gone = TwilioTransport(
        "gone", canary.SECRET, "+1500", clock=clock, base_url=f"http://127.0.0.1:{unused_tcp_port}"
    )
    await providers._providers[0]._transport.close()
    providers._providers[0]._transport = gone

    assert (await providers.send(text())).provider == "reserve"


@pytest.mark.parametrize("handler", [drop, silence, reply(500, refusal(20500, 500))])
async def test_what_one_may_have_taken_is_never_given_to_another(
    process: Process, provider: StandIn, handler: Handler
) -> None:
    answers(provider, main=handler, reserve=TAKES)

    failed = await outcome(process(main={}, reserve={"weight": 0}, timeout=0.2))

    assert isinstance(failed, OutcomeUnknown)
    assert failed.provider == "main"
    assert requests(provider) == {"main": 1}


async def test_what_is_refused_for_good_is_not_offered_elsewhere(process: Process, provider: StandIn) -> None:
    answers(provider, main=reply(400, refusal(21211)), reserve=TAKES)

    failed = await outcome(process(main={}, reserve={"weight": 0}))

    assert (type(failed).__name__, requests(provider)) == ("AddressGone", {"main": 1})


async def test_where_all_fail_the_last_ones_error_is_told(process: Process, provider: StandIn) -> None:
    answers(provider, main=DOWN, reserve=OURS)

    failed = await outcome(process(main={}, reserve={"weight": 0}))

    assert isinstance(failed, Misconfigured)
    assert (failed.provider, failed.code, failed.retry_class) == ("reserve", "20003", "misconfigured")


async def test_a_person_hears_from_the_same_sender_and_all_have_their_share(
    process: Process, provider: StandIn
) -> None:
    # Given three accounts of weights 2, 1 and 0
    answers(provider, one=TAKES, two=TAKES, three=TAKES)
    providers = process(one={"weight": 2}, two={"weight": 1}, three={"weight": 0})

    # When four hundred people get two texts each
    first = [(await providers.send(text(to=f"+49151{number}"))).provider for number in range(400)]
    second = [(await providers.send(text(to=f"+49151{number}"))).provider for number in range(400)]

    # Then both came from the same account, two thirds of them from the first
    assert first == second
    assert 230 < first.count("one") < 300
    assert "three" not in first


async def test_whoever_fails_again_and_again_is_left_alone_then_probed_then_used_again(
    process: Process, provider: StandIn, clock: ManualClock
) -> None:
    # Given a provider that is down
    answers(provider, main=DOWN)
    providers = process(main={})
    failures = [await outcome(providers) for _ in range(IN_A_ROW)]
    assert {each.retry_class for each in failures if isinstance(each, SendError)} == {"unavailable"}
    assert counted("notifier_breaker_state", provider="main") == State.OPEN

    # When more is to be sent, then it is held back until the rest is over
    held = [await outcome(providers) for _ in range(20)]
    assert requests(provider) == {"main": IN_A_ROW}
    assert all(isinstance(each, Unavailable) and each.retry_class == HELD for each in held)
    first = held[0]
    assert isinstance(first, SendError)
    assert first.retry_after == RESTS["unavailable"] / SECOND

    # When it is over and the provider still down, then only the probes go out
    clock.advance(RESTS["unavailable"])
    await asyncio.gather(*(outcome(providers) for _ in range(50)))
    assert requests(provider)["main"] - IN_A_ROW <= PROBES

    # When it is well again, then after the next probes all goes out
    answers(provider, main=TAKES)
    clock.advance(RESTS["unavailable"])
    probed = await asyncio.gather(*(outcome(providers) for _ in range(50)))
    assert sum(isinstance(each, Receipt) for each in probed) == PROBES
    after = await asyncio.gather(*(outcome(providers) for _ in range(50)))
    assert all(isinstance(each, Receipt) for each in after)
    assert counted("notifier_breaker_state", provider="main") == State.CLOSED


async def test_a_provider_that_is_back_gets_its_share_by_and_by(
    process: Process, provider: StandIn, clock: ManualClock
) -> None:
    # Given two accounts of the same weight, one of which was down and has been probed
    answers(provider, one=DOWN, two=TAKES)
    providers = process(one={}, two={})
    people = [f"+49151{number}" for number in range(300)]
    while counted("notifier_breaker_state", provider="one") != State.OPEN:
        for each in people[:50]:
            await providers.send(text(to=each))
    answers(provider, one=TAKES)
    clock.advance(RESTS["unavailable"])
    while counted("notifier_breaker_state", provider="one") != State.CLOSED:
        for each in people:
            await providers.send(text(to=each))

    # When time passes, then its people return to it, few at first
    shares = []
    for _ in range(4):
        sent = [(await providers.send(text(to=each))).provider for each in people]
        shares.append(sent.count("one") / len(people))
        clock.advance(20 * SECOND)
    assert shares[0] < 0.1
    assert shares == sorted(shares)
    assert 0.4 < shares[-1] < 0.6


@pytest.mark.parametrize("status", [429, 503])
async def test_no_process_calls_a_provider_before_its_retry_after(
    process: Process, provider: StandIn, valkey: str, status: int
) -> None:
    # Given two processes that share a Redis, and a provider that asks one of them to wait
    code = {429: 20429, 503: 20503}[status]
    answers(provider, main=reply(status, refusal(code, status), {"Retry-After": "1"}))
    one, other = (process(url=valkey, clock=SystemClock(), main={}) for _ in range(2))
    asked = await outcome(one)
    said_at = time.monotonic()
    assert isinstance(asked, Throttled | Unavailable)
    assert asked.retry_after == 1
    await asyncio.sleep(0.02)  # the other one may be told a moment later
    answers(provider, main=TAKES)

    # When both go on sending
    while True:
        outcomes = [await outcome(one), await outcome(other)]
        if any(isinstance(each, Receipt) for each in outcomes):
            break
        assert requests(provider) == {"main": 1}
        assert {each.code for each in outcomes if isinstance(each, SendError)} == {"resting"}
        await asyncio.sleep(0.01)

    # Then the next request comes when the second is over, and not much later
    assert 1.0 <= time.monotonic() - said_at < 1.6


async def test_a_breaker_that_opens_in_one_process_is_open_in_all(
    process: Process, provider: StandIn, valkey: str
) -> None:
    answers(provider, main=DOWN)
    one, other = (process(url=valkey, clock=SystemClock(), main={}) for _ in range(2))
    for _ in range(IN_A_ROW):
        await outcome(one)
    await asyncio.sleep(0.02)

    held = [await outcome(other) for _ in range(10)]

    assert requests(provider) == {"main": IN_A_ROW}
    assert {each.code for each in held if isinstance(each, SendError)} == {"resting"}


async def test_what_a_process_was_told_outlives_redis(process: Process, provider: StandIn, valkey: str) -> None:
    answers(provider, main=reply(429, refusal(20429, 429), {"Retry-After": "60"}))
    one = process(url=valkey, clock=SystemClock(), main={})
    await outcome(one)

    with redis.Redis.from_url(valkey) as client:
        client.flushall()
    answers(provider, main=TAKES)

    assert isinstance(await outcome(one), Unavailable)
    assert requests(provider) == {"main": 1}


async def test_a_backlog_drains_at_the_rate_and_never_above_it_across_processes(
    process: Process, provider: StandIn, valkey: str
) -> None:
    # Given two processes and a rate of 100 segments a second
    arrived: list[float] = []

    async def take(request: Any) -> Any:
        arrived.append(time.monotonic())
        return await TAKES(request)

    provider.answers(path("main"), take)
    both = [process(url=valkey, clock=SystemClock(), main={"rate": 100.0}) for _ in range(2)]

    # When they have 500 texts of two segments, and try again as they are told
    async def drain(providers: Providers[SmsMessage], number: int) -> None:
        message = text(to=f"+49151{number}", content={"text": "x" * 161}, urgency="low")
        while True:
            sent = await outcome(providers, to=message.to, content=sms_content("x" * 161), urgency="low")
            if isinstance(sent, Receipt):
                return
            assert isinstance(sent, Throttled)
            assert sent.retry_after is not None
            assert sent.retry_after >= PATIENCE["low"] / SECOND
            await asyncio.sleep(sent.retry_after)

    began = time.monotonic()
    await asyncio.gather(*(drain(both[number % 2], number) for number in range(150)))

    # Then every second had no more than it may, and the whole took no longer than it must
    took = time.monotonic() - began
    late = 0.05
    for first, at in enumerate(arrived):
        segments_sent = 2 * sum(other < at + 1 for other in arrived[first:])
        assert segments_sent <= 100 * (1 + BURST / SECOND + late) + 2
    assert 150 * 2 / 100 - 0.2 < took < 150 * 2 / 100 * 1.4
