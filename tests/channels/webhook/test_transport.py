"""Webhooks over a real server: what arrives and verifies, what each answer leads to, and where none ever goes."""

import asyncio
import json
import ssl
import traceback
from collections.abc import Sequence
from typing import Any

import pytest
from aiohttp import web
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from notifier.channels.webhook.codes import CODES
from notifier.channels.webhook.provider import WebhookAccount
from notifier.channels.webhook.transport import PER_HOST
from notifier.domain.clock import SECOND, ManualClock
from notifier.domain.errors import OutcomeUnknown, Refused, SendError, Unavailable
from notifier.domain.messages import Receipt
from notifier.pipeline.claim_batcher import FENCE, LEASE
from notifier.providers import guarded_client
from notifier.providers.breaker import BreakerState
from notifier.providers.codes import DEFERRED
from notifier.providers.destinations import FAULTS
from notifier.providers.fence import BEGIN_WITHIN
from notifier.providers.http import TIMEOUTS
from notifier.providers.pool import Provider as Pooled
from notifier.providers.pool import Providers, Terms, is_general, what_it_says
from tests.channels import canary
from tests.channels.provider import Provider, drop, quick, reply, silence
from tests.channels.test_destinations import HOSTILE, LEADING_ASTRAY
from tests.channels.test_guarded_client import Names
from tests.channels.webhook.conftest import Connect
from tests.channels.webhook.samples import OLD_SECRET, REFERENCE, SECRET, SECRETS, WEBHOOK, endpoint, webhook


def to(provider: Provider, path: str = "/hook", **members: Any) -> Any:
    return webhook(endpoint(provider.url + path, **members))


async def failure(sent: Any) -> SendError:
    with pytest.raises(SendError) as failed:
        await sent
    return failed.value


async def test_a_receiver_verifies_what_arrives_with_the_specifications_own_library(
    provider: Provider, connect: Connect
) -> None:
    # Given
    provider.answers("/hook", reply(204))

    # When
    receipt = await connect().send(to(provider))

    # Then
    assert receipt == Receipt("webhook", REFERENCE, delivered=True)
    (seen,) = provider.seen
    body = Webhook(SECRET).verify(seen.body, dict(seen.headers))
    assert body["id"] == seen.headers["webhook-id"] == REFERENCE
    assert seen.headers["Content-Type"] == "application/json"


async def test_every_try_has_the_same_id_and_body_and_a_signature_of_its_own(
    provider: Provider, connect: Connect, clock: ManualClock
) -> None:
    # Given an endpoint that fails once
    provider.answers("/hook", reply(500), reply(200))
    transport, message = connect(), to(provider)

    # When it is tried again later
    assert (await failure(transport.send(message))).code == "500"
    clock.advance(60 * SECOND)
    await transport.send(message)

    # Then
    first, second = provider.seen
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    assert int(second.headers["webhook-timestamp"]) == int(first.headers["webhook-timestamp"]) + 60
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]
    Webhook(SECRET).verify(second.body, dict(second.headers))


async def test_while_a_secret_is_replaced_receivers_with_either_take_it(provider: Provider, connect: Connect) -> None:
    provider.answers("/hook", reply(200))

    await connect().send(to(provider, secret=SECRET, previous_secret=OLD_SECRET))
    await connect().send(to(provider, secret=SECRET))

    rotating, after = provider.seen
    for secret in (SECRET, OLD_SECRET):
        Webhook(secret).verify(rotating.body, dict(rotating.headers))
    with pytest.raises(WebhookVerificationError):
        Webhook(OLD_SECRET).verify(after.body, dict(after.headers))


@pytest.mark.parametrize("form", ["slack", "teams", "pagerduty"])
async def test_other_forms_have_the_id_and_no_signature(provider: Provider, connect: Connect, form: str) -> None:
    provider.answers("/hook", reply(202))

    assert (await connect().send(to(provider, format=form))).delivered

    (seen,) = provider.seen
    assert seen.headers["webhook-id"] == REFERENCE
    assert "webhook-signature" not in seen.headers
    assert json.loads(seen.body)


@pytest.mark.parametrize(
    ("status", "kind", "retry", "wait"),
    [
        (400, "refused", "refused", None),
        (401, "unavailable", "endpoint", None),
        (404, "unavailable", "endpoint", None),
        (408, "unavailable", "endpoint", None),
        (410, "address_gone", "address_gone", None),
        (422, "refused", "refused", None),
        (429, "throttled", "throttled", 60),
        (500, "unavailable", "unavailable", None),
        (503, "throttled", "throttled", None),
        (599, "unavailable", "unavailable", None),
    ],
)
async def test_an_answer_leads_where_its_status_says(
    provider: Provider, connect: Connect, status: int, kind: str, retry: str, wait: float | None
) -> None:
    provider.answers("/hook", reply(status))

    error = await failure(connect().send(to(provider)))

    assert (error.kind, error.code, error.retry_class, error.retry_after) == (kind, str(status), retry, wait)
    assert error.about == "address"


