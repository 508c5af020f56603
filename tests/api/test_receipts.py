"""Twilio's webhooks over HTTP: signed ones are taken in whatever order and number, others change nothing."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import permutations
from pathlib import Path
from urllib.parse import urlencode

import pytest
from aiohttp import ClientSession, web
from twilio.request_validator import RequestValidator
from yarl import URL

from notifier.api.http import FORM, JSON
from notifier.channels.sms.sandbox import ACCOUNT_SID, AUTH_TOKEN
from notifier.channels.sms.transport import TwilioTransport
from notifier.domain.clock import SystemClock
from notifier.domain.deliveries import Lane, State
from notifier.domain.recipients import RecipientDetails
from notifier.pipeline.deliver import deliver
from notifier.pipeline.engine import WorkerEngine
from notifier.rendering import Brand, Renderer
from notifier.runtime.rotation import Rotation
from notifier.runtime.settings import Settings, load_settings
from notifier.sandbox import FaultRule, Match, Sandbox
from notifier.store.core import buckets
from notifier.store.core.database import Database
from notifier.store.core.schema import suppression
from notifier.store.core.staff import audit
from notifier.store.core.status import rendered as delivery
from notifier.store.delivery import deliveries
from notifier.store.delivery.deliveries import NewDelivery
from notifier.store.people import recipients
from tests import everywhere
from tests.api.conftest import on_sqlite
from tests.api.server import application
from tests.api.twilio_calls import (
    ACCOUNTS,
    INBOUND,
    OTHER,
    PHONE,
    PUBLIC,
    RECEIPTS,
    REFERENCE,
    SID,
    STATUS,
    TOKEN,
    Twilio,
)
from tests.named import SMS
from tests.samples import CATALOG, LINKS, NOW, encoded

TEMPLATES = Path(__file__).parents[2] / "templates"


@pytest.fixture
async def twilio(database: Database, valkey: str) -> AsyncIterator[Twilio]:
    """An API that knows two accounts, behind a proxy that gives it another address, with a text that was sent."""
    await recipients.put(database, {"ada": RecipientDetails(phone=PHONE, locale="fr")}, NOW)
    sent = NewDelivery(
        id=REFERENCE, event_id=REFERENCE, recipient_id="ada", type="charging-complete", channel=SMS, target="",
        lane=Lane.URGENT, subject_key=REFERENCE, state=State.SENT, reason=None, created_at=NOW, updated_at=NOW,
        due_at=NOW, expires_at=NOW, next_check_at=None,
    )  # fmt: skip
    there = buckets.of(database, "ada")
    await there.write(lambda connection: deliveries.add(connection, there.dialect, [sent]))
    settings = Settings(public_url=PUBLIC, channels={"sms_providers": ACCOUNTS})
    async with application(database, valkey, settings=settings) as api:
        yield Twilio(api)


# Status callbacks


@pytest.mark.parametrize("order", list(permutations(["queued", "sent", "delivered", "delivered"]))[::5])
async def test_a_delivered_text_is_delivered_in_whatever_order_its_callbacks_come(
    twilio: Twilio, order: tuple[str, ...]
) -> None:
    for status in order:
        answer = await twilio.report(status)
        assert (answer.status, answer.body) == (204, "")

    assert await twilio.state() == ("delivered", None, None)


async def test_an_undelivered_text_says_why_and_its_number_is_suppressed_once(twilio: Twilio) -> None:
    # When a number turns out to be no good, and the callback is repeated and followed by a late one
    for status in ("undelivered", "sent", "undelivered", "delivered"):
        assert (await twilio.report(status, ErrorCode="30005")).status == 204

    # Then that is what the books say
    assert await twilio.state() == ("undelivered", "address_gone", "30005")
    (found,) = await twilio.api.rows(suppression)
    assert found.reason == "bad_number"
    assert PHONE[1:] not in str(found)


async def test_a_callback_in_json_counts_as_well(twilio: Twilio) -> None:
    answer = await twilio.json(STATUS, {"MessageStatus": "failed", "MessageSid": SID, "To": PHONE, "ErrorCode": 30007})

    assert answer.status == 204
    assert await twilio.state() == ("undelivered", "refused", "30007")


async def test_every_account_of_ours_may_sign_and_is_the_deliverys_provider(twilio: Twilio) -> None:
    assert (await twilio.report("delivered", token=OTHER)).status == 204

    (row,) = await twilio.api.rows(delivery)
    assert (row.state, row.provider, row.provider_reference) == ("delivered", "second", SID)


@pytest.mark.parametrize("path", [RECEIPTS, f"{RECEIPTS}?reference=", f"{RECEIPTS}?reference={'0' * 32}"])
async def test_a_reference_that_nobody_knows_is_answered_alike_and_changes_nothing(twilio: Twilio, path: str) -> None:
    assert (await twilio.report("undelivered", path, ErrorCode="30005")).status == 204

    assert await twilio.state() == ("sent", None, None)
    assert await twilio.api.rows(suppression) == []


async def test_a_status_that_nobody_knows_changes_nothing(twilio: Twilio) -> None:
    assert (await twilio.report("teleported")).status == 204
    assert await twilio.state() == ("sent", None, None)


async def test_fifty_callbacks_at_once_are_all_answered_and_move_it_once(twilio: Twilio) -> None:
    statuses = ["delivered", "sent", "undelivered", "queued", "failed"] * 10

    answers = await asyncio.gather(*(twilio.report(status) for status in statuses))

    assert {answer.status for answer in answers} == {204}
    assert (await twilio.state())[0] in ("delivered", "undelivered")


# Spoofed


def signed(path: str = STATUS, fields: dict[str, str] | None = None, public: str = PUBLIC, token: str = TOKEN) -> str:
    fields = {"MessageStatus": "undelivered"} if fields is None else fields
    signature: str = RequestValidator(token).compute_signature(public + path, fields)
    return signature


SPOOFED = {
    "no signature": "",
    "nonsense": "x" * 28,
    "another account's": signed(token="not-ours"),
    "nobody's": signed(token=""),
    "of no fields": signed(fields={}),
    "of other fields": signed(fields={"MessageStatus": "sent"}),
    "of more fields": signed(fields={"MessageStatus": "undelivered", "ErrorCode": "30003"}),
    "of another reference": signed(f"{RECEIPTS}?reference={'6f' * 16}"),
    "of another address": signed(f"{INBOUND}?reference={REFERENCE}"),
    "of another host": signed(public="https://evil.example/hooks"),
    "of the address behind the proxy": signed(public="http://127.0.0.1"),
}


@pytest.mark.parametrize("signature", SPOOFED.values(), ids=SPOOFED)
@on_sqlite
async def test_a_spoofed_callback_is_refused_and_changes_nothing(twilio: Twilio, signature: str) -> None:
    answer = await twilio.raw(STATUS, b"MessageStatus=undelivered", FORM, signature)

    assert answer.problem == (40302, None)
    assert await twilio.state() == ("sent", None, None)


@on_sqlite
async def test_the_host_that_a_caller_names_is_not_what_counts(twilio: Twilio) -> None:
    # Given a callback signed for a host of the caller's own, which its Host header names
    evil = signed(public="http://evil.example")
    told = {"Host": "evil.example", "X_Forwarded_Host": "evil.example", "X_Forwarded_Proto": "http"}
    body = b"MessageStatus=undelivered"

    # Then it is refused, and the true one is taken whatever the proxy made of the host
    assert (await twilio.raw(STATUS, body, FORM, evil, **told)).problem == (40302, None)
    assert (await twilio.raw(STATUS, body, FORM, signed(), **told)).status == 204


@pytest.mark.parametrize("media", ["", "text/plain", JSON, "multipart/form-data; boundary=x"])
@on_sqlite
async def test_a_signed_form_under_another_media_type_is_refused(twilio: Twilio, media: str) -> None:
    assert (await twilio.raw(STATUS, b"MessageStatus=undelivered", media, signed())).problem == (40302, None)
    assert await twilio.state() == ("sent", None, None)


@on_sqlite
async def test_json_whose_hash_nobody_signed_is_refused(twilio: Twilio) -> None:
    body = b'{"MessageStatus": "undelivered"}'
    path = f"{STATUS}&bodySHA256={sha256(b'{}').hexdigest()}"

    assert (await twilio.raw(path, body, JSON, signed(path, {}))).problem == (40302, None)
    assert (await twilio.raw(STATUS, body, JSON, signed(fields={}))).problem == (40302, None)
    assert await twilio.state() == ("sent", None, None)


@on_sqlite
async def test_a_body_that_is_too_large_is_not_read(twilio: Twilio) -> None:
    assert (await twilio.raw(STATUS, b"x=" + b"y" * 100_000, FORM, signed())).problem == (41301, None)


@on_sqlite
async def test_where_no_account_is_set_nobody_can_sign(database: Database, valkey: str) -> None:
    async with application(database, valkey, settings=Settings(public_url=PUBLIC)) as api:
        answer = await Twilio(api).report("delivered", token="")

    assert answer.problem == (40302, None)


@on_sqlite
async def test_a_token_that_was_put_in_front_is_believed_at_once_and_the_one_behind_it_too(
    database: Database, valkey: str, tmp_path: Path
) -> None:
    # Given a web process whose account is in a file
    file = tmp_path / "accounts"
    file.write_text("twilio://AC1:old@api.twilio.com?from=%2B1500")
    environ = {"NOTIFIER_SMS_PROVIDERS_FILE": str(file), "NOTIFIER_PUBLIC_URL": PUBLIC}
    rotation = Rotation(load_settings(environ), environ=environ)
    async with application(database, valkey, rotation=rotation) as api:
        twilio = Twilio(api)
        assert (await twilio.report("delivered", token="new")).status == 403

        # When a new token is put in front of the old one
        account = "twilio://AC1:{0}@api.twilio.com?from=%2B1500&name={0}"
        file.write_text(f"{account.format('new')} {account.format('old')}&weight=0")
        await rotation.look()

        # Then callbacks that either of them signed are believed
        for token in ("new", "old"):
            assert (await twilio.report("delivered", token=token)).status == 204


# What people write


async def test_stop_is_confirmed_once_in_the_persons_language_and_start_lifts_it(twilio: Twilio) -> None:
    # When a driver who reads French writes STOP, twice, and then START
    first, again, start = [await twilio.text(body, sid) for sid, body in enumerate(("Stop!", "STOP", "start"))]

    # Then each is heeded, and answered once
    assert first.headers["Content-Type"].startswith("text/xml")
    assert "<Message>Voltline : vous ne recevrez plus de SMS" in first.body
    assert again.body.endswith("<Response></Response>")
    assert "<Message>Voltline : vous recevrez à nouveau" in start.body
    assert await twilio.api.rows(suppression) == []


async def test_a_stop_is_heeded_once_however_often_it_is_told(twilio: Twilio) -> None:
    await twilio.text("STOP", 1)
    await twilio.text("START", 2)

    replayed = await twilio.text("STOP", 1)

    assert replayed.body.endswith("<Response></Response>")
    assert await twilio.api.rows(suppression) == []
    assert len(await twilio.api.rows(audit)) == 2


@pytest.mark.parametrize("body", ["don't stop", "stop sending me the blue ones please", "", "thanks!"])
@on_sqlite
async def test_any_other_text_is_passed_over(twilio: Twilio, body: str) -> None:
    answer = await twilio.text(body, 1)

    assert (answer.status, await twilio.api.rows(suppression)) == (200, [])
    assert answer.body.endswith("<Response></Response>")


@on_sqlite
async def test_help_says_who_writes(twilio: Twilio) -> None:
    assert "Voltline" in (await twilio.text("HELP", 1)).body


@on_sqlite
async def test_nobody_but_the_person_stops_a_number(twilio: Twilio) -> None:
    body = urlencode({"From": PHONE, "Body": "STOP", "MessageSid": SID}).encode()

    assert (await twilio.raw(INBOUND, body, FORM, signed(INBOUND, {}))).problem == (40302, None)
    assert await twilio.api.rows(suppression) == []


# End to end


@dataclass
class Front:
    """A reverse proxy that takes the prefix off the path and passes requests on; it tells their paths' last word and
    the answers' statuses."""

    url: str
    passed: asyncio.Queue[tuple[str, int]] = field(default_factory=asyncio.Queue)
    behind: str = ""


