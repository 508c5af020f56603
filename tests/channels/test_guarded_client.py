"""POSTs to URLs that strangers choose: where they go, where they never go, and what each failure is told as."""

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_network
from typing import Any

import pytest
import uvloop
from aiohttp import web

from notifier.domain.errors import OutcomeUnknown, Refused, SendError, Unavailable
from notifier.providers import fence, guarded_client
from notifier.providers.guarded_client import MAX_BODY, MAX_READ, GuardedClient, Lookups
from notifier.providers.http import HttpTimeouts
from notifier.runtime.proxies import Proxies
from tests.channels.provider import LOOPBACK, Provider, drop, quick, reply, reply_raw, silence
from tests.channels.tunnels import WHOLE, TunnelProxy, answer_all, listening

GLOBAL = "93.184.216.34"
Connect = Callable[..., GuardedClient]


class Names:
    """A resolver that gives its answers in order, the last one again and again, and knows what it was asked."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, name: str) -> Sequence[str]:
        self.asked.append(name)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


class Heads:
    """A server's conversation: it keeps the head of each request, and says one thing to all."""

    def __init__(self, says: bytes = WHOLE) -> None:
        self._says = says
        self.seen: list[str] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.seen.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(self._says)
        await reader.read()


@pytest.fixture
async def connect(timeouts: HttpTimeouts) -> AsyncIterator[Connect]:
    """Opens clients, and closes them at the end."""
    opened: list[GuardedClient] = []

    def client(**options: Any) -> GuardedClient:
        known = {"permitted": LOOPBACK, "timeouts": timeouts} | options
        opened.append(GuardedClient("webhook", {"User-Agent": "us"}, **known))
        return opened[-1]

    yield client
    for each in opened:
        await each.close()


async def failure(asked: Awaitable[object]) -> SendError:
    with pytest.raises(SendError) as failed:
        await asked
    return failed.value


def port_of(provider: Provider) -> str:
    return provider.url.rpartition(":")[2]


async def test_a_post_arrives_as_it_was_given(provider: Provider, connect: Connect) -> None:
    # Given
    provider.answers("/hook", reply(201, {"ok": True}, {"X-Theirs": "yes"}))
    url = f"http://Endpoint.example.:{port_of(provider)}/hook?a=1"
    names = Names(["127.0.0.1"])

    # When
    answer = await connect(resolve=names).post(url, b'{"b": 2}', {"webhook-id": "m1"})

    # Then
    assert (answer.status, answer.body, answer.headers[b"x-theirs"]) == (201, b'{"ok": true}', b"yes")
    assert names.asked == ["endpoint.example"]
    assert (provider.seen[0].path, provider.seen[0].body) == ("/hook", '{"b": 2}')
    headers = provider.seen[0].headers
    assert headers["Host"] == f"endpoint.example:{port_of(provider)}"
    assert (headers["User-Agent"], headers["webhook-id"], headers["Connection"]) == ("us", "m1", "close")


async def test_the_connection_goes_to_the_checked_address_and_no_other(connect: Connect) -> None:
    first, second = Heads(), Heads()
    async with listening(first) as port, listening(second, host="127.0.0.2", port=port):
        client = connect(resolve=Names(["127.0.0.2", "127.0.0.1"]))

        # When
        assert (await client.post(f"http://localhost:{port}/", b"", {})).body == b"ok"

    # Then
    assert (len(first.seen), len(second.seen)) == (0, 1)
    assert f"Host: localhost:{port}\r\n" in second.seen[0]