@pytest.mark.parametrize("status", [404, 429, 503])
async def test_it_is_not_sent_again_before_the_endpoint_asks_for_it(
    provider: Provider, connect: Connect, status: int
) -> None:
    provider.answers("/hook", reply(status, None, {"Retry-After": "1800"}))
    assert (await failure(connect().send(to(provider)))).retry_after == 1800


def test_nothing_that_an_endpoint_does_says_anything_of_another() -> None:
    errors = [CODES.classify(code) for code in CODES.codes if code not in ("busy", "paced", "resting")]

    assert {error.about for error in errors} <= {"address", "message"}
    assert not any(is_general(error) for error in errors)
    assert {what_it_says(error) for error in errors} == {"good"}


def test_every_fault_of_a_url_has_a_meaning() -> None:
    assert CODES.codes.keys() >= FAULTS.keys() | {"redirect", "lookup_failed", "lookup_timeout"}
    assert all(CODES.codes[fault].kind == "refused" for fault in FAULTS)


async def test_however_often_an_endpoint_fails_no_breaker_opens(
    provider: Provider, connect: Connect, clock: ManualClock
) -> None:
    # Given an endpoint that fails, resets and redirects, and one that is well
    provider.answers("/hook", reply(500), drop, reply(302, None, {"Location": "/ok"}), reply(429), reply(500))
    provider.answers("/ok", reply(200))
    account = WebhookAccount(name="webhook", connections=10)
    pooled = Pooled(account, connect(), Terms(channel=WEBHOOK, codes=CODES), None, clock)
    providers = Providers([pooled], None)

    # When
    for _ in range(50):
        assert await failure(providers.send(to(provider)))

    # Then the other one still gets its own
    assert (await providers.send(to(provider, "/ok"))).delivered
    assert pooled._breaker.state is BreakerState.CLOSED


@quick
async def test_a_slow_host_holds_no_more_than_its_share(provider: Provider, connect: Connect) -> None:
    # Given a host that answers nothing, by two names of which only one is slow
    provider.answers("/hook", silence)
    provider.answers("/ok", reply(200))
    transport = connect(resolve=Names(["127.0.0.1"]))
    port = provider.url.rpartition(":")[2]
    slow = webhook(endpoint(f"http://a.example:{port}/hook"))
    quick = webhook(endpoint(f"http://b.example:{port}/ok"))

    # When more are sent to it than it gets at once
    sent = [asyncio.create_task(transport.send(slow)) for _ in range(PER_HOST * 3)]
    turned_away = [await failure(each) for each in sent[PER_HOST:]]

    # Then these come back later, no try is counted, and others are served meanwhile
    assert {(error.code, error.retry_class, error.about) for error in turned_away} == {
        ("host_busy", DEFERRED, "address")
    }
    waits = [error.retry_after or 0 for error in turned_away]
    assert waits == sorted(waits)
    assert waits[0] > 0
    assert (await transport.send(quick)).delivered
    assert len(provider.requests("/hook")) == PER_HOST

    # And once the slow ones are over there is room again
    assert {type(await failure(each)) for each in sent[:PER_HOST]} == {OutcomeUnknown}
    assert (await transport.send(webhook(endpoint(f"http://a.example:{port}/ok")))).delivered


def test_a_request_is_over_while_its_lease_lasts() -> None:
    assert TIMEOUTS.total == 10
    assert BEGIN_WITHIN + TIMEOUTS.total <= (LEASE - FENCE) / SECOND - 1


@pytest.mark.parametrize("answer", [drop, silence])
@quick
async def test_without_an_answer_it_is_unknown_whether_the_endpoint_has_it(
    provider: Provider, connect: Connect, answer: Any
) -> None:
    provider.answers("/hook", answer)
    error = await failure(connect().send(to(provider)))
    assert (type(error), error.about) == (OutcomeUnknown, "address")


async def test_without_a_connection_nothing_was_sent(connect: Connect, unused_tcp_port: int) -> None:
    error = await failure(connect().send(webhook(endpoint(f"http://127.0.0.1:{unused_tcp_port}/"))))
    assert (type(error), error.code, error.about) == (Unavailable, "ConnectionRefusedError", "address")


