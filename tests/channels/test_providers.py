"""Several providers as one: what one did not take the next one takes, and those that fail are left alone."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from notifier.channels.email import codes as email
from notifier.channels.push import codes as push_channel
from notifier.channels.push.messages import PushMessage
from notifier.channels.push.settings import FcmAccount
from notifier.channels.push.transport import FcmTransport
from notifier.channels.sms import codes as sms
from notifier.domain.clock import SECOND, ManualClock, SystemClock
from notifier.domain.errors import Misconfigured, OutcomeUnknown, SendError, Throttled, Unavailable
from notifier.domain.messages import Device, Receipt
from notifier.providers import StatusQueryable
from notifier.providers.breaker import IN_A_ROW, PROBES, RESTS, BreakerState
from notifier.providers.codes import DEFERRED, Codes
from notifier.providers.fence import leased
from notifier.providers.pool import Provider, Providers, Terms, what_it_says
from notifier.sandbox import Sandbox
from notifier.sandbox.faults import FaultRule, Match
from tests.channels.accounts import DOWN, OURS, TAKES, Process, answers, counted, outcome, requests
from tests.channels.provider import Handler, drop, quick, reply, silence
from tests.channels.provider import Provider as StandIn
from tests.channels.push.samples import push
from tests.channels.sms.samples import created, refusal, text
from tests.named import PUSH
from tests.stand_ins import service_account


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
    process: Process, provider: StandIn, unused_tcp_port: int
) -> None:
    answers(provider, reserve=TAKES)
    providers = process(main={"url": f"http://127.0.0.1:{unused_tcp_port}"}, reserve={"weight": 0})

    assert (await providers.send(text())).provider == "reserve"


@pytest.mark.parametrize("handler", [drop, silence, reply(500, refusal(20500, 500))])
@quick
async def test_what_one_may_have_taken_is_never_given_to_another(
    process: Process, provider: StandIn, handler: Handler
) -> None:
    answers(provider, main=handler, reserve=TAKES)

    failed = await outcome(process(main={}, reserve={"weight": 0}))

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
    assert counted("notifier_breaker_state", provider="main") == BreakerState.OPEN

    # When more is to be sent, then it is held back until the rest is over
    held = [await outcome(providers) for _ in range(20)]
    assert requests(provider) == {"main": IN_A_ROW}
    assert all(isinstance(each, Unavailable) and each.retry_class == DEFERRED for each in held)
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
    assert counted("notifier_breaker_state", provider="main") == BreakerState.CLOSED


async def test_a_provider_that_is_back_gets_its_share_by_and_by(
    process: Process, provider: StandIn, clock: ManualClock
) -> None:
    # Given two accounts of the same weight, one of which was down and has been probed
    answers(provider, one=DOWN, two=TAKES)
    providers = process(one={}, two={})
    people = [f"+49151{number}" for number in range(300)]
    while counted("notifier_breaker_state", provider="one") != BreakerState.OPEN:
        for each in people[:50]:
            await providers.send(text(to=each))
    answers(provider, one=TAKES)
    clock.advance(RESTS["unavailable"])
    while counted("notifier_breaker_state", provider="one") != BreakerState.CLOSED:
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


async def test_every_account_is_asked_for_what_may_have_been_taken(
    process: Process, provider: StandIn, clock: ManualClock
) -> None:
    # Given a text that the second account has
    listed = {"messages": [created(date_created="Thu, 24 Aug 2023 05:01:45 +0000")]}
    answers(provider, one=reply(200, {"messages": []}), two=reply(200, listed))
    providers = process(one={}, two={})

    assert isinstance(providers, StatusQueryable)
    assert await providers.find(text(), since=0) == Receipt("two", "SM" + "1" * 32)

    # When that one doesn't say, then nobody may conclude that nobody has it
    answers(provider, two=DOWN)
    with pytest.raises(Unavailable):
        await providers.find(text(), since=0)
    answers(provider, two=reply(200, {"messages": []}))
    assert await providers.find(text(), since=0) is None


async def test_a_provider_at_rest_is_not_even_asked(process: Process, provider: StandIn) -> None:
    answers(provider, main=reply(429, refusal(20429, 429), {"Retry-After": "60"}))
    providers = process(main={})
    await outcome(providers)

    with pytest.raises(Unavailable):
        await providers.find(text(), since=0)

    assert requests(provider) == {"main": 1}


async def test_a_slow_provider_is_not_taken_for_one_that_fails(process: Process, provider: StandIn) -> None:
    # Given a provider that takes its time, and two connections to it
    async def slowly(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.3)
        return await TAKES(request)

    answers(provider, main=slowly)
    providers = process(main={"connections": 2})

    # When many texts come at once
    with leased(20):
        sent = await asyncio.gather(*(outcome(providers) for _ in range(50)))
        late = await outcome(providers)

    # Then two at a time go out, and the others come back later, surely not sent
    held = [each for each in sent if isinstance(each, SendError)]
    assert provider.most_under_way == 2
    assert 0 < len(held) < 50
    assert requests(provider) == {"main": 50 - len(held)}
    assert {(each.code, each.kind, each.retry_class) for each in held} == {("busy", "unavailable", DEFERRED)}
    assert counted("notifier_breaker_state", provider="main") == BreakerState.CLOSED

    # And so does one of the same lease whose turn comes only then, though both connections are free
    assert isinstance(late, SendError)
    assert (late.code, late.retry_class) == ("busy", DEFERRED)


async def test_a_campaign_leaves_connections_to_the_others(process: Process, provider: StandIn) -> None:
    # Given a campaign that takes all it can get, of a provider that is slow to answer
    gate, full = asyncio.Event(), asyncio.Event()

    async def when_told(request: web.Request) -> web.StreamResponse:
        if provider.under_way == 4:
            full.set()
        await gate.wait()
        return await TAKES(request)

    answers(provider, main=when_told)
    providers = process(main={"connections": 4})
    campaign = [asyncio.create_task(outcome(providers, urgency="low")) for _ in range(20)]
    others = [asyncio.create_task(outcome(providers, urgency="normal")) for _ in range(2)]

    # When others come, then they don't wait for it
    async with asyncio.timeout(30):
        await full.wait()
    gate.set()
    assert all(isinstance(each, Receipt) for each in await asyncio.gather(*others))
    await asyncio.gather(*campaign)


@pytest.mark.parametrize("table", [push_channel.CODES, sms.CODES, email.CODES], ids=["push", "sms", "email"])
def test_every_code_says_something_of_its_provider_or_of_its_message(table: Codes) -> None:
    for code in table.codes:
        error = table.classify(code)
        says = what_it_says(error)
        match error.about:
            case "address" | "message":
                assert says == "good"
            case "ourselves":
                assert says == "neither"
            case "provider" | "account":
                assert says == ("neither" if error.kind == "throttled" else error.kind)


async def test_one_device_over_its_quota_keeps_no_other_waiting(sandbox: Sandbox) -> None:
    # Given a device that has had too many pushes
    sandbox.faults.add(FaultRule(channel="push", action="fail", code="QUOTA_EXCEEDED", match=Match(to="over")))
    pushes = fcm_by(sandbox)

    # When it is sent one more, and another one its first
    with pytest.raises(Throttled) as over:
        await pushes.send(push(device=Device(value="over")))
    other = await pushes.send(push(device=Device(value="other"), reference="2" * 32))

    # Then only the one waits
    assert (over.value.retry_after, other.provider) == (60, "main")
    await pushes.close()


async def test_a_projects_quota_keeps_all_its_pushes_waiting(sandbox: Sandbox) -> None:
    # Given a project that has used up its quota: google.rpc's status, and no code of FCM's own
    sandbox.faults.add(FaultRule(channel="push", action="fail", code="RESOURCE_EXHAUSTED", match=Match(to="one")))
    pushes = fcm_by(sandbox)

    # When one push hears of it, then the next one is not even tried
    with pytest.raises(Throttled) as over:
        await pushes.send(push(device=Device(value="one")))
    with pytest.raises(Unavailable) as held:
        await pushes.send(push(device=Device(value="other"), reference="2" * 32))
    assert (over.value.code, held.value.code) == ("RESOURCE_EXHAUSTED", "resting")
    await pushes.close()


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as started:
        yield started


def fcm_by(sandbox: Sandbox) -> Providers[PushMessage]:
    """The sandbox's FCM as the one provider of push."""
    clock = SystemClock()
    transport = FcmTransport(service_account(sandbox), clock=clock, base_url=sandbox.http_url)
    account = FcmAccount(name="main", service_account="")
    return Providers([Provider(account, transport, Terms(channel=PUSH, codes=push_channel.CODES), None, clock)], None)