async def test_a_name_that_answers_differently_the_second_time_gains_nothing(connect: Connect) -> None:
    # Given a name that is harmless the first time that it is asked
    server, names = Heads(), Names(["127.0.0.1"], ["10.0.0.1"])
    async with listening(server) as port:
        client = connect(resolve=names)
        url = f"http://rebinding.example:{port}/"

        # When / Then a call asks once
        assert (await client.post(url, b"", {})).status == 200
        assert names.asked == ["rebinding.example"]

        # And the next call asks anew, and checks anew
        refused = await failure(client.post(url, b"", {}))
        assert (type(refused), refused.code, refused.about) == (Refused, "private", "address")
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("addresses", "code"),
    [
        (["10.0.0.1"], "private"),
        ([GLOBAL, "10.0.0.1"], "private"),
        ([GLOBAL, "::1"], "loopback"),
        ([GLOBAL, "127.0.0.1"], "loopback"),
        (["::ffff:127.0.0.1"], "embedded"),
        (["64:ff9b::127.0.0.1"], "loopback"),
        (["169.254.169.254"], "metadata"),
        (["fe80::1%1"], "link_local"),
    ],
)
async def test_a_name_that_leads_astray_is_refused_and_nobody_connected_to(
    connect: Connect, addresses: Sequence[str], code: str
) -> None:
    permitted = [ip_network("127.0.0.9/32")]
    refused = await failure(connect(resolve=Names(addresses), permitted=permitted).post("https://a.example/", b"", {}))
    assert (type(refused), refused.code, refused.about) == (Refused, code, "address")
    assert refused.__context__ is None


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "https://2130706433/", "http://host.example/", "https://[::1]/"])
async def test_a_url_that_is_unsafe_by_itself_is_not_looked_up(connect: Connect, url: str) -> None:
    names = Names([GLOBAL])
    assert isinstance(await failure(connect(resolve=names, permitted=[]).post(url, b"", {})), Refused)
    assert names.asked == []


@pytest.mark.parametrize("status", [301, 302, 303, 304, 307, 308])
async def test_a_redirect_is_not_followed(provider: Provider, connect: Connect, status: int) -> None:
    # Given
    provider.answers("/hook", reply(status, None, {"Location": f"{provider.url}/inner"}))
    provider.answers("/inner", reply(200))

    # When
    refused = await failure(connect().post(f"{provider.url}/hook", b"", {}))

    # Then
    assert (type(refused), refused.code, refused.about) == (Refused, "redirect", "address")
    assert [seen.path for seen in provider.seen] == ["/hook"]


@pytest.mark.parametrize("status", [200, 204, 400, 404, 410, 429, 500, 503])
async def test_every_other_status_is_an_answer(provider: Provider, connect: Connect, status: int) -> None:
    provider.answers("/", reply_raw(status, b""))
    assert (await connect().post(provider.url, b"", {})).status == status


async def test_of_a_body_without_end_the_beginning_is_kept(connect: Connect) -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 500 No\r\n\r\n")
        while True:
            writer.write(b"x" * 1024)
            await writer.drain()

    async with listening(endless) as port, asyncio.timeout(5):
        answer = await connect().post(f"http://127.0.0.1:{port}/", b"", {})
    assert (answer.status, answer.body) == (500, b"x" * MAX_BODY)


@pytest.mark.parametrize(
    ("says", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", b"half"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nnonsense\r\n", b"half"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + WHOLE, b"ok"),
    ],
)
@quick
async def test_the_head_of_an_answer_is_enough(connect: Connect, says: bytes, body: bytes) -> None:
    async with listening(Heads(says)) as port:
        answer = await connect().post(f"http://127.0.0.1:{port}/", b"", {})
    assert (answer.status, answer.body) == (200, body)


