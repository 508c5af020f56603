"""The server under the application: clients that offer more than HTTP/1.1, and those that it lets go of."""

import asyncio
import http.client
import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest

from notifier.api.http import MAX_BODY
from notifier.api.serving import MAX_HEAD
from notifier.store.core.database import Database
from notifier.store.core.schema import charging_session, event, recipient
from tests.api.conftest import on_sqlite
from tests.api.server import Caller, application
from tests.conftest import absent
from tests.samples import EVENT, encoded

pytestmark = on_sqlite

EVENTS = "/v1/events"
IMPORT = "/v1/recipients/import"
STRUCTURED = "application/cloudevents+json"
LINES = "application/x-ndjson"
PATIENCE = 0.3  # seconds that a head may take here
PERSON = b'{"id": "ada"}\n'

Post = Callable[[Caller, str, str, bytes], list[str]]


def curl(api: Caller, path: str, media: str, body: bytes) -> list[str]:
    """The command by which curl posts a body and offers HTTP/2."""
    program = shutil.which("curl") or absent("needs curl")
    told = ["-H", f"Authorization: Bearer {api.key}", "-H", f"Content-Type: {media}"]
    return [program, "-sS", "--http2", *told, "--data-binary", "@-", "-w", "%{stderr}%{http_code}", api.url + path]


def java(api: Caller, path: str, media: str, body: bytes) -> list[str]:
    """The command by which Java's own client does, as it comes."""
    program = shutil.which("java") or absent("needs java, 17 or later")
    return [program, "-Xshare:auto", str(Path(__file__).with_name("Post.java")), api.url + path, api.key, media]


async def answered(command: list[str], body: bytes) -> str:
    """What a program prints that gets a body to send."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    async with asyncio.timeout(60):
        told, _ = await process.communicate(body)
    return told.decode()


@pytest.mark.parametrize("post", [curl, java])
async def test_who_offers_http_2_with_a_body_is_served_by_http_1(api: Caller, post: Post) -> None:
    # Given a client that asks for an upgrade with its request, as RFC 7540 §3.2 had it
    # When it reports an event, and imports a person
    reported = await answered(post(api, EVENTS, STRUCTURED, b""), encoded())
    imported = await answered(post(api, IMPORT, LINES, b""), PERSON)

    # Then every byte is taken
    assert "202" in reported
    assert "200" in imported
    assert '"written":1' in imported
    assert [row.source_id for row in await api.rows(event)] == [EVENT["id"]]
    assert [row.id for row in await api.rows(recipient)] == ["ada"]


async def test_a_body_larger_than_one_packet_survives_the_offer(api: Caller) -> None:
    lines = b"".join(
        json.dumps({"id": f"driver-{number}", "name": "x" * 90}).encode() + b"\n" for number in range(5000)
    )

    imported = await answered(curl(api, IMPORT, LINES, b""), lines)

    assert '"written":5000' in imported


UPGRADES = [
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
    b"Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Key: AAAA\r\n",
    b"connection: upgrade\r\nupgrade: TLS/1.0, h2c\r\nUpgrade: something\r\n",
]


class Wire:
    """A connection of which every byte is ours."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str) -> None:
        self.reader = reader
        self.writer = writer
        self.key = key

    @classmethod
    async def to(cls, api: Caller) -> "Wire":
        host, port = api.url.removeprefix("http://").split(":")
        return cls(*await asyncio.open_connection(host, int(port)), api.key)

    def request(self, body: bytes, path: str = EVENTS, more: bytes = b"", chunked: bool = False) -> bytes:
        """The bytes of a POST."""
        length = b"Transfer-Encoding: chunked\r\n" if chunked else b"Content-Length: %d\r\n" % len(body)
        if chunked:
            body = b"%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (10, body[:10], len(body) - 10, body[10:])
        head = (
            f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.key}\r\nContent-Type: application/json\r\n"
        )
        return head.encode() + more + length + b"\r\n" + body

    async def status(self) -> int:
        """The status of the next answer."""
        async with asyncio.timeout(10):
            head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
            await self.reader.readexactly(int(head.partition(b"content-length: ")[2].split()[0]))
        return int(head.split()[1])

    async def rest(self) -> bytes:
        """All that comes until the server lets go."""
        async with asyncio.timeout(10):
            rest = await self.reader.read()
        self.writer.close()
        return rest

    async def babble(self) -> None:
        """Send byte by byte for as long as the connection is up, and read nothing."""
        async with asyncio.timeout(10):
            while True:
                self.writer.write(b"x")
                await self.writer.drain()
                await asyncio.sleep(0.02)


@pytest.mark.parametrize("more", UPGRADES)
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [1, 7, 100_000])
async def test_an_upgrade_changes_nothing_wherever_the_packets_end(
    api: Caller, more: bytes, chunked: bool, size: int
) -> None:
    # Given three requests on one connection, the second of which asks for an upgrade
    wire = await Wire.to(api)
    sent = b"".join(
        wire.request(encoded(id=id_), more=asked, chunked=chunked)
        for id_, asked in (("before", b""), ("asks", more), ("after", b""))
    )

    # When they come in pieces, all behind each other
    for start in range(0, len(sent), size):
        wire.writer.write(sent[start : start + size])
        await wire.writer.drain()

    # Then all are taken
    assert [await wire.status() for _ in range(3)] == [202, 202, 202]
    assert {row.source_id for row in await api.rows(event)} == {"before", "asks", "after"}
    wire.writer.close()


async def test_however_many_ask_for_it_in_one_packet_all_are_served(api: Caller) -> None:
    wire = await Wire.to(api)
    wire.writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n" * 2000)

    assert [await wire.status() for _ in range(2000)] == [200] * 2000
    wire.writer.close()


