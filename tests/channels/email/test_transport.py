"""Mails over real connections: taken, refused, lost."""

from typing import Any

import pytest

from notifier.channels.email.mime import compose, make_sender
from notifier.channels.email.transport import Security, SmtpTransport
from notifier.domain.clock import ManualClock
from notifier.domain.errors import (
    AddressGone,
    ConfigurationError,
    Misconfigured,
    OutcomeUnknown,
    Refused,
    SendError,
    Throttled,
    Unavailable,
)
from notifier.domain.messages import Receipt
from tests.channels import canary
from tests.channels.email.samples import SENDER, Opener, impatient, mail
from tests.channels.email.server import DROP, HANG, MailServer, refusing

STEPS = ("MAIL", "RCPT", "DATA", "mail")


async def test_a_mail_that_is_taken_is_known_by_its_message_id(
    smtp: SmtpTransport, server: MailServer, clock: ManualClock
) -> None:
    # When
    receipt = await smtp.send(mail())

    # Then
    assert receipt == Receipt("smtp", f"{'5f' * 16}@voltline.example")
    assert server.commands == [
        "EHLO voltline.example",
        f"MAIL FROM:<no-reply+{'5f' * 16}@voltline.example>",
        f"RCPT TO:<{canary.MAILBOX}>",
        "DATA",
    ]
    assert server.mails == [(f"<{canary.MAILBOX}>", compose(mail(), make_sender(SENDER), canary.MAILBOX, clock.now()))]


async def test_a_server_that_takes_no_return_paths_is_told_the_sender_itself_however_long(
    server: MailServer, clock: ManualClock
) -> None:
    sender = f"{'a' * 64}@voltline.example"
    smtp = SmtpTransport("127.0.0.1", server.port, Security.NONE, sender, clock=clock, verp=False)

    await smtp.send(mail())
    await smtp.close()

    assert f"MAIL FROM:<{sender}>" in server.commands


@pytest.mark.parametrize("reply", ["500 What?", "502 Not implemented", "504 No"])
async def test_a_server_that_knows_no_ehlo_is_greeted_as_of_old(
    smtp: SmtpTransport, server: MailServer, reply: str
) -> None:
    server.on("EHLO", reply)

    await smtp.send(mail())
    assert [command[:4] for command in server.commands] == ["EHLO", "HELO", "MAIL", "RCPT", "DATA"]


@pytest.mark.parametrize(
    ("step", "reply", "kind", "code"),
    [
        ("greeting", "554 No SMTP here", Misconfigured, "session 554"),
        ("greeting", "421 Too many connections", Unavailable, "session 421"),
        ("greeting", "nonsense", Unavailable, "session -1"),
        ("EHLO", "550 Go away", Misconfigured, "session 550"),
        ("MAIL", "530 5.7.0 Authentication required", Misconfigured, "session 530"),
        ("MAIL", "550 5.1.1 Sender rejected", Misconfigured, "session 550"),
        ("MAIL", "451 4.3.0 Try later", Unavailable, "session 451"),
        ("MAIL", "421 4.3.2 Shutting down", Unavailable, "session 421"),
        ("RCPT", "550 5.1.1", AddressGone, "5.1.1"),
        ("RCPT", "550-5.1.1 first line\r\n550 5.1.1", AddressGone, "5.1.1"),
        ("RCPT", "550", Refused, "550"),
        ("RCPT", "550 5.7.1", Refused, "5.7.1"),
        ("RCPT", "550 5.2.9", Refused, "5.2.9"),
        ("RCPT", "552 5.2.2", Refused, "5.2.2"),
        ("RCPT", "556 5.1.10", AddressGone, "5.1.10"),
        ("RCPT", "450 5.1.1", Unavailable, "450"),
        ("RCPT", "452 4.2.2", Unavailable, "4.2.2"),
        ("RCPT", "450 4.7.1", Unavailable, "4.7.1"),
        ("RCPT", "451 4.7.0", Throttled, "4.7.0"),
        ("RCPT", "451", Unavailable, "451"),
        ("RCPT", "499", Unavailable, "499"),
        ("RCPT", "421 4.7.0", Throttled, "4.7.0"),
        ("RCPT", "350", Unavailable, "350"),
        ("DATA", "554 5.5.1", Refused, "5.5.1"),
        ("DATA", "250", Unavailable, "250"),
        ("DATA", "421", Unavailable, "421"),
        ("mail", "552 5.3.4", Refused, "5.3.4"),
        ("mail", "554 5.7.1", Refused, "5.7.1"),
        ("mail", "451 4.3.0", Unavailable, "4.3.0"),
        ("mail", "421 4.3.2", Unavailable, "4.3.2"),
    ],
)
async def test_each_refusal_is_told_apart_and_the_next_mail_goes_out(
    smtp: SmtpTransport, server: MailServer, caplog: pytest.LogCaptureFixture,
    step: str, reply: str, kind: type[SendError], code: str,
) -> None:  # fmt: skip
    # Given
    server.on(step, refusing(reply))

    # When
    with pytest.raises(kind) as failed:
        await smtp.send(mail())

    # Then
    assert failed.value.code == code
    assert canary.shown(failed.value, caplog) == []

    # When / Then
    await smtp.send(mail(reference="next"))
    assert b"<next@voltline.example>" in server.mails[-1][1]


