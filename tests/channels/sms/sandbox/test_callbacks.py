"""Status callbacks, received by a real server and checked with Twilio's own validator."""

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest
from aiohttp import ClientSession, encode_basic_auth, web
from twilio.request_validator import RequestValidator

from notifier.channels.sms.sandbox import ACCOUNT_SID, AUTH_TOKEN
from notifier.sandbox import FaultRule, Match, Sandbox


class Receiver(NamedTuple):
    """Where callbacks go, and what came: URL, form and signature."""

    url: str
    received: asyncio.Queue[tuple[str, dict[str, str], str]]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    received: asyncio.Queue[tuple[str, dict[str, str], str]] = asyncio.Queue()

    async def take(request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        received.put_nowait((str(request.url), form, request.headers["X-Twilio-Signature"]))
        return web.Response(status=204)

    app = web.Application()
    app.add_routes([web.post("/receipts", take)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield Receiver(f"http://127.0.0.1:{runner.addresses[0][1]}/receipts", received)
    await runner.cleanup()


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(callbacks=True) as running:
        yield running


async def send(sandbox: Sandbox, http: ClientSession, callback: str) -> str:
    """Sends a text; its sid."""
    async with http.post(
        f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json",
        data={"To": "+4915112345678", "From": "+15005550006", "Body": "Hello", "StatusCallback": callback},
        headers={"Authorization": encode_basic_auth(ACCOUNT_SID, AUTH_TOKEN)},
    ) as response:
        assert response.status == 201
        return str((await response.json())["sid"])


async def status_of(sandbox: Sandbox, http: ClientSession, sid: str) -> tuple[str, int | None]:
    """What Twilio says of a text when asked."""
    async with http.get(
        f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/{sid}.json",
        headers={"Authorization": encode_basic_auth(ACCOUNT_SID, AUTH_TOKEN)},
    ) as response:
        body = await response.json()
        return body["status"], body["error_code"]


async def test_a_text_is_reported_sent_then_delivered_with_a_valid_signature(
    sandbox: Sandbox, http: ClientSession, receiver: Receiver
) -> None:
    # When
    callback = f"{receiver.url}?reference=r1&note=a%20b"
    sid = await send(sandbox, http, callback)
    reports = [await receiver.received.get() for _ in range(2)]

    # Then
    validator = RequestValidator(AUTH_TOKEN)
    for url, form, signature in reports:
        assert url == callback
        assert validator.validate(callback, form, signature)
        assert not validator.validate(callback, {**form, "MessageStatus": "failed"}, signature)
        assert (form["MessageSid"], form["SmsSid"], form["AccountSid"]) == (sid, sid, ACCOUNT_SID)
        assert (form["To"], form["From"]) == ("+4915112345678", "+15005550006")
    assert [form["MessageStatus"] for _, form, _ in reports] == ["sent", "delivered"]
    assert await status_of(sandbox, http, sid) == ("delivered", None)


async def test_a_delivery_that_fails_is_reported_undelivered_with_its_code(
    sandbox: Sandbox, http: ClientSession, receiver: Receiver
) -> None:
    # Given
    sandbox.faults.add(
        FaultRule(channel="sms", action="fail", stage="delivery", code=30005, match=Match(reference="r1"), times=1)
    )

    # When
    sid = await send(sandbox, http, f"{receiver.url}?reference=r1")
    forms = [(await receiver.received.get())[1] for _ in range(2)]

    # Then
    assert [(form["MessageStatus"], form.get("ErrorCode")) for form in forms] == [
        ("sent", None),
        ("undelivered", "30005"),
    ]
    assert await status_of(sandbox, http, sid) == ("undelivered", 30005)
    assert sandbox.ledger.summary()["sms"]["accepted"] == 1


async def test_a_receipt_can_be_lost_while_twilio_knows_better_when_asked(
    sandbox: Sandbox, http: ClientSession, receiver: Receiver
) -> None:
    # Given one text whose receipt is lost, and one that is never heard of again
    sandbox.faults.add(
        FaultRule(channel="sms", action="drop_after", stage="delivery", match=Match(reference="lost")),
        FaultRule(channel="sms", action="drop_before", stage="delivery", match=Match(reference="never")),
    )

    # When
    lost = await send(sandbox, http, f"{receiver.url}?reference=lost")
    await receiver.received.get()
    never = await send(sandbox, http, f"{receiver.url}?reference=never")
    await receiver.received.get()
    await send(sandbox, http, f"{receiver.url}?reference=last")
    after = [await receiver.received.get() for _ in range(2)]

    # Then
    assert [form["MessageStatus"] for _, form, _ in after] == ["sent", "delivered"]
    assert all("reference=last" in url for url, _, _ in after)
    assert (await status_of(sandbox, http, lost))[0] == "delivered"
    assert (await status_of(sandbox, http, never))[0] == "sent"


async def test_a_callback_that_leaves_this_machine_is_not_made(
    sandbox: Sandbox, http: ClientSession, receiver: Receiver
) -> None:
    # When
    await send(sandbox, http, "http://192.0.2.1/receipts?reference=out")
    await send(sandbox, http, f"{receiver.url}?reference=in")

    # Then both texts are delivered, and only the one is told of
    url, _, _ = await receiver.received.get()
    assert "reference=in" in url
    assert sandbox.ledger.summary()["sms"]["accepted"] == 2


async def test_a_receiver_that_is_down_does_no_harm(sandbox: Sandbox, http: ClientSession, receiver: Receiver) -> None:
    await send(sandbox, http, "http://127.0.0.1:1/receipts?reference=nobody")
    await send(sandbox, http, f"{receiver.url}?reference=in")
    assert (await receiver.received.get())[1]["MessageStatus"] == "sent"


async def test_leaving_the_sandbox_ends_deliveries_under_way(receiver: Receiver) -> None:
    # Given a delivery that would take an hour
    async with Sandbox(callbacks=True) as sandbox, ClientSession(sandbox.http_url) as http:
        sandbox.faults.add(FaultRule(channel="sms", action="delay", stage="delivery", seconds=3_600))
        await send(sandbox, http, f"{receiver.url}?reference=r1")
        await receiver.received.get()

    # Then leaving took no hour
    assert receiver.received.empty()
