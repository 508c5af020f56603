"""Mails over real connections: taken, refused, lost; and connections that are used again."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from notifier.channels.email.mime import compose, make_sender
from notifier.channels.email.transport import Security, SmtpTransport, Timeouts
from notifier.clock import ManualClock
from notifier.errors import (
    AddressGone,
    ConfigurationError,
    Misconfigured,
    OutcomeUnknown,
    Refused,
    SendError,
    Throttled,
    Unavailable,
)
from notifier.messages import Receipt
from tests.channels import canary
from tests.channels.email.samples import SENDER, mail
from tests.channels.email.server import DROP, HANG, MailServer, refusing

QUICK = Timeouts(wait=0.5, connect=0.3, commands=0.2, mail=0.2)
STEPS = ("MAIL", "RCPT", "DATA", "mail")

Opener = Callable[..., SmtpTransport]


@pytest.fixture
async def transports(server: MailServer, clock: ManualClock) -> AsyncIterator[Opener]:
    """Opens transports to the server and closes them at the end."""
    opened = []

    def opener(**options: Any) -> SmtpTransport:
        transport = SmtpTransport(
            "127.0.0.1", server.port, Security.NONE, SENDER, **{"clock": clock, "timeouts": QUICK, **options}
        )
        opened.append(transport)
        return transport

    yield opener
    for transport in opened:
        await transport.close()


@pytest.fixture
def smtp(transports: Opener) -> SmtpTransport:
    return transports(connections=1)


async def test_a_mail_that_is_taken_is_known_by_its_message_id(
    smtp: SmtpTransport, server: MailServer, clock: ManualClock
) -> None:
    # When
    receipt = await smtp.send(mail())

    # Then
    assert receipt == Receipt("smtp", f"{'5f' * 16}@voltline.example")
    assert server.commands == [
        "EHLO voltline.example",
        f"MAIL FROM:<{SENDER}>",
        f"RCPT TO:<{canary.MAILBOX}>",
        "DATA",
    ]
    assert server.mails == [(f"<{canary.MAILBOX}>", compose(mail(), make_sender(SENDER), canary.MAILBOX, clock.now()))]


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
        assert failed.value.retry_after == 300


async def test_a_refused_recipient_leaves_the_connection_in_use(smtp: SmtpTransport, server: MailServer) -> None:
    # Given
    server.on("RCPT", "550 5.1.1")

    # When
    with pytest.raises(AddressGone):
        await smtp.send(mail())
    await smtp.send(mail())

    # Then the server was told to forget the refused one
    assert server.connections == 1
    assert [command[:4] for command in server.commands] == ["EHLO", "MAIL", "RCPT", "RSET", "MAIL", "RCPT", "DATA"]


@pytest.mark.parametrize("trouble", [DROP, HANG, "550"])
async def test_a_server_that_does_not_forget_is_left(smtp: SmtpTransport, server: MailServer, trouble: str) -> None:
    # Given
    server.on("RCPT", "550 5.1.1")
    server.on("RSET", trouble)

    # When the failure is the recipient's all the same
    with pytest.raises(AddressGone):
        await smtp.send(mail())
    await smtp.send(mail())

    # Then
    assert server.connections == 2


@pytest.mark.parametrize("step", STEPS[:3])
@pytest.mark.parametrize("trouble", [DROP, HANG, "nonsense"])
async def test_what_breaks_before_the_mail_was_sent_can_be_tried_again(
    smtp: SmtpTransport, server: MailServer, caplog: pytest.LogCaptureFixture, step: str, trouble: str
) -> None:
    # Given
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
    smtp: SmtpTransport, server: MailServer, caplog: pytest.LogCaptureFixture, trouble: str
) -> None:
    # Given
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
    smtp: SmtpTransport, server: MailServer, step: str, trouble: str
) -> None:
    # Given
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


@pytest.mark.parametrize("step", [*STEPS, "greeting", "EHLO"])
@pytest.mark.parametrize("late", ["550 5.1.1", "250 Ok"])
async def test_a_cancelled_mail_never_leaves_its_reply_to_the_next(
    smtp: SmtpTransport, server: MailServer, step: str, late: str
) -> None:
    # Given a mail whose step gets its reply late
    server.gates[step] = asyncio.Event()
    server.on(step, late if step not in ("greeting", "EHLO") else "220 late")
    waiting = asyncio.create_task(smtp.send(mail(reference="cancelled")))
    await server.until(lambda server: step in server.steps)

    # When it is cancelled before, and the reply comes with the next mail
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    following = asyncio.create_task(smtp.send(mail(reference="next")))
    server.gates[step].set()

    # Then
    assert (await following).reference == "next@voltline.example"
    assert server.connections == 2
    assert b"<next@voltline.example>" in server.mails[-1][1]


async def test_a_mail_that_timed_out_never_leaves_its_reply_to_the_next(
    smtp: SmtpTransport, server: MailServer
) -> None:
    # Given
    server.gates["RCPT"] = asyncio.Event()
    server.on("RCPT", "550 5.1.1")
    with pytest.raises(Unavailable):
        await smtp.send(mail())

    # When
    server.gates["RCPT"].set()

    # Then
    await smtp.send(mail())
    assert server.connections == 2


async def test_two_hundred_mails_share_five_connections(transports: Opener, server: MailServer) -> None:
    # Given
    transport = transports(connections=5, timeouts=Timeouts())

    # When
    receipts = await asyncio.gather(
        *(transport.send(mail(reference=f"n{number}", to=f"p{number}@example.com")) for number in range(200))
    )

    # Then all arrive, each once, each to whom it is for
    assert len({receipt.reference for receipt in receipts}) == 200
    assert server.connections == 5
    arrived = dict(server.mails)
    assert len(server.mails) == len(arrived) == 200
    for number in range(200):
        assert f"Message-ID: <n{number}@voltline.example>".encode() in arrived[f"<p{number}@example.com>"]


async def test_a_refusal_among_many_is_the_right_mails(transports: Opener, server: MailServer) -> None:
    # Given
    transport = transports(connections=3)
    server.on("RCPT", *(["550 5.1.1"] * 10))

    # When
    outcomes = await asyncio.gather(
        *(transport.send(mail(reference=f"n{number}", to=f"p{number}@example.com")) for number in range(30)),
        return_exceptions=True,
    )

    # Then
    taken = {outcome.reference for outcome in outcomes if isinstance(outcome, Receipt)}
    assert len(taken) == 20
    assert {recipient.strip("<>") for recipient, _ in server.mails} == {
        f"p{reference.partition('@')[0][1:]}@example.com" for reference in taken
    }


async def test_no_free_connection_in_time_sent_nothing(smtp: SmtpTransport, server: MailServer) -> None:
    # Given one connection, on which a mail waits longer than another waits for it
    under_way = asyncio.create_task(smtp.send(mail()))
    server.gates["mail"] = asyncio.Event()
    await server.until(lambda server: len(server.mails) == 1)

    # When
    outcomes = await asyncio.gather(*(smtp.send(mail()) for _ in range(5)), return_exceptions=True)

    # Then those in front get the connection in turn, and the last one none
    codes = [outcome.code for outcome in outcomes if isinstance(outcome, SendError)]
    assert (codes[0], codes[-1]) == ("lost_after_mail", "busy")
    assert len(server.mails) == 1 + codes.count("lost_after_mail")
    with pytest.raises(OutcomeUnknown):
        await under_way


async def test_a_connection_is_left_after_so_many_mails(transports: Opener, server: MailServer) -> None:
    # Given
    transport = transports(connections=1, mails_per_connection=3)

    # When
    for _ in range(7):
        await transport.send(mail())

    # Then
    assert server.connections == 3
    await server.until(lambda server: server.open == 1)
    assert server.commands.count("QUIT") == 2


async def test_an_idle_connection_is_left_with_a_word(transports: Opener, server: MailServer) -> None:
    # Given
    transport = transports(connections=2, idle=0.05)

    # When
    await asyncio.gather(transport.send(mail()), transport.send(mail()))

    # Then
    await server.until(lambda server: server.open == 0)
    assert server.commands.count("QUIT") == 2
    await transport.send(mail())
    assert server.connections == 3


async def test_a_connection_that_the_server_left_is_not_used_again(smtp: SmtpTransport, server: MailServer) -> None:
    # Given
    await smtp.send(mail())
    server.on("RSET", "421 Idle for too long")
    server.on("RCPT", "550 5.1.1")
    with pytest.raises(AddressGone):
        await smtp.send(mail())
    await server.until(lambda server: server.open == 0)

    # When / Then
    await smtp.send(mail())
    assert server.connections == 2


async def test_closing_leaves_idle_connections_at_once_and_busy_ones_behind_their_mail(
    transports: Opener, server: MailServer
) -> None:
    # Given one idle connection and one whose mail is under way
    transport = transports(connections=2)
    await asyncio.gather(transport.send(mail()), transport.send(mail()))
    server.gates["mail"] = asyncio.Event()
    under_way = asyncio.create_task(transport.send(mail()))
    await server.until(lambda server: len(server.mails) == 3)

    # When
    await transport.close()

    # Then
    await server.until(lambda server: server.open == 1)
    server.gates["mail"].set()
    assert isinstance(await under_way, Receipt)
    await server.until(lambda server: server.open == 0)


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
        ({"sender": "Voltline <no-reply@voltline.example>"}, "one plain address"),
        ({"sender_name": "two\nlines"}, "control character"),
    ],
)
async def test_settings_that_do_not_fit_are_refused(clock: ManualClock, options: dict[str, str], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        SmtpTransport(
            **{"host": "127.0.0.1", "port": 25, "security": Security.NONE, "sender": SENDER, "clock": clock, **options}
        )
