"""Texts to the sandbox: the two sides agree about what arrived."""

import pytest

from notifier.channels.sms.sandbox import ACCOUNT_SID, AUTH_TOKEN, Sms
from notifier.channels.sms.transport import TwilioTransport
from notifier.domain.clock import ManualClock
from notifier.domain.errors import OptedOut, OutcomeUnknown
from notifier.sandbox import FaultRule, Sandbox
from tests.channels import canary
from tests.channels.sms.samples import SENDER, text
from tests.named import SMS


def transport_to(sandbox: Sandbox, clock: ManualClock) -> TwilioTransport:
    return TwilioTransport(
        ACCOUNT_SID, AUTH_TOKEN, SENDER, clock=clock, base_url=sandbox.http_url,
        callback_url="https://api.example/twilio",
    )  # fmt: skip


async def test_a_text_is_in_the_ledger_with_its_content(clock: ManualClock) -> None:
    async with Sandbox() as sandbox:
        # Given
        transport = transport_to(sandbox, clock)

        # When
        receipt = await transport.send(text())
        await transport.close()

        # Then
        (entry,) = sandbox.ledger.entries
    assert (entry.channel, entry.verdict, entry.reference) == (SMS, "accepted", "5f" * 16)
    assert (entry.to, entry.provider_id) == (canary.PHONE, receipt.reference)
    assert isinstance(entry.content, Sms)
    assert (entry.content.body, entry.content.sender, entry.content.validity) == (canary.TEXT, SENDER, 1800)


async def test_a_text_that_was_taken_without_an_answer_is_unknown(clock: ManualClock) -> None:
    async with Sandbox() as sandbox:
        # Given
        sandbox.faults.add(FaultRule(channel="sms", action="drop_after", times=1))
        transport = transport_to(sandbox, clock)

        # When
        with pytest.raises(OutcomeUnknown):
            await transport.send(text())
        await transport.close()

        # Then
        assert sandbox.ledger.accepted(SMS, "5f" * 16) == 1


async def test_the_sandboxs_refusals_are_understood(clock: ManualClock) -> None:
    async with Sandbox() as sandbox:
        # Given
        sandbox.faults.add(FaultRule(channel="sms", action="fail", code=21610))
        transport = transport_to(sandbox, clock)

        # When / Then
        with pytest.raises(OptedOut):
            await transport.send(text())
        await transport.close()
