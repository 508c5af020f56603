"""Pushes to the sandbox: the two sides agree about what arrived."""

import pytest

from notifier.channels.push.sandbox import Push
from notifier.channels.push.transport import FcmTransport
from notifier.domain.clock import ManualClock
from notifier.domain.errors import AddressGone, OutcomeUnknown, Throttled
from notifier.sandbox import FaultRule, Sandbox
from tests.channels import canary
from tests.channels.push.samples import push
from tests.named import PUSH
from tests.stand_ins import service_account


async def test_a_push_is_in_the_ledger_with_its_content(clock: ManualClock) -> None:
    async with Sandbox() as sandbox:
        # Given
        transport = FcmTransport(service_account(sandbox), clock=clock, base_url=sandbox.http_url)

        # When
        receipt = await transport.send(push())
        await transport.close()

        # Then
        (entry,) = sandbox.ledger.entries
    assert (entry.channel, entry.verdict, entry.reference) == (PUSH, "accepted", "5f" * 16)
    assert (entry.to, entry.provider_id) == (canary.TOKEN, receipt.reference)
    assert isinstance(entry.content, Push)
    assert (entry.content.title, entry.content.body) == (canary.NAME, canary.TEXT)
    assert (entry.content.collapse_key, entry.content.time_to_live) == ("", "1800s")


async def test_a_push_that_was_taken_without_an_answer_is_unknown(clock: ManualClock) -> None:
    async with Sandbox() as sandbox:
        # Given
        sandbox.faults.add(FaultRule(channel="push", action="drop_after", times=1))
        transport = FcmTransport(service_account(sandbox), clock=clock, base_url=sandbox.http_url)

        # When
        with pytest.raises(OutcomeUnknown):
            await transport.send(push())
        await transport.close()

        # Then
        assert sandbox.ledger.accepted(PUSH, "5f" * 16) == 1


async def test_the_sandboxs_refusals_are_understood(clock: ManualClock) -> None:
    async with Sandbox() as sandbox:
        # Given
        sandbox.faults.add(
            FaultRule(channel="push", action="fail", code="UNREGISTERED", times=1),
            FaultRule(channel="push", action="fail", code="QUOTA_EXCEEDED", retry_after=5, times=1),
        )
        transport = FcmTransport(service_account(sandbox), clock=clock, base_url=sandbox.http_url)

        # When / Then
        with pytest.raises(AddressGone):
            await transport.send(push())
        with pytest.raises(Throttled) as throttled:
            await transport.send(push())
        assert throttled.value.retry_after == 5
        await transport.close()