async def test_half_a_letter_is_refused_and_nobody_asked(provider: Provider, connect: Connect) -> None:
    error = await failure(connect().send(webhook(endpoint(provider.url), subject="\ud800")))
    assert (type(error), error.code) == (Refused, "not_encodable")
    assert provider.seen == []


# Where none ever goes


@pytest.fixture
async def inner(unused_tcp_port_factory: Any) -> Any:
    """Somebody who listens on this machine and must never be asked; gives the count of connections."""
    asked: list[object] = []
    server = await asyncio.start_server(lambda _reader, writer: asked.append(writer), "127.0.0.1")
    yield asked
    server.close()


@pytest.mark.parametrize(("url", "fault"), HOSTILE)
async def test_a_hostile_url_that_is_in_the_store_leads_nowhere(connect: Connect, url: str, fault: str) -> None:
    # Given an endpoint that passed no edge, and whose name would have a good address
    names = Names(["1.1.1.1"])
    error = await failure(connect(permitted=(), resolve=names).send(webhook(endpoint(url))))

    assert (type(error), error.code, error.about, error.retry) == (Refused, fault, "address", False)
    assert names.asked == []


@pytest.mark.parametrize(("addresses", "fault"), [each for each in LEADING_ASTRAY if each[0]])
async def test_a_name_that_leads_astray_leads_nowhere(
    connect: Connect, inner: list[object], addresses: Sequence[str], fault: str
) -> None:
    transport = connect(permitted=(), resolve=Names(addresses))
    error = await failure(transport.send(webhook(endpoint("https://hooks.example/"))))
    assert (type(error), error.code, error.about) == (Refused, fault, "address")
    assert inner == []


async def test_a_name_that_answers_twice_differently_is_asked_once_a_try(provider: Provider, connect: Connect) -> None:
    # Given a name that is good when it is checked, and leads inside when it is asked again
    provider.answers("/hook", reply(200))
    names = Names(["127.0.0.1"], ["10.0.0.1"])
    transport = connect(resolve=names)
    message = webhook(endpoint(f"http://rebind.example:{provider.url.rpartition(':')[2]}/hook"))

    # When / Then
    assert (await transport.send(message)).delivered
    assert names.asked == ["rebind.example"]
    assert (await failure(transport.send(message))).code == "private"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["/inner", "http://169.254.169.254/", "https://hooks.example/"])
async def test_a_redirect_is_not_followed(provider: Provider, connect: Connect, status: int, location: str) -> None:
    provider.answers("/hook", reply(status, None, {"Location": location}))
    provider.answers("/inner", reply(200))

    error = await failure(connect().send(to(provider)))

    assert (type(error), error.code, error.about) == (Refused, "redirect", "address")
    assert [seen.path for seen in provider.seen] == ["/hook"]


async def test_a_certificate_of_another_name_gets_nothing(
    connect: Connect, server_tls: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    # Given a server that has a certificate for provider.example
    seen: list[str] = []

    async def take(request: web.Request) -> web.Response:
        seen.append(request.headers["Host"])
        return web.Response()

    application = web.Application()
    application.router.add_post("/", take)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server_tls)
    await site.start()
    port = runner.addresses[0][1]
    transport = connect(resolve=Names(["127.0.0.1"]), tls=trusting)

    # When / Then
    error = await failure(transport.send(webhook(endpoint(f"https://other.example:{port}/"))))
    assert (type(error), error.code) == (Unavailable, "SSLCertVerificationError")
    assert (await transport.send(webhook(endpoint(f"https://provider.example:{port}/")))).delivered
    assert seen == [f"provider.example:{port}"]
    await runner.cleanup()


@pytest.mark.parametrize("answer", [reply(200), reply(401), reply(410), reply(302), drop])
async def test_no_secret_is_in_any_log_or_error(
    provider: Provider, connect: Connect, answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    provider.answers("/canary-path", answer)
    transport = connect()
    message = to(provider, "/canary-path", previous_secret=OLD_SECRET)

    (outcome,) = await asyncio.gather(transport.send(message), return_exceptions=True)

    shown = f"{message!r}{message.endpoint!r}{transport!r}{vars(transport)!r}{outcome!r}"
    if isinstance(outcome, BaseException):
        assert canary.shown(outcome, caplog) == []
        shown += "".join(traceback.format_exception(outcome)) + repr(vars(outcome))
    # The stand-in tells of its requests by itself
    shown += "".join(each.getMessage() for each in caplog.records if each.name != "aiohttp.access")
    assert not [secret for secret in SECRETS if secret in shown]


def test_names_are_looked_up_by_more_threads_than_one_host_can_hold() -> None:
    assert guarded_client.LOOKUPS > PER_HOST
