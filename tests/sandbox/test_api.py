import base64
import json
from typing import Any

import pytest
from aiohttp import ClientSession

from notifier.channels.email.sandbox import ReceivedMail
from notifier.channels.push.sandbox import Push
from notifier.sandbox import FaultRule, Sandbox
from notifier.sandbox.stand_in import stand_ins
from tests.named import EMAIL, PUSH, SMS
from tests.stand_ins import certificate, service_account


async def get(http: ClientSession, url: str) -> Any:
    async with http.get(url) as response:
        assert response.status == 200
        return await response.json()


async def test_the_ledger_is_paged_by_number(sandbox: Sandbox, http: ClientSession) -> None:
    # Given
    for number in range(5):
        sandbox.ledger.accept(PUSH, "token", f"r{number}", Push(title="Hello"), f"p{number}")
    sandbox.ledger.accept(EMAIL, "a@b", "m1", ReceivedMail(sender="", raw=b"\xff"), "q1")

    # When
    first = await get(http, "/sandbox/ledger?limit=4")
    rest = await get(http, f"/sandbox/ledger?limit=4&after={first['next']}")

    # Then
    assert [entry["number"] for entry in first["entries"] + rest["entries"]] == [1, 2, 3, 4, 5, 6]
    assert rest["next"] is None
    assert first["entries"][0]["content"]["title"] == "Hello"
    assert base64.b64decode(rest["entries"][1]["content"]["raw"]) == b"\xff"


async def test_the_ledger_is_filtered_by_channel_and_reference(sandbox: Sandbox, http: ClientSession) -> None:
    for channel, reference in ((PUSH, "a"), (PUSH, "b"), (EMAIL, "a")):
        sandbox.ledger.accept(channel, "to", reference, Push(), "id")
    found = await get(http, "/sandbox/ledger?channel=push&reference=a")
    assert [entry["number"] for entry in found["entries"]] == [1]


@pytest.mark.parametrize("query", ["channel=pigeon", "after=x", "limit=x"])
async def test_a_senseless_query_is_refused(http: ClientSession, query: str) -> None:
    async with http.get(f"/sandbox/ledger?{query}") as response:
        assert response.status == 400


async def test_the_summary_and_the_references_count_by_channel(sandbox: Sandbox, http: ClientSession) -> None:
    # Given
    for reference in ("a", "a", "b"):
        sandbox.ledger.accept(PUSH, "token", reference, Push(), "id")
    sandbox.ledger.refuse(SMS, "21610")

    # Then
    summary = await get(http, "/sandbox/summary")
    assert summary["push"] == {"accepted": 3, "references": 2, "duplicates": 1, "refused": {}}
    assert summary["sms"]["refused"] == {"21610": 1}
    nothing: dict[str, Any] = {channel: {} for channel in stand_ins()}
    assert await get(http, "/sandbox/references") == nothing | {"push": {"a": 2, "b": 1}}


async def test_faults_are_added_shown_and_cleared(sandbox: Sandbox, http: ClientSession) -> None:
    # When one rule is posted, then a list
    one = {"channel": "push", "action": "fail", "code": "UNREGISTERED", "match": {"to": "token"}, "times": 3}
    more = [{"channel": "email", "action": "hang", "stage": "connect", "seconds": 30.0}]
    for given in (one, more):
        async with http.post("/sandbox/faults", data=json.dumps(given)) as response:
            assert response.status == 201

    # Then
    assert sandbox.faults.rules[1] == FaultRule(channel="email", action="hang", stage="connect", seconds=30)
    assert await get(http, "/sandbox/faults") == [one, *more]
    async with http.delete("/sandbox/faults") as response:
        assert response.status == 204
    assert sandbox.faults.rules == []


@pytest.mark.parametrize("given", [b"", b"{}", b'{"channel": "push", "action": "delay"}', b"[1]", b"\xff"])
async def test_a_rule_that_makes_no_sense_is_refused_with_the_reason(
    sandbox: Sandbox, http: ClientSession, given: bytes
) -> None:
    async with http.post("/sandbox/faults", data=given) as response:
        assert response.status == 400
        assert (await response.json())["error"]
    assert sandbox.faults.rules == []


async def test_a_reset_empties_ledger_and_faults(sandbox: Sandbox, http: ClientSession) -> None:
    # Given
    sandbox.ledger.accept(PUSH, "token", "r1", Push(), "id")
    sandbox.faults.add(FaultRule(channel="push", action="fail"))

    # When
    async with http.post("/sandbox/reset") as response:
        assert response.status == 204

    # Then
    assert (sandbox.ledger.entries, sandbox.faults.rules) == ([], [])
    assert (await get(http, "/sandbox/summary"))["push"]["accepted"] == 0


async def test_other_processes_get_the_service_account_and_the_certificate(
    sandbox: Sandbox, http: ClientSession
) -> None:
    assert await get(http, "/sandbox/service-account.json") == service_account(sandbox)
    async with http.get("/sandbox/certificate.pem") as response:
        assert await response.read() == certificate(sandbox)
