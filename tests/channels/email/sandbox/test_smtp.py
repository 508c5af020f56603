"""The SMTP stand-in over real sockets, with clients that others wrote."""

import asyncio
import smtplib
import ssl
from email.message import EmailMessage
from typing import Any

import aiosmtplib
import pytest
import uvloop
from msgspec import structs

from notifier.channels.email.sandbox import LOGIN, ReceivedMail
from notifier.sandbox import FaultRule, Match, Sandbox
from tests.named import EMAIL
from tests.stand_ins import certificate


def mail(reference: str = "m1", body: str = "Hello\n.dot\n..dots\n") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Volt <hello@volt.example>"
    message["To"] = "anna@example.com"
    message["Subject"] = "Charging complete"
    message["Message-ID"] = f"<{reference}@volt.example>"
    message.set_content(body)
    return message


async def client(sandbox: Sandbox, **options: Any) -> aiosmtplib.SMTP:
    """A client that has connected, in clear unless told otherwise."""
    smtp = aiosmtplib.SMTP(
        hostname="127.0.0.1", port=sandbox.ports["smtp"], timeout=5, local_hostname="test", start_tls=False, **options
    )
    await smtp.connect()
    return smtp


async def test_a_mail_arrives_byte_for_byte_with_its_dots_unstuffed(sandbox: Sandbox) -> None:
    # Given
    smtp = await client(sandbox)

    # When
    _, answer = await smtp.send_message(mail())
    await smtp.quit()

    # Then
    [entry] = sandbox.ledger.entries
    assert (entry.channel, entry.reference, entry.to, entry.verdict) == (
        EMAIL,
        "m1",
        "anna@example.com",
        "accepted",
    )
    assert answer.endswith(f"queued as {entry.provider_id}")
    assert isinstance(entry.content, ReceivedMail)
    assert entry.content.sender == "hello@volt.example"
    assert entry.content.raw.endswith(b"\r\n\r\nHello\r\n.dot\r\n..dots\r\n")
    assert entry.content.parsed()["subject"] == "Charging complete"
    assert not entry.content.encrypted


async def test_tls_begins_with_a_certificate_that_can_be_trusted(sandbox: Sandbox) -> None:
    # Given
    trust = ssl.create_default_context(cadata=certificate(sandbox).decode())
    smtp = aiosmtplib.SMTP(
        hostname="127.0.0.1", port=sandbox.ports["smtp"], timeout=5, start_tls=True, tls_context=trust
    )

    # When
    await smtp.connect()
    offered = smtp.esmtp_extensions
    await smtp.login(*LOGIN)
    await smtp.send_message(mail())
    await smtp.quit()

    # Then
    content = sandbox.ledger.entries[0].content
    assert isinstance(content, ReceivedMail)
    assert content.encrypted
    assert "starttls" not in offered


async def test_pythons_own_client_gets_through_by_tls_and_login(sandbox: Sandbox) -> None:
    def send() -> None:
        with smtplib.SMTP("127.0.0.1", sandbox.ports["smtp"], local_hostname="test", timeout=5) as smtp:
            smtp.starttls(context=ssl.create_default_context(cadata=certificate(sandbox).decode()))
            smtp.login(*LOGIN)
            smtp.send_message(mail())

    await asyncio.to_thread(send)
    assert sandbox.ledger.accepted(EMAIL, "m1") == 1


def test_tls_and_mail_work_on_uvloop_too() -> None:
    async def scenario() -> None:
        async with Sandbox() as sandbox:
            trust = ssl.create_default_context(cadata=certificate(sandbox).decode())
            smtp = aiosmtplib.SMTP(
                hostname="127.0.0.1", port=sandbox.ports["smtp"], timeout=5, start_tls=True, tls_context=trust
            )
            async with smtp:
                await smtp.send_message(mail(body="x" * 70 + "\n" * 5_000))
            assert sandbox.ledger.accepted(EMAIL, "m1") == 1

    uvloop.run(scenario())


async def test_a_client_that_does_not_trust_the_certificate_is_hung_up_on(sandbox: Sandbox) -> None:
    smtp = aiosmtplib.SMTP(hostname="127.0.0.1", port=sandbox.ports["smtp"], timeout=5, start_tls=True)
    with pytest.raises(ssl.SSLCertVerificationError):
        await smtp.connect()
    async with await client(sandbox) as another:
        await another.send_message(mail())
    assert sandbox.ledger.accepted(EMAIL, "m1") == 1


async def test_a_wrong_password_is_refused(sandbox: Sandbox) -> None:
    smtp = await client(sandbox)
    with pytest.raises(aiosmtplib.SMTPAuthenticationError) as refused:
        await smtp.login(LOGIN[0], "guess")
    assert refused.value.code == 535
    smtp.close()


async def test_a_mail_dropped_after_the_final_dot_is_taken_and_never_answered(sandbox: Sandbox) -> None:
    # Given
    sandbox.faults.add(FaultRule(channel="email", action="drop_after", times=1, match=Match(reference="m1")))
    smtp = await client(sandbox)

    # When
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await smtp.send_message(mail())
    async with await client(sandbox) as again:
        await again.send_message(mail())

    # Then
    assert sandbox.ledger.accepted(EMAIL, "m1") == 2
    assert sandbox.ledger.summary()["email"]["duplicates"] == 1


@pytest.mark.parametrize(
    "rule",
    [
        FaultRule(channel="email", action="drop_before"),
        FaultRule(channel="email", action="hang", seconds=0.05),
        FaultRule(channel="email", action="drop_before", stage="data"),
        FaultRule(channel="email", action="drop_before", stage="rcpt", match=Match(to="anna@example.com")),
        FaultRule(channel="email", action="drop_before", stage="mail"),
    ],
)
async def test_a_mail_dropped_before_its_end_is_not_taken(sandbox: Sandbox, rule: FaultRule) -> None:
    sandbox.faults.add(rule)
    smtp = await client(sandbox)
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await smtp.send_message(mail())
    assert sandbox.ledger.entries == []


