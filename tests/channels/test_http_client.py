"""Requests to one server: what comes back, what the failures mean, and which connections are used again.

The servers are aiohttp's and uvicorn's, and for what no server does, bytes on a socket.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
import uvicorn
from aiohttp import web

from notifier.domain.errors import ConfigurationError, OutcomeUnknown, SendError, Unavailable
from notifier.providers import http_client
from notifier.providers.codes import DEFERRED
from notifier.providers.http import HttpTimeouts
from notifier.providers.http_client import HttpClient
from notifier.providers.http_connection import MAX_ANSWER
from tests.channels.provider import Handler, Provider, drop, half, hold, quick, reply, silence

Connect = Callable[..., HttpClient]
Serve = Callable[..., AbstractAsyncContextManager[HttpClient]]


@pytest.fixture
async def connect(timeouts: HttpTimeouts) -> AsyncIterator[Connect]:
    """Opens clients, and closes them at the end."""
    opened: list[HttpClient] = []

    def client(url: str, **options: Any) -> HttpClient:
        opened.append(HttpClient("p", url, {"X-Ours": "yes"}, **{"connections": 1, "timeouts": timeouts, **options}))
        return opened[-1]

    yield client
    for each in opened:
        await each.close()


@pytest.fixture
async def client(provider: Provider, connect: Connect) -> HttpClient:
    return connect(provider.url)


@pytest.fixture
def serve(connect: Connect) -> Serve:
    """Serves connections by a script, and gives a client to them."""

    @asynccontextmanager
    async def started(
        script: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]], **options: Any
    ) -> AsyncIterator[HttpClient]:
        conversations: set[asyncio.Task[None]] = set()

        async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await script(reader, writer)
            except (asyncio.IncompleteReadError, ConnectionError):
                pass
            finally:
                writer.close()

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            conversations.add(asyncio.create_task(converse(reader, writer)))

        server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=options.pop("ssl", None))
        scheme = options.pop("scheme", "http")
        client = connect(f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}", **options)
        try:
            yield client
        finally:
            await client.close()
            server.close()
            for conversation in conversations:
                conversation.cancel()
            await asyncio.gather(*conversations, return_exceptions=True)

    return started


def saying(*answers: bytes) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """Each request of a connection gets the next answer; after the last one it is closed."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]
            await reader.readexactly(int(length or 0))
            writer.write(answer)

    return script


async def test_an_answer_comes_back_whole(provider: Provider, client: HttpClient) -> None:
    # Given
    provider.answers("/send", reply(418, {"code": 1}, {"Retry-After": "7"}))

    # When
    answer = await client.post(b"/send", b"body", b"X-More: too\r\n")

    # Then
    assert (answer.status, answer.body, answer.headers[b"retry-after"]) == (418, b'{"code": 1}', b"7")
    assert provider.seen[0].body == "body"
    assert (provider.seen[0].headers["X-Ours"], provider.seen[0].headers["X-More"]) == ("yes", "too")
    assert provider.seen[0].headers["Host"] == provider.url.removeprefix("http://")


async def test_a_path_in_the_address_stays_in_front(provider: Provider, connect: Connect) -> None:
    provider.answers("/base/send", reply(200))
    assert (await connect(f"{provider.url}/base/").post(b"/send", b"")).status == 200


async def test_a_redirect_is_an_answer_like_others(provider: Provider, client: HttpClient) -> None:
    provider.answers("/send", reply(307, None, {"Location": f"{provider.url}/elsewhere"}))
    assert (await client.post(b"/send", b"")).status == 307


async def test_uvicorn_takes_requests_and_is_understood_in_chunks(connect: Connect) -> None:
    # Given a server that nobody here wrote, whose answers come in chunks, on connections that stay open
    connections = set()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        connections.add(scope["client"])
        body = (await receive())["body"]
        await send({"type": "http.response.start", "status": 201, "headers": [(b"x-one", b"1")]})
        for part in (body[:3], body[3:]):
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(application, lifespan="off", log_config=None))
        serving = asyncio.create_task(server.serve([listening]))
        client = connect(f"http://127.0.0.1:{listening.getsockname()[1]}", connections=5)

        # When
        answers = await asyncio.gather(*(client.post(b"/", b"%08d" % number) for number in range(100)))
        await client.close()
        server.should_exit = True
        await serving

    # Then each has its own answer
    assert [answer.body for answer in answers] == [b"%08d" % number for number in range(100)]
    assert {answer.status for answer in answers} == {201}
    assert len(connections) == 5


