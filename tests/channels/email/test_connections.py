"""Connections that are used again: never for two mails at a time, and never with a reply of the last one under way."""

import asyncio

import pytest

from notifier.channels.email.dialogue import SmtpTimeouts
from notifier.channels.email.transport import SmtpTransport
from notifier.domain.errors import AddressGone, OutcomeUnknown, SendError, Unavailable
from notifier.domain.messages import Receipt
from tests.channels.email.samples import PATIENT, Opener, impatient, mail
from tests.channels.email.server import DROP, HANG, MailServer

STEPS = ("MAIL", "RCPT", "DATA", "mail")


async def test_a_refused_recipient_leaves_the_connection_in_use(smtp: SmtpTransport, server: MailServer) -> None:
    # Given
    server.on("RCPT", "550 5.1.1")

    # When
    with pytest.raises(AddressGone):
        await smtp.send(mail())
    await smtp.send(mail())

    # Then the server was told to forget the refused one
    assert server.connections == 1
    refused = ["MAIL", "RCPT", "DATA"] if server.pipelining else ["MAIL", "RCPT"]
    assert [command[:4] for command in server.commands] == ["EHLO", *refused, "RSET", "MAIL", "RCPT", "DATA"]


@pytest.mark.parametrize("trouble", [DROP, HANG, "550"])
async def test_a_server_that_does_not_forget_is_left(transports: Opener, server: MailServer, trouble: str) -> None:
    # Given
    smtp = transports(connections=1, timeouts=impatient("RSET"))
    server.on("RCPT", "550 5.1.1")
    server.on("RSET", trouble)

    # When the failure is the recipient's all the same
    with pytest.raises(AddressGone):
        await smtp.send(mail())
    await smtp.send(mail())

    # Then
    assert server.connections == 2


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
    assert server.connections == (1 if step == "greeting" else 2)
    assert b"<next@voltline.example>" in server.mails[-1][1]


async def test_a_mail_that_timed_out_never_leaves_its_reply_behind(transports: Opener, server: MailServer) -> None:
    # Given
    smtp = transports(connections=1, timeouts=impatient("RCPT"))
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
    transport = transports(connections=5, timeouts=SmtpTimeouts())

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


async def test_no_free_connection_in_time_sent_nothing(transports: Opener, server: MailServer) -> None:
    # Given one connection, on which a mail waits longer than another waits for it
    smtp = transports(connections=1, timeouts=PATIENT._replace(wait=0.5, mail=0.3))
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
