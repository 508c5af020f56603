"""The fast mode for benchmarks: what it answers, what it counts, and when it looks closely after all."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientSession, TCPConnector

from notifier.channels.sms.sandbox import ACCOUNT_SID
from notifier.sandbox import FaultRule, Sandbox
from tests.named import PUSH, SMS

PUSHES = "/v1/projects/notifier-sandbox/messages:send"


@pytest.fixture
async def fast() -> AsyncIterator[Sandbox]:
    async with Sandbox(fast=True) as running:
        yield running


@pytest.fixture
async def client(fast: Sandbox) -> AsyncIterator[ClientSession]:
    """Sends everything down one connection."""
    async with ClientSession(fast.http_url, connector=TCPConnector(limit=1)) as session:
        yield session


def _push(reference: str) -> dict[str, Any]:
    return {"message": {"token": "t", "data": {"reference": reference, "type": "x"}, "notification": {"body": '"'}}}


async def test_pushes_and_texts_are_counted_by_their_reference_and_not_kept(
    fast: Sandbox, client: ClientSession
) -> None:
    # When
    for reference in ("one", "two", "two"):
        async with client.post(PUSHES, json=_push(reference)) as response:
            assert (await response.json())["name"].startswith("projects/")
    form = {"To": "+491511", "Body": "Hi", "StatusCallback": "http://127.0.0.1/receipts?reference=three"}
    async with client.post(f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json", data=form) as response:
        assert response.status == 201
        assert (await response.json())["sid"].startswith("SM")

    # Then
    assert fast.ledger.tallies[PUSH].times == {"one": 1, "two": 2}
    assert fast.ledger.tallies[PUSH].duplicates == 1
    assert fast.ledger.tallies[SMS].times == {"three": 1}
    assert [(entry.to, entry.content) for entry in fast.ledger.entries] == [("", None)] * 4


async def test_a_request_in_pieces_is_one_request(fast: Sandbox) -> None:
    # Given a client whose body comes behind its head, and in two parts, as the `requests` library sends it
    reader, writer = await asyncio.open_connection("127.0.0.1", int(fast.http_url.rpartition(":")[2]))
    body = b'{"message":{"data":{"reference":"in-pieces"}}}'
    writer.write(b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (PUSHES.encode(), len(body)))

    # When
    for piece in (body[:24], body[24:]):
        await writer.drain()
        await asyncio.sleep(0)
        writer.write(piece)
    head = await reader.readuntil(b"\r\n\r\n")
    writer.close()

    # Then
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert fast.ledger.accepted(PUSH, "in-pieces") == 1


async def test_the_same_connection_answers_for_the_whole_sandbox(fast: Sandbox, client: ClientSession) -> None:
    # Given a push, then a question on the connection that carried it
    async with client.post(PUSHES, json=_push("one")) as response:
        assert response.status == 200

    # When
    async with client.get("/sandbox/references") as response:
        found = await response.json()

    # Then
    assert found["push"] == {"one": 1}
    async with client.post(PUSHES, json=_push("two")) as response:
        assert response.status == 401  # the server that looks has it now, and misses the token


async def test_a_fault_on_order_is_met(fast: Sandbox, client: ClientSession) -> None:
    # Given
    fast.faults.add(FaultRule(channel="push", action="fail", status=503, times=1))

    # When
    async with client.post(PUSHES, json=_push("one")) as response:
        # Then the server that looks answers it
        assert response.status == 401
    assert fast.ledger.accepted(PUSH, "one") == 0


async def test_a_delay_on_order_holds(fast: Sandbox, client: ClientSession) -> None:
    # Given
    fast.faults.add(FaultRule(channel="push", action="delay", seconds=0.1))

    # When
    began = asyncio.get_running_loop().time()
    async with client.post(PUSHES, json=_push("one")) as response:
        assert response.status == 200

    # Then
    assert asyncio.get_running_loop().time() - began >= 0.1
