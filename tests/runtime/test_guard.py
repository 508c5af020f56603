"""The guard, installed for good in this process, under asyncio's loop and uvloop's.

192.0.2.1 is TEST-NET-1 (RFC 5737): unguarded, connecting to it hangs until a time-out or fails with another error.
"""

import asyncio
import contextlib
import smtplib
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from ipaddress import IPv4Address

import aiohttp
import aiosmtplib
import pytest
import uvloop
from aiohttp import web

from notifier.runtime.guard import OutboundError, is_loopback, refuse_everything_but_loopback

OUTSIDE = "192.0.2.1"
OUTSIDE_V6 = "2001:db8::1"
ANY = str(IPv4Address(0))
NAME = "provider.example"

Run = Callable[[Awaitable[None]], None]


@pytest.fixture(autouse=True, scope="module")
def guard() -> None:
    refuse_everything_but_loopback()
    refuse_everything_but_loopback()


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a coroutine to its end on one of the two loops, within five seconds."""

    def runner(scenario: Awaitable[None]) -> None:
        with asyncio.Runner(loop_factory=request.param) as loop:
            loop.run(asyncio.wait_for(scenario, 5))

    return runner


@pytest.fixture
def greeter() -> Iterator[int]:
    """A blocking server on 127.0.0.1 that greets as an SMTP server does; its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def greet() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                with client:
                    client.sendall(b"220 sandbox ESMTP\r\n")

    thread = threading.Thread(target=greet, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1", "localhost", b"localhost"])
def test_loopback_is_known_in_every_spelling(host: str | bytes) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", [OUTSIDE, OUTSIDE_V6, "::ffff:192.0.2.1", ANY, "10.0.0.1", NAME, "127.1", "localhost.example", ""]
)
def test_everything_else_is_outside(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, OUTSIDE), (socket.AF_INET6, OUTSIDE_V6)])
def test_a_blocking_socket_is_refused_at_once(family: int, host: str) -> None:
    with socket.socket(family) as sock, pytest.raises(OutboundError):
        sock.connect((host, 443))


def test_the_refusal_is_a_connection_failure_that_shows_no_address() -> None:
    # Given / When
    with pytest.raises(ConnectionError) as refused:
        socket.create_connection((OUTSIDE, 443), timeout=1)

    # Then
    assert "IPv4 address" in str(refused.value)
    assert OUTSIDE not in str(refused.value)


def test_datagrams_are_refused() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        with pytest.raises(OutboundError):
            sock.sendto(b"query", (OUTSIDE, 53))
        with pytest.raises(OutboundError):
            sock.sendmsg([b"query"], [], 0, (OUTSIDE, 53))


@pytest.mark.parametrize(
    "look_up",
    [
        lambda: socket.getaddrinfo(NAME, 443),
        lambda: socket.gethostbyname(NAME),
        lambda: socket.gethostbyaddr(OUTSIDE),
        lambda: socket.getnameinfo((OUTSIDE, 443), 0),
        lambda: socket.create_connection((NAME, 443), timeout=1),
    ],
)
def test_a_lookup_by_name_is_refused_because_it_asks_the_network(look_up: Callable[[], object]) -> None:
    with pytest.raises(socket.gaierror) as refused:
        look_up()
    assert isinstance(refused.value, OutboundError)


def test_unix_sockets_and_loopback_go_through(greeter: int) -> None:
    left, right = socket.socketpair()
    with left, right:
        left.sendmsg([b"hello"])
        assert right.recv(5) == b"hello"
    with socket.create_connection(("localhost", greeter), timeout=5) as sock:
        assert sock.recv(3) == b"220"


def test_smtplib_reaches_loopback_only(greeter: int) -> None:
    with pytest.raises(OutboundError):
        smtplib.SMTP(OUTSIDE, 25, local_hostname="sandbox", timeout=5)

    client = smtplib.SMTP(timeout=5)
    assert client.connect("127.0.0.1", greeter)[0] == 220
    client.close()


def test_a_stream_to_the_outside_is_refused_on_either_loop(run: Run) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        for host in (OUTSIDE, OUTSIDE_V6, NAME):
            with pytest.raises(OutboundError):
                await asyncio.open_connection(host, 443)
            with pytest.raises(OutboundError):
                await loop.create_connection(asyncio.Protocol, host=host, port=443)

    run(scenario())


def test_a_raw_socket_on_the_loop_is_refused(run: Run) -> None:
    async def scenario() -> None:
        for host in (OUTSIDE, NAME):
            with socket.socket() as sock:
                sock.setblocking(False)
                with pytest.raises(OutboundError):
                    await asyncio.get_running_loop().sock_connect(sock, (host, 443))

    run(scenario())


def test_the_loops_lookups_are_refused(run: Run) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(OutboundError):
            await loop.getaddrinfo(NAME, 443)
        with pytest.raises(OutboundError):
            await loop.getnameinfo((OUTSIDE, 443))
        assert await loop.getaddrinfo("localhost", 443)
        assert await loop.getnameinfo(("127.0.0.1", 443))

    run(scenario())


def test_datagram_endpoints_are_refused_on_either_loop(run: Run) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(OutboundError):
            await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=(OUTSIDE, 53))

    run(scenario())


def test_a_uvloop_endpoint_that_could_send_anywhere_is_refused() -> None:
    async def scenario() -> None:
        # uvloop sends datagrams in C: what isn't bound to loopback can't be watched afterwards.
        loop = asyncio.get_running_loop()
        for address in (None, (ANY, 0)):
            with pytest.raises(OutboundError):
                await loop.create_datagram_endpoint(asyncio.DatagramProtocol, address, family=socket.AF_INET)
        with socket.socket(type=socket.SOCK_DGRAM) as unbound, pytest.raises(OutboundError):
            await loop.create_datagram_endpoint(asyncio.DatagramProtocol, sock=unbound)

    uvloop.run(scenario())


def test_loopback_works_on_either_loop_and_unix_paths_too(run: Run, greeter: int, tmp_path: object) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        for host in ("127.0.0.1", "localhost"):
            reader, writer = await asyncio.open_connection(host, greeter, family=socket.AF_INET)
            assert await reader.readexactly(3) == b"220"
            writer.close()
            await writer.wait_closed()
        endpoint, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, ("127.0.0.1", 0))
        endpoint.close()
        path = f"{tmp_path}/server"
        server = await asyncio.start_unix_server(lambda _, writer: writer.close(), path)
        reader, writer = await asyncio.open_unix_connection(path)
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        server.close()

    run(scenario())


def test_aiohttp_reaches_loopback_only(run: Run) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="here")

    async def scenario() -> None:
        runner = web.ServerRunner(web.Server(answer))  # type: ignore[arg-type]  # the request's class is wider than Request
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://localhost:{port}/") as response:
                assert await response.text() == "here"
            for host in (OUTSIDE, f"[{OUTSIDE_V6}]", NAME):
                with pytest.raises(aiohttp.ClientConnectionError) as refused:
                    await session.get(f"http://{host}/")
                assert isinstance(refused.value.__cause__, OutboundError)
        await runner.cleanup()

    run(scenario())


def test_aiosmtplib_is_refused(run: Run) -> None:
    async def scenario() -> None:
        with pytest.raises(aiosmtplib.SMTPConnectError) as refused:
            await aiosmtplib.SMTP(hostname=OUTSIDE, port=25, local_hostname="sandbox", timeout=5).connect()
        assert isinstance(refused.value.__cause__, OutboundError)

    run(scenario())