@asynccontextmanager
async def serve_front() -> AsyncIterator[Front]:
    async def pass_on(request: web.Request) -> web.Response:
        url = URL(front.behind + request.raw_path.removeprefix("/hooks"), encoded=True)
        headers = {name: request.headers[name] for name in ("Content-Type", "X-Twilio-Signature")}
        async with ClientSession() as session, session.post(url, data=await request.read(), headers=headers) as answer:
            front.passed.put_nowait(((await request.post()).get("MessageStatus", ""), answer.status))  # type: ignore[arg-type]
            return web.Response(status=answer.status)

    app = web.Application()
    app.add_routes([web.post("/hooks/{path:.*}", pass_on)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    front = Front(f"http://127.0.0.1:{runner.addresses[0][1]}/hooks")
    yield front
    await runner.cleanup()


async def test_what_twilio_tells_of_our_texts_is_in_the_books(database: Database, valkey: str) -> None:
    # Given the API behind a proxy, workers, and a Twilio that knows one number to be no good
    numbers = {f"d{number}": f"+49151234567{number:02}" for number in range(20)}
    people = {id_: RecipientDetails(phone=phone) for id_, phone in numbers.items()}
    await recipients.put(database, people, NOW)
    async with Sandbox(callbacks=True) as sandbox, serve_front() as front:
        sandbox.faults.add(
            FaultRule(channel="sms", action="fail", stage="delivery", code=30006, match=Match(to=numbers["d7"]))
        )
        port = sandbox.http_url.rpartition(":")[2]
        providers = f"twilio+http://{ACCOUNT_SID}:{AUTH_TOKEN}@127.0.0.1:{port}?from=VOLTLINE&name=main"
        settings = Settings(public_url=front.url, channels={"sms_providers": providers})
        transport = TwilioTransport(
            ACCOUNT_SID, AUTH_TOKEN, "VOLTLINE", clock=SystemClock(), base_url=sandbox.http_url,
            callback_url=f"{front.url}{RECEIPTS}",
        )  # fmt: skip
        async with application(database, valkey, settings=settings) as api:
            front.behind = api.url
            worker = WorkerEngine(
                database=database, catalog=CATALOG, signals=api.engine.signals, clock=api.clock, links=LINKS,
                renderer=Renderer(CATALOG, TEMPLATES, Brand("Voltline", "https://app.example.com")),
                transports={SMS: transport},
            )  # fmt: skip

            # When each driver's charging completes, and all callbacks have come
            batch = [
                json.loads(
                    encoded(
                        id=id_,
                        type="charging.complete",
                        data={
                            "session_id": id_,
                            "kind": "full",
                            "station": "Gent Zuid",
                            "energy_kwh": 41.12,
                            "completed_at": "2026-03-09T17:40:00Z",
                            "driver_id": id_,
                        },
                    )
                )
                for id_ in numbers
            ]
            answer = await api.post(json.dumps(batch), "application/cloudevents-batch+json")
            await everywhere.decide(worker, [each["event"] for each in answer.body["results"]])
            texts = [row.id for row in await api.rows(delivery) if row.channel == "sms"]
            assert sum([await deliver(each, SMS, texts) for each in worker.buckets]) == len(numbers)
            told = [await front.passed.get() for _ in range(2 * len(numbers))]

            # Then every receipt was taken, and the books tell what Twilio's do
            assert {status for _, status in told} == {204}
            rows = {row.recipient_id: row for row in await api.rows(delivery) if row.channel == "sms"}
            assert {row.state for id_, row in rows.items() if id_ != "d7"} == {"delivered"}
            assert (rows["d7"].state, rows["d7"].reason, rows["d7"].code) == ("undelivered", "address_gone", "30006")
            assert {row.locale for row in rows.values()} == {"en"}
            assert all(row.lease_token is None and row.next_check_at is None for row in rows.values())
            (found,) = await api.rows(suppression)
            assert found.reason == "bad_number"
        await transport.close()
