"""The small server for probes and scrapes: what it answers, and that nobody holds it up."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from notifier.api.serving import listen
from notifier.domain.errors import ConfigurationError
from notifier.monitoring.listener import MAX_HEAD, MOST, Answer, listening

HERE = "127.0.0.1:0"
SHORT = 0.2  # seconds for an exchange
AT_LAST = 20  # seconds: far past what any of these may take, however slow the machine


async def page() -> Answer:
    return Answer(200, b'{"status":"ok"}')


async def faulty() -> Answer:
    raise LookupError


PAGES = {"/livez": page, "/faulty": faulty}


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def said(port: int, request: bytes) -> bytes:
    """All that is answered to a request, until the connection ends."""
    async with asyncio.timeout(AT_LAST), connected(port) as (reader, writer):
        writer.write(request)
        return await reader.read()


def get(path: str, method: str = "GET") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


async def test_a_page_is_answered_whole_and_to_head_without_its_body() -> None:
    async with listening(HERE, PAGES) as port:
        whole, head = await said(port, get("/livez?verbose")), await said(port, get("/livez", "HEAD"))

    assert whole.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n")
    assert whole.endswith(b'\r\n\r\n{"status":"ok"}')
    assert head == whole.removesuffix(b'{"status":"ok"}')


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (get("/"), 404),
        (get("/livez", "POST"), 405),
        (get("/faulty"), 500),
        (b"GET /livez\r\n\r\n", 400),
        (b"GET /livez HTTP/2\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\nX: " + b"x" * MAX_HEAD + b"\r\n\r\n", 431),
    ],
)
async def test_anything_else_is_refused_by_its_status(request_: bytes, status: int) -> None:
    async with listening(HERE, PAGES) as port:
        assert (await said(port, request_)).startswith(f"HTTP/1.1 {status} ".encode())


async def test_who_sends_half_a_request_is_cut_off() -> None:
    async with listening(HERE, PAGES, exchange=SHORT) as port:
        assert await said(port, b"GET /livez HT") == b""


async def test_connections_beyond_the_limit_are_closed_at_once_until_others_end() -> None:
    async with listening(HERE, PAGES, exchange=2 * AT_LAST) as port:
        # Given as many who say nothing as there may be
        silent = [(await asyncio.open_connection("127.0.0.1", port))[1] for _ in range(MOST)]

        # When another comes, then it is closed
        async with asyncio.timeout(AT_LAST), connected(port) as (reader, _):
            assert await reader.read() == b""

        # And once they have gone, the next one is answered
        for writer in silent:
            writer.close()
        async with asyncio.timeout(AT_LAST):
            while not await answered(port):  # noqa: ASYNC110 (nobody else tells)
                await asyncio.sleep(0.01)


async def answered(port: int) -> bool:
    """Whether a request is answered."""
    with suppress(ConnectionError):
        return (await said(port, get("/livez"))).startswith(b"HTTP/1.1 200 ")
    return False


async def test_an_address_that_is_taken_is_told_with_the_settings_name() -> None:
    (taken,) = listen("127.0.0.1", 0)

    with pytest.raises(ConfigurationError, match="NOTIFIER_METRICS_LISTEN"):
        async with listening(f"127.0.0.1:{taken.getsockname()[1]}", PAGES):
            pass

    taken.close()
