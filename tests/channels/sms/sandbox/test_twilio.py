import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import ClientConnectionError, ClientSession, encode_basic_auth
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from notifier.channels.sms.sandbox import ACCOUNT_SID, AUTH_TOKEN, Sms
from notifier.channels.sms.sandbox.twilio import ERRORS
from notifier.sandbox import FaultRule, Sandbox
from tests.named import SMS

Create = Callable[..., Awaitable[tuple[int, dict[str, Any], dict[str, str]]]]

FORM = {
    "To": "+4915112345678",
    "From": "+15005550006",
    "Body": "Charging complete.",
    "StatusCallback": "http://127.0.0.1:1/receipts?reference=r1",
    "ValidityPeriod": "1800",
}


@pytest.fixture
def messages(sandbox: Sandbox) -> str:
    return f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages"


@pytest.fixture
def login(sandbox: Sandbox) -> dict[str, str]:
    return {"Authorization": encode_basic_auth(ACCOUNT_SID, AUTH_TOKEN)}


@pytest.fixture
def create(http: ClientSession, messages: str, login: dict[str, str]) -> Create:
    """Posts a text, the form's fields changed; those set to None are left out."""

    async def post(**changes: str | None) -> tuple[int, dict[str, Any], dict[str, str]]:
        form = {name: value for name, value in {**FORM, **changes}.items() if value is not None}
        async with http.post(f"{messages}.json", data=form, headers=login) as response:
            return response.status, await response.json(), dict(response.headers)

    return post


async def test_a_text_is_taken_and_answered_with_twilios_fields(sandbox: Sandbox, create: Create) -> None:
    # When
    status, body, _ = await create()

    # Then
    [entry] = sandbox.ledger.entries
    assert status == 201
    assert (entry.reference, entry.to, entry.provider_id) == ("r1", "+4915112345678", body["sid"])
    assert entry.content == Sms(
        sender="+15005550006",
        body="Charging complete.",
        encoding="GSM-7",
        segments=1,
        status_callback=FORM["StatusCallback"],
        validity=1800,
    )
    assert body["sid"][:2] == "SM"
    assert len(bytes.fromhex(body["sid"][2:])) == 16
    assert (body["status"], body["num_segments"], body["date_sent"]) == ("queued", "1", None)
    assert body["uri"] == f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/{body['sid']}.json"


async def test_segments_are_counted_unless_a_messaging_service_has_yet_to_choose_the_sender(
    sandbox: Sandbox, create: Create
) -> None:
    # When
    _, direct, _ = await create(Body="ё" * 71)
    _, pooled, _ = await create(Body="ё" * 71, From=None, MessagingServiceSid="MG" + "0" * 32)

    # Then
    assert (direct["num_segments"], pooled["num_segments"]) == ("2", "0")
    contents = [entry.content for entry in sandbox.ledger.entries]
    assert [content.segments for content in contents if isinstance(content, Sms)] == [2, 2]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"To": None}, 21604),
        ({"To": "015112345678"}, 21211),
        ({"From": None}, 21603),
        ({"Body": ""}, 21602),
        ({"Body": "x" * 1_601}, 21617),
        ({"StatusCallback": "receipts"}, 21609),
        ({"ValidityPeriod": "0"}, 90007),
        ({"ValidityPeriod": "36001"}, 90007),
        ({"ValidityPeriod": "soon"}, 90007),
    ],
)
async def test_a_form_at_fault_is_refused_with_twilios_code(
    sandbox: Sandbox, create: Create, changes: dict[str, str | None], code: int
) -> None:
    # When
    status, body, _ = await create(**changes)

    # Then
    assert status == 400
    assert body == {
        "code": code,
        "message": ERRORS[str(code)][1],
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": 400,
    }
    assert sandbox.ledger.summary()["sms"]["refused"] == {str(code): 1}


@pytest.mark.parametrize(
    ("rule", "status", "code", "retry_after"),
    [
        (FaultRule(channel="sms", action="fail", code=21610), 400, 21610, None),
        (FaultRule(channel="sms", action="fail", code="30007"), 400, 30007, None),
        (FaultRule(channel="sms", action="fail", code=20429, retry_after=2), 429, 20429, "2"),
        (FaultRule(channel="sms", action="fail", status=503), 503, 20503, None),
        (FaultRule(channel="sms", action="fail"), 500, 20500, None),
    ],
)
async def test_a_failure_on_order_is_told_as_twilio_does(
    sandbox: Sandbox, create: Create, rule: FaultRule, status: int, code: int, retry_after: str | None
) -> None:
    # Given
    sandbox.faults.add(rule)

    # When
    answered, body, headers = await create()

    # Then
    assert (answered, body["status"], body["code"]) == (status, status, code)
    assert headers.get("Retry-After") == retry_after
    assert sandbox.ledger.of("r1")[0].code == str(code)


