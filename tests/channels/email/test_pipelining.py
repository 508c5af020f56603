"""A mail behind another on the same connection: each has its own outcome, whatever becomes of the other."""

import asyncio

import pytest

from notifier.channels.email.transport import SmtpTransport
from notifier.domain.errors import AddressGone, OutcomeUnknown, SendError, Unavailable
from notifier.domain.messages import Receipt
from notifier.providers.codes import DEFERRED
from tests.channels.email.samples import PATIENT, Opener, impatient, mail
from tests.channels.email.server import DROP, HANG, MailServer


@pytest.fixture(params=[True], ids=["pipelining"])
async def server(server: MailServer) -> MailServer:
    return server


Pair = tuple["asyncio.Task[Receipt]", "asyncio.Task[Receipt]"]


async def two(smtp: SmtpTransport, server: MailServer) -> Pair:
    """Two mails on one connection, the first of which waits for its reply."""
    server.gates["mail"] = asyncio.Event()
    pair = (
        asyncio.create_task(smtp.send(mail(reference="first"))),
        asyncio.create_task(smtp.send(mail(reference="second"))),
    )
    await server.until(lambda server: len(server.mails) == 1)
    return pair


def arrived(server: MailServer) -> list[str]:
    return [data.partition(b"Message-ID: <")[2].partition(b"@")[0].decode() for _, data in server.mails]


async def test_the_next_mails_envelope_comes_with_the_mail(transports: Opener, server: MailServer) -> None:
    # Given two mails, and a server that has said nothing to the first one yet
    pair = await two(transports(connections=1), server)

    # When it answers
    server.gates["mail"].set()
    await asyncio.gather(*pair)

    # Then both arrived on one connection, the server having waited for nothing
    assert (server.connections, arrived(server)) == (1, ["first", "second"])


@pytest.mark.parametrize("trouble", [DROP, HANG, "nonsense", "552 5.3.4", "421 4.3.2"])
async def test_what_ends_the_mail_in_front_leaves_the_one_behind_unsent(
    transports: Opener, server: MailServer, trouble: str
) -> None:
    # Given
    smtp = transports(connections=1, timeouts=impatient("mail") if trouble == HANG else PATIENT)
    server.on("mail", trouble)
    first, second = await two(smtp, server)

    # When
    server.gates["mail"].set()
    outcomes = await asyncio.gather(first, second, return_exceptions=True)

    # Then the first one's outcome is its own, and the other one's turn comes again
    mine, behind = outcomes
    assert isinstance(mine, SendError)
    assert isinstance(mine, OutcomeUnknown) == (trouble in (DROP, HANG, "nonsense"))
    assert isinstance(behind, Unavailable)
    assert (behind.code, behind.retry_class) == ("behind", DEFERRED)
    await smtp.send(mail(reference="third"))
    assert arrived(server) == ["first", "third"]


async def test_a_mail_that_is_deferred_at_its_end_costs_no_connection(transports: Opener, server: MailServer) -> None:
    # Given two mails on one connection
    server.on("mail", "451 4.3.0")
    first, second = await two(transports(connections=1), server)

    # When the server defers the one in front after its final dot
    server.gates["mail"].set()
    outcomes = await asyncio.gather(first, second, return_exceptions=True)

    # Then the one behind it goes on, with no other TLS and AUTH
    assert isinstance(outcomes[0], Unavailable)
    assert not isinstance(outcomes[1], Exception)
    assert (server.connections, arrived(server)) == (1, ["first", "second"])


async def test_what_is_refused_behind_a_mail_is_the_one_behind(transports: Opener, server: MailServer) -> None:
    # Given
    smtp = transports(connections=1)
    first, second = await two(smtp, server)
    server.on("RCPT", "550 5.1.1")

    # When
    server.gates["mail"].set()
    outcomes = await asyncio.gather(first, second, smtp.send(mail(reference="third")), return_exceptions=True)

    # Then
    assert [type(outcome) for outcome in outcomes] == [Receipt, AddressGone, Receipt]
    assert (server.connections, arrived(server)) == (1, ["first", "third"])


async def test_a_mail_given_up_behind_another_harms_nobody(transports: Opener, server: MailServer) -> None:
    # Given
    smtp = transports(connections=1)
    first, second = await two(smtp, server)

    # When the second one is cancelled, then the first one is sent and the second one never
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    server.gates["mail"].set()
    assert isinstance(await first, Receipt)
    await smtp.send(mail(reference="third"))
    assert (server.connections, arrived(server)) == (2, ["first", "third"])


async def test_a_mail_whose_turn_does_not_come_in_time_harms_nobody(transports: Opener, server: MailServer) -> None:
    # Given a server that takes its time, and mails that wait for less
    smtp = transports(connections=1, timeouts=PATIENT._replace(wait=0.2))
    first, second = await two(smtp, server)

    # When / Then
    with pytest.raises(Unavailable) as failed:
        await second
    assert (failed.value.code, failed.value.retry_class) == ("busy", DEFERRED)
    server.gates["mail"].set()
    assert isinstance(await first, Receipt)
    await smtp.send(mail(reference="third"))
    assert arrived(server) == ["first", "third"]


async def test_a_mail_given_up_in_front_leaves_the_one_behind_unsent(transports: Opener, server: MailServer) -> None:
    # Given
    first, second = await two(transports(connections=1), server)

    # When
    first.cancel()

    # Then
    with pytest.raises(Unavailable) as failed:
        await second
    assert (failed.value.code, arrived(server)) == ("behind", ["first"])


async def test_a_server_that_asks_for_a_mail_to_nobody_gets_none(transports: Opener, server: MailServer) -> None:
    # Given
    smtp = transports(connections=1)
    server.on("RCPT", "550 5.1.1")
    server.on("nobody", "354 Go ahead")

    # When / Then
    with pytest.raises(AddressGone):
        await smtp.send(mail(reference="first"))
    await smtp.send(mail(reference="second"))
    assert (server.connections, arrived(server)) == (2, ["second"])


@pytest.mark.parametrize("stray", ["250 Ok\r\n250 Ok", "250-Ok\r\n250 Ok\r\n421 Bye"])
async def test_a_reply_too_many_is_never_taken_for_success(transports: Opener, server: MailServer, stray: str) -> None:
    # Given a server that says more than it was asked
    smtp = transports(connections=1)
    server.on("mail", stray)
    await smtp.send(mail(reference="first"))

    # When
    outcomes = [await asyncio.gather(smtp.send(mail(reference=f"n{n}")), return_exceptions=True) for n in range(3)]

    # Then what was told as sent has arrived, and what arrived was not told as unsent
    sent = {f"n{number}" for number, (outcome,) in enumerate(outcomes) if isinstance(outcome, Receipt)}
    assert sent == set(arrived(server)) - {"first"}
    assert len(sent) >= 2