async def test_over_tls_the_server_must_be_the_one_that_is_meant(
    serve: Serve, server_tls: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    options = {"ssl": server_tls, "scheme": "https"}
    async with serve(saying(whole, whole), tls=trusting, **options) as client:
        for _ in range(2):
            assert (await client.post(b"/", b"x")).body == b"ok"
    async with serve(saying(whole), **options) as client:
        with pytest.raises(Unavailable) as failed:
            await client.post(b"/", b"x")
        assert failed.value.code == "SSLCertVerificationError"


async def test_a_refused_connection_sent_nothing(connect: Connect, unused_tcp_port: int) -> None:
    with pytest.raises(Unavailable) as failed:
        await connect(f"http://127.0.0.1:{unused_tcp_port}").post(b"/", b"")
    assert failed.value.code == "ConnectionRefusedError"


@quick
async def test_a_server_that_does_not_greet_was_not_reached(serve: Serve, trusting: ssl.SSLContext) -> None:
    async def mute(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serve(mute, scheme="https", tls=trusting) as client:
        with pytest.raises(Unavailable) as failed:
            await client.post(b"/", b"")
    assert failed.value.code == "TimeoutError"


@quick
async def test_no_place_in_the_pool_sent_nothing(provider: Provider, client: HttpClient) -> None:
    # Given a pool of one connection, and that one waits for its answer
    provider.answers("/send", silence)
    first = asyncio.create_task(client.post(b"/send", b"first"))
    await asyncio.sleep(0)

    # When
    with pytest.raises(Unavailable) as failed:
        await client.post(b"/send", b"second")

    # Then
    assert (failed.value.code, failed.value.retry_class) == ("busy", DEFERRED)
    with pytest.raises(OutcomeUnknown):
        await first
    assert [seen.body for seen in provider.seen] == ["first"]


@pytest.mark.parametrize("answer", [drop, half, silence])
@quick
async def test_what_is_lost_after_the_request_was_sent_is_unknown(
    provider: Provider, client: HttpClient, answer: Handler
) -> None:
    # Given
    provider.answers("/send", answer)

    # When
    with pytest.raises(OutcomeUnknown):
        await client.post(b"/send", b"once")

    # Then it went out once
    assert [seen.body for seen in provider.seen] == ["once"]


async def test_a_post_on_a_kept_connection_that_breaks_is_unknown_and_not_repeated(
    provider: Provider, client: HttpClient
) -> None:
    # Given a connection that has served before
    provider.answers("/send", reply(200), drop, reply(200))
    await client.post(b"/send", b"first")

    # When it breaks at the second request
    with pytest.raises(OutcomeUnknown):
        await client.post(b"/send", b"second")

    # Then nobody asked again, and the next request has a connection of its own
    assert [seen.body for seen in provider.seen] == ["first", "second"]
    assert (await client.post(b"/send", b"third")).status == 200


@quick
async def test_a_question_that_is_not_answered_changes_nothing(provider: Provider, client: HttpClient) -> None:
    provider.answers("/ask", silence, reply(200, {"a": 1}))
    with pytest.raises(Unavailable) as failed:
        await client.get(b"/ask")
    assert (failed.value.code, failed.value.__context__) == ("TimeoutError", None)
    assert (await client.get(b"/ask?b=2")).body == b'{"a": 1}'


async def test_a_cancelled_request_never_leaves_its_answer_to_the_next(provider: Provider, client: HttpClient) -> None:
    # Given a request that is cancelled while its answer is on the way
    arrived = asyncio.Event()

    async def held(request: web.Request) -> web.StreamResponse:
        arrived.set()
        return await hold(request)

    provider.answers("/late", held)
    provider.answers("/send", reply(201, {"mine": True}))
    late = asyncio.create_task(client.post(b"/late", b""))
    await arrived.wait()
    late.cancel()

    # When / Then
    answers = await asyncio.gather(late, client.post(b"/send", b""), return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert answers[1].body == b'{"mine": true}'  # type: ignore[union-attr]


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (OK, b"ok"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1;x=y\r\nk\r\n0\r\nX-Last: 1\r\n\r\n", b"ok"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK, b"ok"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", b"until the end"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", b"ok"),
    ],
)  # fmt: skip
async def test_every_way_to_end_an_answer_is_understood(serve: Serve, answer: bytes, body: bytes) -> None:
    kept = body != b"until the end"
    async with serve(saying(*[answer] * (1 + kept))) as client:
        for _ in range(2):
            assert (await client.post(b"/", b"x")).body == body


@pytest.mark.parametrize(
    "answer",
    [
        b"220 mail.example ESMTP\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * MAX_ANSWER,
        b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n" + b"y" * MAX_ANSWER,
        b"",
    ],
)
async def test_an_answer_that_is_none_or_not_whole_is_unknown(serve: Serve, answer: bytes) -> None:
    async with serve(saying(answer)) as client:
        with pytest.raises(OutcomeUnknown):
            await client.post(b"/", b"x")


async def test_an_answer_without_a_length_is_never_given_a_second_time(serve: Serve) -> None:
    # Given a server that ends the connection instead of a second answer
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"x")
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await reader.readuntil(b"x")

    async with serve(script) as client:
        assert (await client.post(b"/", b"x")).status == 204

        # When / Then
        with pytest.raises(OutcomeUnknown):
            await client.post(b"/", b"x")


@pytest.mark.parametrize("more", [b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", b"noise"])
@pytest.mark.parametrize("pause", [0.0, 0.05])
async def test_what_comes_behind_an_answer_is_never_taken_for_the_next(serve: Serve, more: bytes, pause: float) -> None:
    # Given a server that says more than it was asked
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"x")
        writer.write(OK)
        if pause:
            await writer.drain()
            await asyncio.sleep(pause)
        writer.write(more)
        await reader.read()

    async with serve(script) as client:
        for _ in range(3):
            # When / Then each request has its own answer, or none
            try:
                assert (await client.post(b"/", b"x")).status == 200
            except OutcomeUnknown:
                assert (pause, more) == (0.0, b"noise")
            await asyncio.sleep(2 * pause)


async def test_a_connection_that_idles_is_closed(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given connections that may idle for a moment
    monkeypatch.setattr(http_client, "KEEP_ALIVE", 0.05)
    ended = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"x")
        writer.write(OK)
        assert await reader.read() == b""
        ended.set()

    async with serve(script) as client:
        # When / Then
        await client.post(b"/", b"x")
        async with asyncio.timeout(2):
            await ended.wait()


async def test_closing_ends_what_is_under_way(provider: Provider, client: HttpClient) -> None:
    arrived = asyncio.Event()

    async def silent(request: web.Request) -> web.StreamResponse:
        arrived.set()
        return await silence(request)

    provider.answers("/send", silent)
    under_way = asyncio.create_task(client.post(b"/send", b""))
    await arrived.wait()
    await client.close()
    with pytest.raises(OutcomeUnknown):
        await under_way


async def test_a_failure_carries_no_other(provider: Provider, client: HttpClient) -> None:
    # Given
    provider.answers("/send", drop)

    # When
    with pytest.raises(SendError) as failed:
        await client.post(b"/send", b"", b"Authorization: Bearer secret\r\n")

    # Then
    assert failed.value.__cause__ is None
    assert failed.value.__context__ is None


@pytest.mark.parametrize("timeouts", [HttpTimeouts(connect=2.0, total=2.0), HttpTimeouts(connect=0.0, total=2.0)])
async def test_the_connect_time_out_must_be_the_shorter_one(connect: Connect, timeouts: HttpTimeouts) -> None:
    with pytest.raises(ConfigurationError):
        connect("http://127.0.0.1", timeouts=timeouts)
