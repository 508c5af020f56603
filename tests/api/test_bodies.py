"""Bodies that are too large, too slow or cut off: refused early, and the connection is let go."""

import asyncio
import io
import json
from codecs import BOM_UTF8
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from notifier.api.http import MAX_BODY
from notifier.store.core.database import Database
from notifier.store.core.schema import event, recipient
from tests.api.conftest import on_sqlite
from tests.api.server import Caller, application
from tests.samples import encoded

pytestmark = on_sqlite

PATIENCE = 0.2  # seconds that the application waits for a body here
RECIPIENT = "PUT /v1/recipients/ada"
EVENTS = "POST /v1/events"
CDRS = "POST /ocpi/2.2.1/cdrs"
IMPORT = "POST /v1/recipients/import"


@pytest.fixture
async def hurried(database: Database, valkey: str) -> AsyncIterator[Caller]:
    """The application, with little patience."""
    async with application(database, valkey, body_timeout=PATIENCE) as caller:
        yield caller


class Connection:
    """A caller that sends its bytes as it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def to(cls, api: Caller, request: str, *headers: str) -> "Connection":
        """A connection on which the head of a request was sent."""
        host, port = api.url.removeprefix("http://").split(":")
        connection = cls(*await asyncio.open_connection(host, int(port)))
        lines = [f"{request} HTTP/1.1", "Host: x", f"Authorization: Bearer {api.key}", "Content-Type: application/json"]
        connection.writer.write("\r\n".join([*lines, *headers, "", ""]).encode())
        return connection

    async def answer(self) -> tuple[int, int]:
        """Status and problem of the answer."""
        async with asyncio.timeout(10):
            head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length: ")[2].split()[0])
            body = json.loads(await self.reader.readexactly(length))
        return int(head.split()[1]), body["code"]

    async def is_closed(self) -> bool:
        """Whether the server lets go of the connection, sooner than of an idle one, and says no more on it."""
        async with asyncio.timeout(2):
            rest = await self.reader.read()
        self.writer.close()
        return rest == b""


@pytest.mark.parametrize(("request_", "limit"), [(EVENTS, MAX_BODY), (RECIPIENT, 65_536), (CDRS, 1024 * 1024)])
async def test_a_body_that_says_it_is_too_large_is_refused_before_it_comes(
    api: Caller, request_: str, limit: int
) -> None:
    # Given a request that announces a byte more than is taken, and sends none
    connection = await Connection.to(api, request_, f"Content-Length: {limit + 1}")

    # Then it is refused at once
    assert await connection.answer() == (413, 41301)
    connection.writer.close()


async def test_a_caller_in_the_middle_of_a_large_body_hears_why_it_is_refused(api: Caller) -> None:
    # A connection that is reset under a sender loses the answer on it, and the sender would only try again.
    for _ in range(5):
        answer = await api.post(io.BytesIO(b" " * (2 * MAX_BODY)))

        assert answer.problem == (41301, None)


async def test_a_body_that_does_not_say_how_large_it_is_is_read_up_to_the_limit_and_no_further(api: Caller) -> None:
    # Given a body without an end
    connection = await Connection.to(api, EVENTS, "Transfer-Encoding: chunked")
    answer = asyncio.create_task(connection.answer())
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    sent = 0

    # When it is sent until the server has had enough
    while not answer.done():
        connection.writer.write(chunk)
        sent += 65_536
        await connection.writer.drain()
    connection.writer.close()

    # Then that is soon behind the limit
    assert await answer == (413, 41301)
    assert sent < MAX_BODY + 4 * 1024 * 1024
    assert await api.rows(event) == []


@pytest.mark.parametrize("request_", [EVENTS, RECIPIENT, CDRS, IMPORT])
async def test_a_body_that_stops_is_not_waited_for(hurried: Caller, request_: str) -> None:
    # Given a body of which half comes
    connection = await Connection.to(hurried, request_, "Content-Length: 100")
    connection.writer.write(b'{"id": "ada"}\n{"name": ')

    # Then after a while the connection is let go
    assert await connection.answer() == (408, 40801)
    assert await connection.is_closed()
    assert await hurried.rows(event) == []
    assert await hurried.rows(recipient) == []


async def test_a_body_that_comes_byte_by_byte_is_not_waited_for_either(hurried: Caller) -> None:
    # Given an event of which a byte comes every hundredth of a second
    body = encoded()
    connection = await Connection.to(hurried, EVENTS, f"Content-Length: {len(body)}")
    answer = asyncio.create_task(connection.answer())

    for byte in body:
        if answer.done():
            break
        connection.writer.write(bytes([byte]))
        await asyncio.wait([answer], timeout=0.01)

    # Then it is refused, though it never stopped
    assert await answer == (408, 40801)
    connection.writer.close()


async def test_a_body_that_is_cut_off_leaves_no_trace_and_no_fault(
    api: Caller, caplog: pytest.LogCaptureFixture, shared_data: Path
) -> None:
    # Given callers that hang up halfway
    for request_ in (EVENTS, RECIPIENT, CDRS, IMPORT):
        connection = await Connection.to(api, request_, "Content-Length: 1000")
        connection.writer.write(b'{"id": "ada"}\n{"id":')
        await connection.writer.drain()
        connection.writer.close()
        await connection.writer.wait_closed()

    # When others call, then they are served, and nothing was logged as a fault of ours
    assert (await api.post(encoded())).status == 202
    assert await api.rows(recipient) == []
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize(
    "head",
    [
        "Content-Length: -1",
        "Content-Length: 1_0",
        "Content-Length: ten",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
    ],
)
async def test_a_length_that_is_none_is_refused(api: Caller, head: str) -> None:
    connection = await Connection.to(api, EVENTS, head)
    connection.writer.write(b"{}")
    connection.writer.write_eof()

    async with asyncio.timeout(10):
        answered = await connection.reader.read()
    connection.writer.close()

    assert not answered or answered.split()[1].startswith(b"4")
    assert await api.rows(event) == []


async def test_a_byte_order_mark_before_a_body_is_passed_over(api: Caller) -> None:
    # Given bodies as a program on Windows reads them from its files
    event = await api.post(BOM_UTF8 + encoded())
    batch = await api.post(BOM_UTF8 + b"[%b]" % encoded(id="2"), "application/json")
    lines = await api.call("POST", "/v1/recipients/import", BOM_UTF8 + b'{"id": "ada"}\r\n{"id": "bob"}')
    person = await api.call("PUT", "/v1/recipients/eve", BOM_UTF8 + b"{}")

    # Then each is taken whole
    assert (event.status, batch.body["accepted"], lines.body["written"], person.status) == (202, 1, 2, 204)
