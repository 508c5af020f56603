"""Access tokens: fetched once, ahead of need, and never in the way of a push."""

import asyncio
import json
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from notifier.channels.push.tokens import AHEAD, PAUSE, read_certificate
from notifier.channels.push.transport import FcmTransport
from notifier.domain.clock import HOUR, SECOND, ManualClock
from notifier.domain.errors import ConfigurationError, Misconfigured, SendError, Unavailable
from tests.channels import canary
from tests.channels.provider import Handler, Provider, drop, reply, reply_raw
from tests.channels.push.samples import SEND, TOKEN_ENDPOINT, grant, push

_asked: set[str] = set()


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.getaddrinfo":
        _asked.add(str(arguments[0]))
    elif event == "socket.connect" and isinstance(arguments[1], tuple):
        _asked.add(str(arguments[1][0]))


sys.addaudithook(_watch)


def bearers(provider: Provider) -> list[str]:
    return [seen.headers["Authorization"] for seen in provider.requests(SEND)]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  what is waited for happens in another thread
            await asyncio.sleep(0.005)


def gate() -> tuple[asyncio.Event, Callable[[web.Request], Awaitable[web.StreamResponse]]]:
    """An event, and an answer that comes when it is set: a second token."""
    opened = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        await opened.wait()
        return await reply(200, grant(2, 7200))(request)

    return opened, answer


async def test_two_hundred_first_pushes_ask_for_one_token(fcm: FcmTransport, provider: Provider) -> None:
    # When
    await asyncio.gather(*(fcm.send(push()) for _ in range(200)))

    # Then
    assert len(provider.requests(TOKEN_ENDPOINT)) == 1
    assert set(bearers(provider)) == {f"Bearer {canary.SECRET}-1"}
    assert provider.requests(TOKEN_ENDPOINT)[0].form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"


async def test_a_token_is_replaced_ahead_of_its_end_while_pushes_go_on_with_it(
    fcm: FcmTransport, provider: Provider, clock: ManualClock
) -> None:
    # Given a token that is good for less than `AHEAD`, and an endpoint that takes its time
    await fcm.send(push())
    opened, answer = gate()
    provider.answers(TOKEN_ENDPOINT, answer)
    clock.advance(HOUR - AHEAD + SECOND)

    # When
    await asyncio.gather(*(fcm.send(push()) for _ in range(50)))

    # Then nobody waited, and one request is under way
    assert set(bearers(provider)) == {f"Bearer {canary.SECRET}-1"}
    await until(lambda: len(provider.requests(TOKEN_ENDPOINT)) == 2)

    # When it is answered
    opened.set()

    async def renewed() -> bool:
        await fcm.send(push())
        return bearers(provider)[-1] == f"Bearer {canary.SECRET}-2"

    async with asyncio.timeout(5):
        while not await renewed():
            pass

    # Then pushes carry the new one, and nobody asked again
    assert len(provider.requests(TOKEN_ENDPOINT)) == 2


async def test_a_failed_renewal_leaves_the_old_token_in_use_and_the_endpoint_alone(
    fcm: FcmTransport, provider: Provider, clock: ManualClock
) -> None:
    # Given
    await fcm.send(push())
    provider.answers(TOKEN_ENDPOINT, reply(400, {"error": "invalid_grant"}))
    clock.advance(HOUR - AHEAD + SECOND)

    # When the renewal fails
    await fcm.send(push())
    await until(lambda: len(provider.requests(TOKEN_ENDPOINT)) == 2)
    for _ in range(20):
        await fcm.send(push())

    # Then
    assert len(provider.requests(TOKEN_ENDPOINT)) == 2
    assert set(bearers(provider)) == {f"Bearer {canary.SECRET}-1"}

    # When the pause is over
    provider.answers(TOKEN_ENDPOINT, reply(200, grant(2)))

    # Then the next push asks again
    async with asyncio.timeout(10):
        while len(provider.requests(TOKEN_ENDPOINT)) < 3:
            clock.advance(PAUSE)  # which begins when the refusal has been read
            await fcm.send(push())


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (reply(400, {"error": "invalid_grant", "error_description": canary.MAILBOX}), Misconfigured, "token_refused"),
        (reply(401, {"error": "invalid_client"}), Misconfigured, "token_refused"),
        (reply(200, {"token_type": "Bearer"}), Misconfigured, "token_refused"),
        (reply(200, {"access_token": "two\nlines", "expires_in": 60}), Unavailable, "token_unavailable"),
        (reply(200, {"access_token": "t", "expires_in": "soon"}), Unavailable, "token_unavailable"),
        (reply(200, {"access_token": "t", "expires_in": 10**30}), Unavailable, "token_unavailable"),
        (reply(200, {"access_token": "t", "expires_in": -60}), Unavailable, "token_unavailable"),
        (reply(200, ["t"]), Unavailable, "token_unavailable"),
        (reply_raw(200, b"<html>"), Unavailable, "token_unavailable"),
        (drop, Unavailable, "token_unavailable"),
    ],
)
async def test_without_a_token_nothing_is_sent(
    fcm: FcmTransport,
    provider: Provider,
    caplog: pytest.LogCaptureFixture,
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]],
    kind: type[SendError],
    code: str,
) -> None:
    # Given
    provider.answers(TOKEN_ENDPOINT, answer)

    # When
    with pytest.raises(kind) as failed:
        await fcm.send(push())

    # Then
    assert failed.value.code == code
    assert provider.requests(SEND) == []
    assert canary.shown(failed.value, caplog) == []


