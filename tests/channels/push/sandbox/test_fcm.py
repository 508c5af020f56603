import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import ClientConnectionError, ClientSession
from firebase_admin import credentials

from notifier.channels.push.sandbox import Push
from notifier.channels.push.sandbox.fcm import ERRORS
from notifier.channels.push.sandbox.oauth import LIFETIME, PROJECT
from notifier.domain.clock import SECOND, ManualClock, SystemClock
from notifier.sandbox import FaultRule, Match, Sandbox
from tests.named import PUSH
from tests.stand_ins import service_account

Send = Callable[[dict[str, Any]], Awaitable[tuple[int, dict[str, Any]]]]

LONG = "https://i.example/" + "x" * 2_040
MESSAGE: dict[str, Any] = {
    "token": "device-1",
    "notification": {"title": "Charging complete", "body": "Please move your car."},
    "data": {"reference": "r1", "link": "app://session/101"},
    "android": {"collapse_key": "session-101", "ttl": "1800s", "priority": "high"},
    "apns": {"headers": {"APNS-Collapse-Id": "session-101"}, "payload": {"aps": {"sound": "default"}}},
}


async def test_a_push_is_taken_and_entered_with_all_it_holds(sandbox: Sandbox, push: Send) -> None:
    # When
    status, body = await push(MESSAGE)

    # Then
    [entry] = sandbox.ledger.entries
    assert status == 200
    assert body == {"name": entry.provider_id}
    assert entry.provider_id.startswith(f"projects/{PROJECT}/messages/0:")
    assert (entry.channel, entry.reference, entry.to, entry.verdict) == (PUSH, "r1", "device-1", "accepted")
    assert entry.content == Push(
        title="Charging complete",
        body="Please move your car.",
        data={"reference": "r1", "link": "app://session/101"},
        collapse_key="session-101",
        time_to_live="1800s",
        priority="high",
        apns_headers={"apns-collapse-id": "session-101"},
    )


async def test_a_picture_and_a_button_are_entered(sandbox: Sandbox, push: Send) -> None:
    image = "https://i.example/a.png"
    status, _ = await push(
        {
            **MESSAGE,
            "notification": {"title": "t", "body": "b", "image": image},
            "data": {"reference": "r1", "action": "Pay now"},
            "android": {"notification": {"click_action": "payment-failed"}},
            "apns": {
                "payload": {"aps": {"mutable-content": 1, "category": "payment-failed"}},
                "fcm_options": {"image": image},
            },
        }
    )

    content = sandbox.ledger.entries[0].content
    assert status == 200
    assert isinstance(content, Push)
    assert (content.image, content.action) == (image, "Pay now")


async def test_an_installation_id_is_an_address_too(sandbox: Sandbox, push: Send) -> None:
    assert (await push({"fid": "installation-1"}))[0] == 200
    assert sandbox.ledger.entries[0].to == "installation-1"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"token": ""}, "message"),
        ({"fid": "also"}, "message"),
        ({"topic": "news"}, "message"),
        ({"data": {"reference": 5}}, "message.data[...]"),
        ({"notification": {"image": "a picture"}}, "message.notification"),
        ({"android": {"notification": {"image": "//i.example/a.png"}}}, "message.android"),
        ({"android": {"notification": {"click_action": 1}}}, "message.android"),
        ({"apns": {"fcm_options": {"image": "a.png"}}}, "message.apns.fcm_options"),
        ({"apns": {"fcm_options": {"picture": "https://i.example/a.png"}}}, "message.apns.fcm_options"),
        ({"apns": {"payload": {"aps": "now"}}}, "message.apns"),
        ({"data": {"google.sent_time": "1"}}, "message"),
        ({"data": {"from": "us"}}, "message"),
        ({"data": {"text": "x" * 4_097}}, "message"),
        ({"notification": {"title": "ü" * 2_050}}, "message"),
        ({"apns": {"payload": {"aps": {"alert": "x" * 4_097}}}}, "message"),
        ({"notification": {"image": LONG}, "apns": {"fcm_options": {"image": LONG}}}, "message"),
        ({"apns": {"headers": {"apns-collapse-id": "x" * 65}}}, "message.apns"),
        ({"android": {"ttl": "2419201s"}}, "message.android"),
        ({"android": {"ttl": "1h"}}, "message.android"),
        ({"android": {"priority": "urgent"}}, "message.android.priority"),
    ],
)
async def test_a_message_out_of_shape_is_an_invalid_argument(
    sandbox: Sandbox, push: Send, changes: dict[str, Any], field: str
) -> None:
    # When
    status, body = await push({**MESSAGE, **changes})

    # Then
    error = body["error"]
    assert (status, error["code"], error["status"]) == (400, 400, "INVALID_ARGUMENT")
    assert error["details"][0] == {
        "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError",
        "errorCode": "INVALID_ARGUMENT",
    }
    assert error["details"][1]["fieldViolations"][0]["field"] == field
    assert sandbox.ledger.summary()["push"]["refused"] == {"INVALID_ARGUMENT": 1}