async def test_a_text_dropped_after_is_found_by_asking_for_messages_to_that_number(
    sandbox: Sandbox, create: Create, http: ClientSession, messages: str, login: dict[str, str]
) -> None:
    # Given
    started = datetime.now(UTC).replace(microsecond=0)
    sandbox.faults.add(FaultRule(channel="sms", action="drop_after", times=1))
    with pytest.raises(ClientConnectionError):
        await create()
    await create(To="+33612345678")

    # When
    query = {"To": FORM["To"], "DateSent>": started.strftime("%Y-%m-%dT%H:%M:%SZ")}
    async with http.get(f"{messages}.json", params=query, headers=login) as response:
        found = (await response.json())["messages"]

    # Then
    [entry] = sandbox.ledger.of("r1", SMS)[:1]
    assert [(message["sid"], message["body"]) for message in found] == [(entry.provider_id, FORM["Body"])]
    async with http.get(f"{messages}/{entry.provider_id}.json", headers=login) as response:
        assert (await response.json())["status"] == "sent"


@pytest.mark.parametrize(
    "rule", [FaultRule(channel="sms", action="drop_before"), FaultRule(channel="sms", action="hang", seconds=0.05)]
)
async def test_a_text_dropped_before_or_hung_is_not_taken(sandbox: Sandbox, create: Create, rule: FaultRule) -> None:
    sandbox.faults.add(rule)
    with pytest.raises(ClientConnectionError):
        await create()
    assert sandbox.ledger.entries == []


async def test_the_list_is_filtered_by_day_and_paged_newest_first(
    sandbox: Sandbox, create: Create, http: ClientSession, messages: str, login: dict[str, str]
) -> None:
    # Given
    sids = [(await create(Body=f"text {number}"))[1]["sid"] for number in range(5)]

    async def page(url: str) -> dict[str, Any]:
        async with http.get(url, headers=login) as response:
            assert response.status == 200
            found: dict[str, Any] = await response.json()
            return found

    # When / Then
    first = await page(f"{messages}.json?PageSize=2")
    second = await page(first["next_page_uri"])
    third = await page(second["next_page_uri"])
    listed = [message["sid"] for found in (first, second, third) for message in found["messages"]]
    assert listed == sids[::-1]
    assert third["next_page_uri"] is None

    today = datetime.now(UTC).date()
    assert len((await page(f"{messages}.json?DateSent={today}"))["messages"]) == 5
    assert (await page(f"{messages}.json?DateSent>={today + timedelta(days=1)}"))["messages"] == []
    assert (await page(f"{messages}.json?DateSent<={today - timedelta(days=1)}"))["messages"] == []


@pytest.mark.parametrize("query", ["DateSent>=yesterday", "Page=x"])
async def test_a_list_with_a_senseless_filter_is_refused(
    http: ClientSession, messages: str, login: dict[str, str], query: str
) -> None:
    async with http.get(f"{messages}.json?{query}", headers=login) as response:
        assert (response.status, (await response.json())["code"]) == (400, 20001)


async def test_wrong_credentials_are_refused_everywhere(
    sandbox: Sandbox, http: ClientSession, messages: str, login: dict[str, str]
) -> None:
    wrong = {"Authorization": encode_basic_auth(ACCOUNT_SID, "guess")}
    for method, url in (("POST", f"{messages}.json"), ("GET", f"{messages}.json"), ("GET", f"{messages}/SM1.json")):
        async with http.request(method, url, headers=wrong) as response:
            assert (response.status, (await response.json())["code"]) == (401, 20003)
    async with http.get("/2010-04-01/Accounts/AC0/Messages.json", headers=login) as response:
        assert response.status == 401
    async with http.get(f"{messages}/SM0.json", headers=login) as response:
        assert (response.status, (await response.json())["code"]) == (404, 20404)


async def test_twilios_own_library_understands_every_answer(sandbox: Sandbox) -> None:
    # Given
    class Local(TwilioHttpClient):  # type: ignore[misc]  # twilio has no types
        def request(self, method: str, url: str, *more: Any, **options: Any) -> Response:
            return super().request(method, url.replace("https://api.twilio.com", sandbox.http_url), *more, **options)

    local = Local(timeout=5)
    client = Client(ACCOUNT_SID, AUTH_TOKEN, http_client=local)

    def scenario() -> None:
        # When
        sent = client.messages.create(to=FORM["To"], from_=FORM["From"], body="Hello", validity_period=600)
        fetched = client.messages(sent.sid).fetch()
        since = datetime.now(UTC) - timedelta(minutes=1)
        listed = client.messages.list(to=FORM["To"], date_sent_after=since)

        # Then
        assert (sent.status, fetched.status, fetched.body) == ("queued", "sent", "Hello")
        assert abs(sent.date_created - datetime.now(UTC)) < timedelta(seconds=5)
        assert [message.sid for message in listed] == [sent.sid]
        with pytest.raises(TwilioRestException) as refused:
            client.messages.create(to="nobody", from_=FORM["From"], body="Hello")
        assert (refused.value.status, refused.value.code) == (400, 21211)
        local.session.close()

    await asyncio.to_thread(scenario)