async def test_an_endpoint_that_is_down_is_asked_again_after_the_pause(
    fcm: FcmTransport, provider: Provider, clock: ManualClock
) -> None:
    # Given
    provider.answers(TOKEN_ENDPOINT, reply(400, {"error": "invalid_grant"}))
    for _ in range(3):
        with pytest.raises(Misconfigured):
            await fcm.send(push())
    assert len(provider.requests(TOKEN_ENDPOINT)) == 1

    # When
    provider.answers(TOKEN_ENDPOINT, reply(200, grant(1)))
    clock.advance(PAUSE)

    # Then
    await fcm.send(push())


async def test_a_token_without_a_lifetime_is_good_for_an_hour(
    fcm: FcmTransport, provider: Provider, clock: ManualClock
) -> None:
    # Given
    provider.answers(TOKEN_ENDPOINT, reply(200, grant(1, None)), reply(200, grant(2)))
    await fcm.send(push())

    # When
    clock.advance(HOUR + SECOND)
    await fcm.send(push())

    # Then
    assert bearers(provider) == [f"Bearer {canary.SECRET}-1", f"Bearer {canary.SECRET}-2"]


async def test_a_sender_that_gives_up_does_not_stop_the_request_for_a_token(
    fcm: FcmTransport, provider: Provider
) -> None:
    # Given two that wait for the first token
    opened, answer = gate()
    provider.answers(TOKEN_ENDPOINT, answer)
    impatient, patient = asyncio.create_task(fcm.send(push())), asyncio.create_task(fcm.send(push()))
    await until(lambda: len(provider.requests(TOKEN_ENDPOINT)) == 1)

    # When
    impatient.cancel()
    opened.set()

    # Then
    assert (await patient).reference == "projects/p/messages/1"
    assert impatient.cancelled()


async def test_nothing_but_the_services_own_addresses_is_ever_asked(fcm: FcmTransport, clock: ManualClock) -> None:
    # Given
    _asked.clear()

    # When
    await fcm.send(push())
    clock.advance(HOUR + SECOND)
    await fcm.send(push())

    # Then no thread of google-auth asks where the account may be used from
    assert _asked == {"127.0.0.1"}
    assert not [thread.name for thread in threading.enumerate() if "Boundary" in type(thread).__name__]


@pytest.mark.parametrize("fields", [{}, {"type": "service_account"}, {"type": "service_account", "private_key": None}])
async def test_a_service_account_that_is_none_is_refused_unseen(fields: dict[str, Any], clock: ManualClock) -> None:
    # Given
    account = {"client_email": canary.SECRET, **fields}

    # When / Then
    with pytest.raises(ConfigurationError) as refused:
        FcmTransport(account, clock=clock)
    assert canary.SECRET not in str(refused.value)
    assert refused.value.__context__ is None


async def test_a_service_accounts_file_that_is_not_there_is_named(tmp_path: Path, clock: ManualClock) -> None:
    with pytest.raises(ConfigurationError, match=r"account\.json"):
        FcmTransport(tmp_path / "account.json", clock=clock)


@pytest.mark.parametrize("body", [{"error": {"status": "UNAUTHENTICATED"}}, {}])
async def test_a_token_that_is_refused_in_mid_run_is_replaced_once_and_the_pushes_go_on(
    fcm: FcmTransport, provider: Provider, body: dict[str, Any]
) -> None:
    # Given a token that FCM accepts no more
    await fcm.send(push())
    provider.answers(TOKEN_ENDPOINT, reply(200, grant(2)))
    provider.answers(SEND, accepting(f"Bearer {canary.SECRET}-2", reply(401, body)))

    # When a burst of pushes meets that
    receipts = await asyncio.gather(*(fcm.send(push()) for _ in range(20)))

    # Then one new token is fetched for all of them, and each is taken at once
    assert len(receipts) == 20
    assert len(provider.requests(TOKEN_ENDPOINT)) == 2


async def test_a_new_token_that_is_refused_too_is_not_tried_a_third_time(fcm: FcmTransport, provider: Provider) -> None:
    provider.answers(TOKEN_ENDPOINT, reply(200, grant(1)), reply(200, grant(2)))
    provider.answers(SEND, reply(401, {"error": {"status": "UNAUTHENTICATED"}}))

    with pytest.raises(Misconfigured):
        await fcm.send(push())
    assert bearers(provider) == [f"Bearer {canary.SECRET}-1", f"Bearer {canary.SECRET}-2"]


async def test_a_401_about_apples_key_fetches_no_token(fcm: FcmTransport, provider: Provider) -> None:
    details = [{"errorCode": "THIRD_PARTY_AUTH_ERROR"}]
    provider.answers(SEND, reply(401, {"error": {"status": "UNAUTHENTICATED", "details": details}}))

    with pytest.raises(Misconfigured):
        await fcm.send(push())
    assert len(provider.requests(TOKEN_ENDPOINT)) == len(provider.requests(SEND)) == 1


def accepting(bearer: str, otherwise: Handler) -> Handler:
    """Takes what comes with that token."""

    async def answer(request: web.Request) -> web.StreamResponse:
        taken = reply(200, {"name": "projects/p/messages/2"})
        return await (taken if request.headers["Authorization"] == bearer else otherwise)(request)

    return answer


def test_a_service_account_that_was_saved_on_windows_is_read(tmp_path: Path, service_account: dict[str, str]) -> None:
    file = tmp_path / "key.json"
    file.write_text(json.dumps(service_account), "utf-8-sig")

    assert read_certificate(file).project_id == "p"
