"""One POST, and what its failures mean."""

import asyncio
import socket
from collections.abc import AsyncIterator
from email.utils import formatdate

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from notifier.channels.http import Timeouts, base_address, open_session, post, retry_after
from notifier.clock import SECOND
from notifier.errors import ConfigurationError, OutcomeUnknown, SendError, Unavailable
from tests.channels.provider import Handler, Provider, drop, half, reply, silence

QUICK = Timeouts(connect=0.2, total=0.4)
NOW = 1_790_000_000_000


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session(1, {"X-Ours": "yes"}, QUICK) as opened:
        yield opened


async def test_an_answer_comes_back_whole(provider: Provider, session: aiohttp.ClientSession) -> None:
    # Given
    provider.answers("/send", reply(418, {"code": 1}, {"Retry-After": "7"}))

    # When
    answer = await post(session, "p", URL(f"{provider.url}/send"), b"body", {"X-More": "too"})

    # Then
    assert (answer.status, answer.body, answer.headers["retry-after"]) == (418, b'{"code": 1}', "7")
    assert provider.seen[0].body == "body"
    assert (provider.seen[0].headers["X-Ours"], provider.seen[0].headers["X-More"]) == ("yes", "too")


async def test_a_redirect_is_an_answer_like_others(provider: Provider, session: aiohttp.ClientSession) -> None:
    provider.answers("/send", reply(307, None, {"Location": f"{provider.url}/elsewhere"}))
    assert (await post(session, "p", URL(f"{provider.url}/send"), b"")).status == 307


async def test_a_refused_connection_sent_nothing(session: aiohttp.ClientSession) -> None:
    # Given a port where nobody listens
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]

        # When / Then
        with pytest.raises(Unavailable) as failed:
            await post(session, "p", URL(f"http://127.0.0.1:{port}/"), b"")
    assert failed.value.code == "ClientConnectorError"


async def test_no_place_in_the_pool_sent_nothing(provider: Provider, session: aiohttp.ClientSession) -> None:
    # Given a pool of one connection, and that one waits for its answer
    provider.answers("/send", silence)
    first = asyncio.create_task(post(session, "p", URL(f"{provider.url}/send"), b"first"))
    await asyncio.sleep(0)

    # When
    with pytest.raises(Unavailable) as failed:
        await post(session, "p", URL(f"{provider.url}/send"), b"second")

    # Then
    assert failed.value.code == "ConnectionTimeoutError"
    with pytest.raises(OutcomeUnknown):
        await first
    assert [seen.body for seen in provider.seen] == ["first"]


@pytest.mark.parametrize("answer", [drop, half, silence])
async def test_what_is_lost_after_the_request_was_sent_is_unknown(
    provider: Provider, session: aiohttp.ClientSession, answer: Handler
) -> None:
    # Given
    provider.answers("/send", answer)

    # When
    with pytest.raises(OutcomeUnknown):
        await post(session, "p", URL(f"{provider.url}/send"), b"once")

    # Then it went out once
    assert [seen.body for seen in provider.seen] == ["once"]


async def test_a_post_on_a_pooled_connection_that_breaks_is_unknown_and_not_repeated(
    provider: Provider, session: aiohttp.ClientSession
) -> None:
    # Given a connection that has served before
    provider.answers("/send", reply(200), drop, reply(200))
    await post(session, "p", URL(f"{provider.url}/send"), b"first")

    # When it breaks at the second request
    with pytest.raises(OutcomeUnknown) as failed:
        await post(session, "p", URL(f"{provider.url}/send"), b"second")

    # Then nobody asked again
    assert failed.value.code in ("ServerDisconnectedError", "ClientOSError")
    assert [seen.body for seen in provider.seen] == ["first", "second"]


async def test_an_answer_that_is_not_http_is_unknown(session: aiohttp.ClientSession) -> None:
    # Given
    async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(babble, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]

        # When / Then
        with pytest.raises(OutcomeUnknown):
            await post(session, "p", URL(f"http://127.0.0.1:{port}/"), b"")


async def test_a_failure_carries_nothing_of_aiohttp(provider: Provider, session: aiohttp.ClientSession) -> None:
    # Given
    provider.answers("/send", drop)

    # When
    with pytest.raises(SendError) as failed:
        await post(session, "p", URL(f"{provider.url}/send"), b"", {"Authorization": "Bearer secret"})

    # Then
    assert failed.value.__cause__ is None
    assert failed.value.__context__ is None


async def test_the_connect_time_out_must_be_the_shorter_one() -> None:
    with pytest.raises(ConfigurationError):
        open_session(1, {}, Timeouts(connect=2.0, total=2.0))


@pytest.mark.parametrize("url", ["https://host", "http://127.0.0.1:80/", "https://host.example/base/"])
def test_an_address_is_taken_without_its_last_slash(url: str) -> None:
    assert base_address(url) == url.rstrip("/")


@pytest.mark.parametrize("url", ["", "host", "ftp://host", "https://", "https:///path", "http://user:word@host/"])
def test_what_is_no_providers_address_is_refused_unseen(url: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        base_address(url)
    assert "word" not in str(refused.value)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 5 ", 5.0),
        (formatdate(NOW / SECOND + 90, usegmt=True), 90.0),
        (formatdate(NOW / SECOND - 90, usegmt=True), 0.0),
        (formatdate(NOW / SECOND + 30), 30.0),  # ends in -0000: a time of no zone is UTC
        ("", None),
        ("-3", None),
        ("1.5", None),
        ("soon", None),
        ("٣", None),
        ("9" * 5000, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    assert retry_after({"Retry-After": value}, NOW) == seconds


@given(st.text())
def test_no_retry_after_raises(value: str) -> None:
    told = retry_after({"Retry-After": value}, NOW)
    assert told is None or told >= 0


def test_without_retry_after_nothing_is_asked() -> None:
    assert retry_after({}, NOW) is None