async def test_a_payload_of_exactly_the_limit_is_taken(push: Send) -> None:
    # Given keys, values, title and body of 4,096 bytes in all
    message = {"token": "device-1", "data": {"k": "x" * 4_000}, "notification": {"title": "t" * 95}}

    # Then
    assert (await push(message))[0] == 200
    message["notification"] = {"title": "t" * 96}
    assert (await push(message))[0] == 400


@pytest.mark.parametrize("code", sorted(ERRORS.keys() - {"RESOURCE_EXHAUSTED"}))
async def test_every_documented_error_comes_as_fcm_tells_it(sandbox: Sandbox, push: Send, code: str) -> None:
    # Given
    sandbox.faults.add(FaultRule(channel="push", action="fail", code=code, times=1))

    # When
    status, body = await push(MESSAGE)

    # Then
    expected, canonical, _ = ERRORS[code]
    assert (status, body["error"]["code"], body["error"]["status"]) == (expected, expected, canonical)
    assert body["error"]["details"][0]["errorCode"] == code
    [entry] = sandbox.ledger.entries
    assert (entry.verdict, entry.code, entry.to, entry.reference) == ("refused", code, "device-1", "r1")
    assert (await push(MESSAGE))[0] == 200


@pytest.mark.parametrize(
    ("rule", "status", "retry_after"),
    [
        (FaultRule(channel="push", action="fail", code="QUOTA_EXCEEDED"), 429, "60"),
        (FaultRule(channel="push", action="fail", code="QUOTA_EXCEEDED", retry_after=7), 429, "7"),
        (FaultRule(channel="push", action="fail", status=503, retry_after=3), 503, "3"),
        (FaultRule(channel="push", action="fail", status=502), 502, None),
        (FaultRule(channel="push", action="fail"), 503, None),
    ],
)
async def test_a_failure_carries_its_status_and_retry_after(
    sandbox: Sandbox, http: ClientSession, ask_for_token: Any, rule: FaultRule, status: int, retry_after: str | None
) -> None:
    # Given
    _, granted = await ask_for_token()
    sandbox.faults.add(rule)

    # When
    headers = {"Authorization": f"Bearer {granted['access_token']}"}
    async with http.post(
        f"/v1/projects/{PROJECT}/messages:send", json={"message": MESSAGE}, headers=headers
    ) as response:
        # Then
        assert response.status == status
        assert response.headers.get("Retry-After") == retry_after
        # A gateway's failure is a page, not JSON.
        assert (response.content_type == "text/html") is (status == 502)


async def test_a_push_dropped_after_is_taken_and_never_answered(sandbox: Sandbox, push: Send) -> None:
    # Given
    sandbox.faults.add(FaultRule(channel="push", action="drop_after", times=1, match=Match(reference="r1")))

    # When
    with pytest.raises(ClientConnectionError):
        await push(MESSAGE)
    await push(MESSAGE)

    # Then
    assert sandbox.ledger.accepted(PUSH, "r1") == 2
    assert sandbox.ledger.summary()["push"]["duplicates"] == 1


@pytest.mark.parametrize(
    "rule",
    [
        FaultRule(channel="push", action="drop_before"),
        FaultRule(channel="push", action="hang", seconds=0.05),
    ],
)
async def test_a_push_dropped_before_or_hung_is_not_taken(sandbox: Sandbox, push: Send, rule: FaultRule) -> None:
    sandbox.faults.add(rule)
    with pytest.raises(ClientConnectionError):
        await push(MESSAGE)
    assert sandbox.ledger.entries == []


