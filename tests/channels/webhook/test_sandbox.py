"""Webhooks to the sandbox's endpoints: the two sides agree about what arrived, in every form, and under faults."""

from typing import Any

import pytest
from aiohttp import ClientSession

from notifier.channels.webhook.address import WebhookEndpoint
from notifier.channels.webhook.sandbox import SECRET, Hook, endpoint_url
from notifier.channels.webhook.sandbox.endpoint import ROUTING_KEY, TOLERANCE, is_signed
from notifier.channels.webhook.sandbox.inbox import words
from notifier.domain.clock import SECOND, ManualClock
from notifier.domain.errors import AddressGone, OutcomeUnknown, Throttled, Unavailable
from notifier.domain.standard_webhooks import secret_key, signed_headers
from notifier.sandbox import FaultRule, Sandbox
from tests.channels.webhook.conftest import Connect
from tests.channels.webhook.samples import OLD_SECRET, REFERENCE, WEBHOOK, webhook

FORMS: dict[Any, str | None] = {"standard": SECRET, "slack": None, "teams": None, "pagerduty": ROUTING_KEY}


def endpoint(sandbox: Sandbox, form: Any = "standard", **members: Any) -> WebhookEndpoint:
    given = {"secret": FORMS[form]} | members
    return WebhookEndpoint(url=endpoint_url(sandbox.http_url, form, "ops"), format=form, **given)


@pytest.mark.parametrize("form", FORMS)
async def test_what_arrives_is_in_the_ledger_and_on_the_page(connect: Connect, form: Any) -> None:
    async with Sandbox() as sandbox, ClientSession(sandbox.http_url) as http:
        # When
        message = webhook(endpoint(sandbox, form))
        assert (await connect().send(message)).delivered

        # Then
        (entry,) = sandbox.ledger.entries
        async with http.get("/") as response:
            page = await response.text()
    assert (entry.channel, entry.verdict, entry.reference) == (WEBHOOK, "accepted", REFERENCE)
    assert isinstance(entry.content, Hook)
    title, text = words(entry.content)
    assert (title.removeprefix("trigger: "), text) == (message.content.title, message.content.text)
    assert message.content.title in page
    assert ROUTING_KEY not in page


async def test_another_secret_is_refused(connect: Connect) -> None:
    async with Sandbox() as sandbox:
        with pytest.raises(Unavailable) as refused:
            await connect().send(webhook(endpoint(sandbox, secret=OLD_SECRET)))
        assert refused.value.code == "401"
        assert sandbox.ledger.summary()["webhook"]["refused"] == {"401": 1}


@pytest.mark.parametrize(
    ("rule", "error"),
    [
        ({"action": "fail", "status": 410}, AddressGone),
        ({"action": "fail", "status": 429, "retry_after": 7}, Throttled),
        ({"action": "fail"}, Unavailable),
        ({"action": "drop_before"}, OutcomeUnknown),
        ({"action": "drop_after"}, OutcomeUnknown),
    ],
)
async def test_it_fails_on_order(connect: Connect, rule: dict[str, Any], error: type[Exception]) -> None:
    async with Sandbox() as sandbox:
        sandbox.faults.add(FaultRule(channel="webhook", times=1, **rule))
        transport, message = connect(), webhook(endpoint(sandbox))
        with pytest.raises(error):
            await transport.send(message)

        # And the next one is taken; what was taken without an answer is there twice, under one id
        assert (await transport.send(message)).delivered
        tally = sandbox.ledger.tallies[WEBHOOK]
        assert (tally.accepted, tally.duplicates) == ((2, 1) if rule["action"] == "drop_after" else (1, 0))


def test_a_signature_is_good_for_five_minutes_and_for_what_was_signed(clock: ManualClock) -> None:
    now = clock.now()
    headers = signed_headers([secret_key(OLD_SECRET), secret_key(SECRET)], "m", now, b"{}")

    assert is_signed(b"{}", headers, SECRET, now)
    assert is_signed(b"{}", headers, SECRET, now + TOLERANCE - SECOND)
    assert not is_signed(b"{}", headers, SECRET, now + TOLERANCE + SECOND)
    assert not is_signed(b"[]", headers, SECRET, now)
    for header in headers:
        assert not is_signed(b"{}", {**headers, header: ""}, SECRET, now)
        assert not is_signed(b"{}", {**headers, header: "é 1"}, SECRET, now)
