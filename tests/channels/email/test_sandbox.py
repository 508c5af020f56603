"""Mails to the sandbox: the two sides agree about what arrived."""

import ssl

import pytest

from notifier.channels.email.sandbox import LOGIN, ReceivedMail
from notifier.channels.email.transport import Security, SmtpTransport
from notifier.domain.clock import ManualClock
from notifier.domain.errors import AddressGone, OutcomeUnknown
from notifier.sandbox import FaultRule, Sandbox
from tests.channels import canary
from tests.channels.email.samples import SENDER, mail
from tests.named import EMAIL
from tests.stand_ins import certificate


def transport_to(sandbox: Sandbox, clock: ManualClock, security: Security = Security.STARTTLS) -> SmtpTransport:
    trusting = ssl.create_default_context(cadata=certificate(sandbox).decode())
    username, password = LOGIN
    return SmtpTransport(
        "127.0.0.1", sandbox.ports["smtp"], security, SENDER, clock=clock, username=username, password=password,
        tls_context=trusting,
    )  # fmt: skip


async def test_a_mail_is_in_the_ledger_with_its_content(clock: ManualClock) -> None:
    async with Sandbox() as sandbox:
        # Given
        transport = transport_to(sandbox, clock)

        # When
        await transport.send(mail())
        await transport.close()

        # Then
        (entry,) = sandbox.ledger.entries
    assert (entry.channel, entry.verdict, entry.reference) == (EMAIL, "accepted", "5f" * 16)
    assert entry.to == canary.MAILBOX
    assert isinstance(entry.content, ReceivedMail)
    assert (entry.content.sender, entry.content.encrypted) == (f"no-reply+{'5f' * 16}@voltline.example", True)
    assert entry.content.parsed()["Subject"] == canary.TEXT


async def test_a_mail_that_was_taken_without_an_answer_is_unknown(clock: ManualClock) -> None:
    async with Sandbox() as sandbox:
        # Given
        sandbox.faults.add(FaultRule(channel="email", action="drop_after", times=1))
        transport = transport_to(sandbox, clock)

        # When
        with pytest.raises(OutcomeUnknown):
            await transport.send(mail())
        await transport.close()

        # Then
        assert sandbox.ledger.accepted(EMAIL, "5f" * 16) == 1


async def test_the_sandboxs_refusals_are_understood(clock: ManualClock) -> None:
    async with Sandbox() as sandbox:
        # Given
        sandbox.faults.add(FaultRule(channel="email", action="fail", stage="rcpt", reply="550 5.1.1 No such mailbox"))
        transport = transport_to(sandbox, clock)

        # When / Then
        with pytest.raises(AddressGone):
            await transport.send(mail())
        await transport.close()