async def test_greylisting_is_given_its_five_minutes(smtp: SmtpTransport, server: MailServer) -> None:
    server.on("RCPT", "450 4.7.1 Greylisted", "451 Try again later")
    for _ in range(2):
        with pytest.raises(Unavailable) as failed:
            await smtp.send(mail())
        assert failed.value.retry_class == "greylisted"


@pytest.mark.parametrize("step", STEPS[:3])
@pytest.mark.parametrize("trouble", [DROP, HANG, "nonsense"])
async def test_what_breaks_before_the_mail_was_sent_can_be_tried_again(
    transports: Opener, server: MailServer, caplog: pytest.LogCaptureFixture, step: str, trouble: str
) -> None:
    # Given
    smtp = transports(connections=1, timeouts=impatient(step))
    server.on(step, trouble)

    # When
    with pytest.raises(Unavailable) as failed:
        await smtp.send(mail())

    # Then
    assert failed.value.code == "lost"
    assert canary.shown(failed.value, caplog) == []
    await smtp.send(mail())
    assert (server.connections, len(server.mails)) == (2, 1)


@pytest.mark.parametrize("trouble", [DROP, HANG, "nonsense"])
async def test_what_breaks_after_the_final_dot_is_unknown(
    transports: Opener, server: MailServer, caplog: pytest.LogCaptureFixture, trouble: str
) -> None:
    # Given
    smtp = transports(connections=1, timeouts=impatient("mail"))
    server.on("mail", trouble)

    # When
    with pytest.raises(OutcomeUnknown) as failed:
        await smtp.send(mail())

    # Then
    assert len(server.mails) == 1
    assert canary.shown(failed.value, caplog) == []


async def test_a_second_attempt_has_the_same_message_id(smtp: SmtpTransport, server: MailServer) -> None:
    # Given
    server.on("mail", DROP)
    with pytest.raises(OutcomeUnknown):
        await smtp.send(mail())

    # When
    await smtp.send(mail())

    # Then
    assert server.mails[0] == server.mails[1]


@pytest.mark.parametrize("step", ["greeting", "EHLO"])
@pytest.mark.parametrize("trouble", [DROP, HANG])
async def test_a_server_that_does_not_come_to_the_point_was_not_reached(
    transports: Opener, server: MailServer, step: str, trouble: str
) -> None:
    # Given
    smtp = transports(connections=1, timeouts=impatient(step))
    server.on(step, trouble)

    # When
    with pytest.raises(Unavailable) as failed:
        await smtp.send(mail())

    # Then
    assert failed.value.code == "unreachable"
    await smtp.send(mail())


async def test_nobody_who_listens_was_not_reached(transports: Opener, clock: ManualClock, unused_tcp_port: int) -> None:
    # Given
    transport = SmtpTransport("127.0.0.1", unused_tcp_port, Security.NONE, SENDER, clock=clock)

    # When
    with pytest.raises(Unavailable) as failed:
        await transport.send(mail())

    # Then
    assert failed.value.code == "unreachable"


async def test_a_recipient_that_is_not_one_address_is_refused_unsent(smtp: SmtpTransport, server: MailServer) -> None:
    # When
    with pytest.raises(Refused) as failed:
        await smtp.send(mail(to="a@example.com, b@example.com"))

    # Then
    assert failed.value.code == "bad_recipient"
    assert server.connections == 0


async def test_success_leaves_no_trace_in_the_log(
    smtp: SmtpTransport, server: MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    await smtp.send(mail())
    assert [secret for secret in canary.ALL if secret in caplog.text] == []


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"host": ""}, "name of an SMTP server"),
        ({"sender": "Voltline"}, "must be one address"),
        ({"sender_name": "two\nlines"}, "control character"),
    ],
)
async def test_settings_that_do_not_fit_are_refused(clock: ManualClock, options: dict[str, str], problem: str) -> None:
    # Given
    usual: dict[str, Any] = {"host": "127.0.0.1", "port": 25, "security": Security.NONE, "sender": SENDER}

    # When / Then
    with pytest.raises(ConfigurationError, match=problem):
        SmtpTransport(**{**usual, **options}, clock=clock)