@pytest.mark.parametrize(
    "says",
    [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nX: " + b"y" * MAX_READ, b"HTTP/1.1 100 Continue\r\n\r\n", b"no"],
)
@quick
async def test_without_the_head_of_an_answer_it_is_unknown(connect: Connect, says: bytes) -> None:
    async with listening(Heads(says)) as port:
        unknown = await failure(connect().post(f"http://127.0.0.1:{port}/", b"", {}))
    assert (type(unknown), unknown.about, unknown.__context__) == (OutcomeUnknown, "address", None)


@quick
async def test_an_answer_that_drips_ends_with_the_call(connect: Connect) -> None:
    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while not writer.is_closing():
            writer.write(b"X: y\r\n")
            await asyncio.sleep(0.01)

    async with listening(drip) as port, asyncio.timeout(20):
        assert isinstance(await failure(connect().post(f"http://127.0.0.1:{port}/", b"", {})), OutcomeUnknown)


@pytest.mark.parametrize("answer", [drop, silence])
@quick
async def test_what_is_lost_after_the_request_was_sent_is_unknown_and_not_repeated(
    provider: Provider, connect: Connect, answer: Any
) -> None:
    provider.answers("/", answer)
    unknown = await failure(connect().post(provider.url, b"once", {}))
    assert (type(unknown), unknown.about) == (OutcomeUnknown, "address")
    assert [seen.body for seen in provider.seen] == ["once"]


async def test_every_call_has_a_connection_of_its_own(connect: Connect) -> None:
    server = Heads()
    async with listening(server) as port:
        client = connect()
        for _ in range(3):
            await client.post(f"http://127.0.0.1:{port}/", b"", {})
    assert len(server.seen) == 3


async def test_nobody_who_listens_is_told_of_the_address(connect: Connect, unused_tcp_port: int) -> None:
    unavailable = await failure(connect().post(f"http://127.0.0.1:{unused_tcp_port}/", b"", {}))
    assert (type(unavailable), unavailable.code) == (Unavailable, "ConnectionRefusedError")
    assert (unavailable.about, unavailable.__context__) == ("address", None)


async def test_a_name_that_nobody_knows_sent_nothing(connect: Connect) -> None:
    async def unknown(_: str) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    for resolve in (unknown, Names([])):
        unavailable = await failure(connect(resolve=resolve).post("https://host.example/", b"", {}))
        assert (type(unavailable), unavailable.code, unavailable.about) == (Unavailable, "lookup_failed", "address")


async def test_a_name_server_that_never_answers_is_waited_for_a_while(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarded_client, "LOOKUP_TIMEOUT", 0.05)

    async def never(_: str) -> Sequence[str]:
        await asyncio.Event().wait()
        raise AssertionError

    unavailable = await failure(connect(resolve=never).post("https://host.example/", b"", {}))
    assert (type(unavailable), unavailable.code) == (Unavailable, "lookup_timeout")


async def test_after_the_lease_nothing_is_sent(connect: Connect) -> None:
    server = Heads()
    async with listening(server) as port:
        with fence.leased(-1):
            ended = await failure(connect().post(f"http://127.0.0.1:{port}/", b"", {}))
    assert (ended.code, ended.about, server.seen) == ("lease_ended", "ourselves", [])


async def test_closing_ends_what_is_under_way(provider: Provider, connect: Connect) -> None:
    arrived = asyncio.Event()

    async def silent(request: web.Request) -> web.StreamResponse:
        arrived.set()
        return await silence(request)

    provider.answers("/", silent)
    client = connect()
    under_way = asyncio.create_task(client.post(provider.url, b"", {}))
    await arrived.wait()
    await client.close()
    assert isinstance(await failure(under_way), OutcomeUnknown)


async def test_tls_is_by_name_whatever_the_address(
    connect: Connect, server_tls: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    # Given
    asked_for: list[str | None] = []
    server_tls.sni_callback = lambda _socket, name, _context: asked_for.append(name)
    server = Heads()
    async with listening(server, server_tls) as port:
        client = connect(resolve=Names(["127.0.0.1"]), tls=trusting)

        # When / Then
        assert (await client.post(f"https://provider.example:{port}/", b"", {})).status == 200
        assert f"Host: provider.example:{port}\r\n" in server.seen[0]

        # And a certificate of another name is none
        unavailable = await failure(client.post(f"https://another.example:{port}/", b"", {}))
        assert (type(unavailable), unavailable.code) == (Unavailable, "SSLCertVerificationError")
        assert asked_for == ["provider.example", "another.example"]

        # And an address is one as well
        assert (await client.post(f"https://127.0.0.1:{port}/", b"", {})).status == 200
    assert len(server.seen) == 2


async def test_localhost_is_looked_up_for_real_and_other_names_never_leave_this_machine(connect: Connect) -> None:
    # Given a process that keeps to its own machine
    async with listening(Heads()) as port:
        client = connect()
        assert (await client.post(f"http://localhost:{port}/", b"", {})).status == 200

        # Then the guard beneath refuses the look-up of a name, and the connection to what is global
        assert (await failure(client.post("https://host.example/", b"", {}))).code == "lookup_failed"
        assert (await failure(client.post(f"https://{GLOBAL}/", b"", {}))).code == "OutboundError"


def test_on_uvloop_it_is_all_the_same(server_tls: ssl.SSLContext, trusting: ssl.SSLContext) -> None:
    async def scenario() -> None:
        async with listening(answer_all, server_tls) as port:
            client = GuardedClient("webhook", {}, permitted=LOOPBACK, resolve=Names(["127.0.0.1"]), tls=trusting)
            assert (await client.post(f"https://provider.example:{port}/", b"", {})).body == b"ok"
            assert (await failure(client.post("https://10.0.0.1/", b"", {}))).code == "private"
            assert (await failure(client.post(f"https://{GLOBAL}/", b"", {}))).code == "OutboundError"
            await client.close()

    uvloop.run(scenario())


async def test_names_of_strangers_are_looked_up_in_threads_of_their_own() -> None:
    # Given a loop all of whose threads wait for something that doesn't come
    loop, release, lookups = asyncio.get_running_loop(), threading.Event(), Lookups()
    loop.set_default_executor(ThreadPoolExecutor(1))
    waiting = loop.run_in_executor(None, release.wait)

    # When / Then
    try:
        assert "127.0.0.1" in await lookups("localhost")
        assert not waiting.done()
    finally:
        release.set()
        lookups.close()
        await waiting


@pytest.fixture
async def proxy() -> AsyncIterator[TunnelProxy]:
    opened = TunnelProxy()
    async with listening(opened.converse) as port:
        opened.url = f"http://127.0.0.1:{port}"
        yield opened


async def test_a_proxy_is_asked_for_the_checked_address_and_never_for_the_name(
    proxy: TunnelProxy, connect: Connect, server_tls: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    async with listening(answer_all, server_tls) as proxy.leads_to:
        for address, tunnel in ((GLOBAL, f"{GLOBAL}:443"), ("2606:4700::1111", "[2606:4700::1111]:443")):
            # When
            names = Names([address])
            client = connect(resolve=names, proxies=Proxies(proxy.url), tls=trusting)
            answer = await client.post("https://provider.example/", b"", {})

            # Then TLS within the tunnel is by name
            assert (answer.body, names.asked) == (b"ok", ["provider.example"])
            assert proxy.asked[-1] == f"CONNECT {tunnel} HTTP/1.1"


async def test_behind_a_proxy_no_more_goes_out_than_without(proxy: TunnelProxy, connect: Connect) -> None:
    # Given a proxy that opens tunnels to names only
    proxy.says = b"HTTP/1.1 403 Forbidden\r\n\r\n"
    client = connect(resolve=Names(["10.0.0.1"], [GLOBAL]), proxies=Proxies(proxy.url))

    # When / Then what is unsafe isn't asked for, and what is safe is refused there
    for code, asked in (("private", 0), ("proxy_403", 1)):
        assert (await failure(client.post("https://host.example/", b"", {}))).code == code
        assert len(proxy.heads) == asked


async def test_a_permitted_network_is_reached_directly_whatever_its_name(
    proxy: TunnelProxy, connect: Connect, server_tls: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    async with listening(answer_all, server_tls) as port:
        client = connect(resolve=Names(["127.0.0.1"]), proxies=Proxies(proxy.url), tls=trusting)
        assert (await client.post(f"https://provider.example:{port}/", b"", {})).status == 200
    assert proxy.heads == []