async def test_a_delayed_push_is_taken_at_once_and_answered_late(sandbox: Sandbox, push: Send) -> None:
    # Given
    sandbox.faults.add(FaultRule(channel="push", action="delay", seconds=0.2))

    # When
    started = asyncio.get_running_loop().time()
    status, _ = await push(MESSAGE)

    # Then
    assert status == 200
    assert asyncio.get_running_loop().time() - started >= 0.2
    assert sandbox.ledger.accepted(PUSH, "r1") == 1


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer ya29.made-up"}, {"Authorization": "Basic eDp5"}])
async def test_a_push_without_a_token_of_ours_is_unauthenticated(
    sandbox: Sandbox, http: ClientSession, headers: dict[str, str]
) -> None:
    async with http.post(
        f"/v1/projects/{PROJECT}/messages:send", json={"message": MESSAGE}, headers=headers
    ) as response:
        assert response.status == 401
        assert (await response.json())["error"]["status"] == "UNAUTHENTICATED"
    assert sandbox.ledger.summary()["push"] == {
        "accepted": 0,
        "references": 0,
        "duplicates": 0,
        "refused": {"UNAUTHENTICATED": 1},
    }


async def test_another_project_is_forbidden(http: ClientSession, ask_for_token: Any) -> None:
    _, granted = await ask_for_token()
    headers = {"Authorization": f"Bearer {granted['access_token']}"}
    async with http.post("/v1/projects/other/messages:send", json={"message": MESSAGE}, headers=headers) as response:
        assert response.status == 403


async def test_a_validate_only_push_is_answered_and_not_entered(
    sandbox: Sandbox, http: ClientSession, ask_for_token: Any
) -> None:
    _, granted = await ask_for_token()
    headers = {"Authorization": f"Bearer {granted['access_token']}"}
    wanted = {"message": MESSAGE, "validate_only": True}
    async with http.post(f"/v1/projects/{PROJECT}/messages:send", json=wanted, headers=headers) as response:
        assert response.status == 200
    assert sandbox.ledger.entries == []


async def test_the_service_account_works_with_googles_own_library(sandbox: Sandbox, http: ClientSession) -> None:
    # Given
    credential = credentials.Certificate(service_account(sandbox))

    # When
    granted = await asyncio.to_thread(credential.get_access_token)

    # Then
    headers = {"Authorization": f"Bearer {granted.access_token}"}
    async with http.post(
        f"/v1/projects/{PROJECT}/messages:send", json={"message": MESSAGE}, headers=headers
    ) as response:
        assert response.status == 200


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"aud": "https://example.com/token"}, "invalid_grant"),
        ({"iss": "someone@else"}, "invalid_grant"),
        ({"exp": 1}, "invalid_grant"),
        ({"scope": "https://www.googleapis.com/auth/drive"}, "invalid_scope"),
    ],
)
async def test_an_assertion_that_does_not_hold_gets_no_token(
    ask_for_token: Any, changes: dict[str, Any], error: str
) -> None:
    status, body = await ask_for_token(**changes)
    assert (status, body["error"]) == (400, error)


async def test_an_assertion_by_another_key_gets_no_token(http: ClientSession, sandbox: Sandbox, assertion: Any) -> None:
    form = {"grant_type": "password", "assertion": "x.y.z"}
    async with http.post("/token", data=form) as response:
        assert (await response.json())["error"] == "unsupported_grant_type"
    async with Sandbox() as other:
        forged = {**service_account(other), "token_uri": f"{sandbox.http_url}/token"}
        form = assertion(forged)
    async with http.post("/token", data=form) as response:
        assert (response.status, (await response.json())["error"]) == (400, "invalid_grant")


async def test_a_token_runs_out_by_the_sandboxs_clock(assertion: Any) -> None:
    # Given
    clock = ManualClock(SystemClock().now())
    async with Sandbox(clock=clock) as sandbox, ClientSession(sandbox.http_url) as http:
        async with http.post("/token", data=assertion(service_account(sandbox))) as response:
            token = (await response.json())["access_token"]

        async def send() -> int:
            url, headers = f"/v1/projects/{PROJECT}/messages:send", {"Authorization": f"Bearer {token}"}
            async with http.post(url, json={"message": MESSAGE}, headers=headers) as response:
                return response.status

        # Then
        clock.advance(LIFETIME * SECOND - 1)
        assert await send() == 200
        clock.advance(1)
        assert await send() == 401