async def test_a_client_can_be_dropped_or_refused_at_the_door(sandbox: Sandbox) -> None:
    # Given
    sandbox.faults.add(
        FaultRule(channel="email", action="drop_before", stage="connect", times=1),
        FaultRule(channel="email", action="fail", stage="connect", times=1),
    )

    # Then
    with pytest.raises((aiosmtplib.SMTPConnectError, aiosmtplib.SMTPServerDisconnected)):
        await client(sandbox)
    with pytest.raises(aiosmtplib.SMTPConnectResponseError) as refused:
        await client(sandbox)
    assert refused.value.code == 421
    await (await client(sandbox)).quit()


@pytest.mark.parametrize(
    ("rule", "error", "code"),
    [
        (
            FaultRule(channel="email", action="fail", stage="mail", reply="452 4.3.1 Full"),
            aiosmtplib.SMTPSenderRefused,
            452,
        ),
        (
            FaultRule(channel="email", action="fail", stage="rcpt", reply="550 5.1.1 No such mailbox"),
            aiosmtplib.SMTPRecipientsRefused,
            550,
        ),
        (FaultRule(channel="email", action="fail", stage="data"), aiosmtplib.SMTPDataError, 451),
        (FaultRule(channel="email", action="fail", code="554"), aiosmtplib.SMTPDataError, 554),
        (FaultRule(channel="email", action="fail", reply="451 4.7.1 Greylisted"), aiosmtplib.SMTPDataError, 451),
    ],
)
async def test_each_stage_can_refuse_with_its_reply(
    sandbox: Sandbox, rule: FaultRule, error: type[aiosmtplib.SMTPException], code: int
) -> None:
    # Given
    sandbox.faults.add(structs.replace(rule, times=1))
    smtp = await client(sandbox)

    # When
    with pytest.raises(error) as refused:
        await smtp.send_message(mail())

    # Then the refusal is entered, and the same connection goes on
    told = refused.value.recipients[0] if isinstance(refused.value, aiosmtplib.SMTPRecipientsRefused) else refused.value
    assert isinstance(told, aiosmtplib.SMTPResponseException)
    assert told.code == code
    assert sandbox.ledger.summary()["email"]["refused"] == {str(code): 1}
    await smtp.send_message(mail())
    assert sandbox.ledger.accepted(EMAIL, "m1") == 1
    await smtp.quit()


async def test_421_ends_the_connection(sandbox: Sandbox) -> None:
    sandbox.faults.add(FaultRule(channel="email", action="fail", reply="421 4.7.0 Too many", times=1))
    reader, writer = await asyncio.open_connection("127.0.0.1", sandbox.ports["smtp"])
    writer.write(b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\n")
    writer.write(b"Subject: x\r\n\r\n.\r\nNOOP\r\n")
    assert (await reader.read()).splitlines()[-1] == b"421 4.7.0 Too many"
    writer.close()
    await writer.wait_closed()


async def test_a_late_reply_keeps_the_order_of_pipelined_mails(sandbox: Sandbox) -> None:
    # Given
    sandbox.faults.add(FaultRule(channel="email", action="delay", seconds=0.1, match=Match(reference="m0")))
    reader, writer = await asyncio.open_connection("127.0.0.1", sandbox.ports["smtp"])

    # When three mails are sent without waiting
    writer.write(b"EHLO test\r\n")
    for number in range(3):
        writer.write(b"MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\nMessage-ID: <m%d@x>\r\n\r\nHi\r\n.\r\n" % number)
    writer.write(b"QUIT\r\n")
    replies = (await reader.read()).decode().splitlines()
    writer.close()
    await writer.wait_closed()

    # Then
    last = next(index for index, reply in enumerate(replies) if reply.startswith("250 AUTH"))
    assert [reply[:3] for reply in replies[last + 1 :]] == ["250", "250", "354", "250"] * 3 + ["221"]
    assert [entry.reference for entry in sandbox.ledger.entries] == ["m0", "m1", "m2"]


async def test_what_was_said_in_clear_behind_starttls_is_not_obeyed(sandbox: Sandbox) -> None:
    # Given an attacker's commands in the same packet
    reader, writer = await asyncio.open_connection("127.0.0.1", sandbox.ports["smtp"])
    writer.write(b"EHLO x\r\nSTARTTLS\r\nEHLO evil\r\nMAIL FROM:<evil@example.com>\r\n")
    while not (await reader.readline()).startswith(b"220 2"):
        pass

    # When
    trust = ssl.create_default_context(cadata=certificate(sandbox).decode())
    await writer.start_tls(trust, server_hostname="localhost")
    writer.write(b"NOOP\r\nMAIL FROM:<>\r\nQUIT\r\n")
    replies = (await reader.read()).splitlines()

    # Then neither EHLO nor MAIL was taken from the clear
    assert [reply[:3] for reply in replies] == [b"250", b"503", b"221"]
    writer.close()
    await writer.wait_closed()


async def test_leaving_the_sandbox_closes_connections_that_hang() -> None:
    async with Sandbox() as sandbox:
        sandbox.faults.add(FaultRule(channel="email", action="hang", stage="mail", seconds=3_600))
        reader, writer = await asyncio.open_connection("127.0.0.1", sandbox.ports["smtp"])
        writer.write(b"EHLO x\r\nMAIL FROM:<>\r\n")
        await reader.readuntil(b"250 AUTH PLAIN LOGIN\r\n")
    assert await reader.read() == b""
    writer.close()