@pytest.mark.parametrize("asked", [b"", b"Connection: Upgrade\r\nUpgrade: h2c\r\n"])
async def test_a_tunnel_is_refused(api: Caller, asked: bytes) -> None:
    wire = await Wire.to(api)
    wire.writer.write(b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n" + asked + b"\r\n")

    assert (await wire.rest()).startswith(b"HTTP/1.1 400")


async def test_an_ocpi_object_and_a_form_of_the_console_come_whole_too(api: Caller) -> None:
    # Given an upgrade on routes of either application
    wire = await Wire.to(api)
    wire.writer.write(wire.request(b"{}", "/ocpi/2.2.1/cdrs", UPGRADES[0]))
    without = await Wire.to(api)
    without.writer.write(without.request(b"{}", "/ocpi/2.2.1/cdrs"))

    # Then it makes no difference
    assert await wire.status() == await without.status()
    assert await api.rows(charging_session) == []
    form = b"POST /console/sign-in HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    body = b"name=" + b"x" * 70_000
    wire.writer.write(form + UPGRADES[0] + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    without.writer.write(form + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert await wire.status() == await without.status()
    wire.writer.close()
    without.writer.close()


@pytest.fixture
async def hurried(database: Database, valkey: str) -> AsyncIterator[Caller]:
    """The application, with little patience for heads, and for clients that it has refused."""
    async with application(database, valkey, head_timeout=PATIENCE, linger=PATIENCE) as caller:
        yield caller


async def test_a_silent_connection_is_let_go(hurried: Caller) -> None:
    wire = await Wire.to(hurried)

    assert await wire.rest() == b""


@pytest.mark.parametrize("begun", [b"P", b"\r\n", b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Le"])
async def test_half_a_head_is_told_that_it_is_late(hurried: Caller, begun: bytes) -> None:
    wire = await Wire.to(hurried)
    wire.writer.write(begun)

    assert (await wire.rest()).startswith(b"HTTP/1.1 408")


async def test_a_head_that_comes_byte_by_byte_is_late_all_the_same(hurried: Caller) -> None:
    # Given a second request on a connection, after one that was answered
    wire = await Wire.to(hurried)
    wire.writer.write(wire.request(encoded()))
    assert await wire.status() == 202

    # When its head never ends, and never pauses
    rest = asyncio.create_task(wire.rest())
    wire.writer.write(b"GET /healthz HTTP/1.1\r\nX: ")
    while not rest.done():
        wire.writer.write(b"x")
        await asyncio.wait([rest], timeout=0.02)

    # Then it is let go
    assert (await rest).startswith(b"HTTP/1.1 408")


async def test_a_head_without_an_end_is_read_up_to_the_limit(api: Caller) -> None:
    wire = await Wire.to(api)
    wire.writer.write(b"GET /healthz HTTP/1.1\r\nX: " + b"x" * MAX_HEAD)

    assert (await wire.rest()).startswith(b"HTTP/1.1 431")


async def test_a_connection_is_kept_for_more_requests_and_for_bodies_that_take_longer(hurried: Caller) -> None:
    # Given a body that comes later than a head may
    wire = await Wire.to(hurried)
    sent = wire.request(encoded())
    wire.writer.write(sent[:-10])
    await asyncio.sleep(2 * PATIENCE)
    wire.writer.write(sent[-10:])
    assert await wire.status() == 202

    # When the next request comes after as long a pause, then it is served too
    await asyncio.sleep(2 * PATIENCE)
    wire.writer.write(wire.request(encoded()))
    assert await wire.status() == 202
    wire.writer.close()


async def test_the_rest_of_a_body_that_was_refused_is_passed_over_but_not_for_ever(hurried: Caller) -> None:
    # Given a body that nobody reads, whose request is answered
    wire = await Wire.to(hurried)
    wire.writer.write(b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n" + b"x" * 1000)
    assert await wire.status() == 404

    # When all of it comes, then the connection serves on
    wire.writer.write(b"x" * 199_000 + b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert await wire.status() == 200

    # When another comes byte by byte, then the connection is let go
    wire.writer.write(b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n")
    assert await wire.status() == 404
    rest = asyncio.create_task(wire.rest())
    while not rest.done():
        wire.writer.write(b"x")
        await asyncio.wait([rest], timeout=0.02)
    assert await rest == b""


def posted(url: str, path: str, body: bytes, **headers: str) -> int:
    """The status that Python's own client gets, which sends all of a body before it reads, and asks for a close."""
    with closing(http.client.HTTPConnection(url.removeprefix("http://"), timeout=20)) as connection:
        connection.request("POST", path, body, {"Connection": "close"} | headers)
        return connection.getresponse().status


@pytest.mark.parametrize(
    ("path", "keyed", "status"), [("/nowhere", True, 404), (EVENTS, True, 413), (EVENTS, False, 401)]
)
async def test_who_is_refused_before_the_end_of_a_long_body_is_told_so(
    api: Caller, path: str, keyed: bool, status: int
) -> None:
    # Given a body that is longer than what is under way at any time, and that nobody reads
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {api.key}"} if keyed else {})

    # When all of it is sent before the answer is read, then the answer is there, and not a reset
    assert await asyncio.to_thread(posted, api.url, path, b"x" * 2 * MAX_BODY, **headers) == status


async def test_a_connection_that_was_ended_is_read_for_a_while_and_then_dropped(hurried: Caller) -> None:
    # Given a request that is refused before its end
    wire = await Wire.to(hurried)
    wire.writer.write(b"POST /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 200000\r\n\r\n")
    assert (await wire.reader.read()).startswith(b"HTTP/1.1 404")

    # When its client sends on, and never closes, then it ends all the same
    with pytest.raises(ConnectionError):
        await wire.babble()
