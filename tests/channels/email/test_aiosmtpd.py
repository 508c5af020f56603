"""Mails to aiosmtpd, a server that nobody here wrote: encryption, authentication, and what arrives."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from email import message_from_bytes
from email.message import EmailMessage as Parsed
from email.policy import default
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword

from notifier.channels.email.dialogue import SmtpTimeouts
from notifier.channels.email.messages import EmailContent
from notifier.channels.email.transport import Security, SmtpTransport
from notifier.domain.clock import ManualClock
from notifier.domain.errors import Misconfigured, Refused
from tests.channels import canary
from tests.channels.email.samples import SENDER, mail

# aiosmtpd warns of what some of these tests are about.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")

LOGIN = LoginPassword(b"notifier", canary.SECRET.encode())
Connect = Callable[..., SmtpTransport]


class Inbox:
    """Keeps envelopes."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []

    async def handle_DATA(self, _server: SMTP, _session: object, envelope: Envelope) -> str:  # noqa: N802
        self.envelopes.append(envelope)
        return "250 Ok"

    def message(self, index: int = 0) -> Parsed:
        parsed = message_from_bytes(self.envelopes[index].original_content or b"", policy=default)
        assert isinstance(parsed, Parsed)
        return parsed


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


Serve = Callable[..., AbstractAsyncContextManager[Connect]]


@pytest.fixture
def serve(inbox: Inbox, clock: ManualClock) -> Serve:
    """Starts a server, and gives what makes transports to it."""

    @asynccontextmanager
    async def started(*, ssl_context: ssl.SSLContext | None = None, **options: Any) -> AsyncIterator[Connect]:
        def authenticate(*asked: object) -> AuthResult:
            return AuthResult(success=asked[-1] == LOGIN, handled=False)

        def protocol() -> SMTP:
            return SMTP(inbox, hostname="mail.example", authenticator=authenticate, **options)

        loop = asyncio.get_running_loop()
        server = await loop.create_server(protocol, "127.0.0.1", 0, ssl=ssl_context)
        port = server.sockets[0].getsockname()[1]
        opened = []

        def connect(security: Security, **more: Any) -> SmtpTransport:
            timeouts = SmtpTimeouts(connect=3.0)
            transport = SmtpTransport("127.0.0.1", port, security, SENDER, clock=clock, timeouts=timeouts, **more)
            opened.append(transport)
            return transport

        try:
            yield connect
        finally:
            for transport in opened:
                await transport.close()
            server.close()
            await server.wait_closed()

    return started


CREDENTIALS = {"username": "notifier", "password": canary.SECRET}


async def test_a_mail_by_starttls_and_auth(
    serve: Serve, inbox: Inbox, server_tls: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    async with serve(tls_context=server_tls, require_starttls=True, auth_required=True) as connect:
        # Given
        transport = connect(Security.STARTTLS, tls_context=trusting, **CREDENTIALS)

        # When
        await asyncio.gather(*(transport.send(mail(reference=f"n{number}")) for number in range(20)))

    # Then
    assert len(inbox.envelopes) == 20
    assert {envelope.mail_from for envelope in inbox.envelopes} == {
        f"no-reply+n{number}@voltline.example" for number in range(20)
    }
    assert {recipient for envelope in inbox.envelopes for recipient in envelope.rcpt_tos} == {canary.MAILBOX}
    assert {message["Message-ID"] for message in map(inbox.message, range(20))} == {
        f"<n{number}@voltline.example>" for number in range(20)
    }


async def test_a_mail_by_tls_from_the_first_byte(
    serve: Serve, inbox: Inbox, server_tls: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    async with serve(ssl_context=server_tls, auth_require_tls=False) as connect:
        await connect(Security.TLS, tls_context=trusting, **CREDENTIALS).send(mail())
    assert len(inbox.envelopes) == 1


async def test_a_wrong_password_needs_a_person(
    serve: Serve, inbox: Inbox, caplog: pytest.LogCaptureFixture, server_tls: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    async with serve(tls_context=server_tls, auth_required=True) as connect:
        # Given
        transport = connect(
            Security.STARTTLS, tls_context=trusting, username="notifier", password=f"{canary.SECRET}-old"
        )

        # When
        with pytest.raises(Misconfigured) as failed:
            await transport.send(mail())

    # Then
    assert failed.value.code == "session 535"
    assert inbox.envelopes == []
    assert canary.shown(failed.value, caplog) == []


async def test_without_credentials_a_server_that_wants_some_needs_a_person(serve: Serve, inbox: Inbox) -> None:
    async with serve(auth_required=True, auth_require_tls=False) as connect:
        with pytest.raises(Misconfigured) as failed:
            await connect(Security.NONE).send(mail())
    assert failed.value.code == "session 530"
    assert inbox.envelopes == []


async def test_a_server_without_starttls_gets_neither_mail_nor_password(
    serve: Serve, inbox: Inbox, trusting: ssl.SSLContext
) -> None:
    async with serve() as connect:
        with pytest.raises(Misconfigured) as failed:
            await connect(Security.STARTTLS, tls_context=trusting, **CREDENTIALS).send(mail())
    assert failed.value.code == "not_offered"
    assert inbox.envelopes == []


async def test_a_server_without_authentication_needs_a_person(serve: Serve, inbox: Inbox) -> None:
    async with serve(auth_exclude_mechanism=["LOGIN", "PLAIN"], auth_require_tls=False) as connect:
        with pytest.raises(Misconfigured) as failed:
            await connect(Security.NONE, **CREDENTIALS).send(mail())
    assert failed.value.code == "not_offered"


@pytest.mark.parametrize("security", [Security.TLS, Security.STARTTLS])
async def test_a_certificate_that_nobody_vouches_for_needs_a_person(
    serve: Serve, inbox: Inbox, server_tls: ssl.SSLContext, security: Security
) -> None:
    options = {"ssl_context": server_tls} if security is Security.TLS else {"tls_context": server_tls}
    async with serve(**options) as connect:
        with pytest.raises(Misconfigured) as failed:
            await connect(security).send(mail())
    assert failed.value.code == "bad_certificate"
    assert inbox.envelopes == []


INJECTIONS = [
    "a@example.com\r\nRCPT TO:<eve@example.com>", "a@example.com>\r\nRCPT TO:<eve@example.com",
    "a@example.com,eve@example.com",
    '"a@example.com\r\nBcc: eve@example.com"@example.com', "a@example.com\u2028Bcc: eve@example.com", "a\0@example.com",
    '"a,eve"@example.com',
]  # fmt: skip


@pytest.mark.parametrize("attack", INJECTIONS)
@pytest.mark.parametrize("field", ["to", "to_name", "subject", "text", "unsubscribe_url", "reference"])
async def test_no_field_adds_a_header_or_a_recipient(serve: Serve, inbox: Inbox, attack: str, field: str) -> None:
    # Given
    contents = {"subject": "s", "text": "t", "html": "h"}
    changes = {"content": EmailContent(**{**contents, field: attack})} if field in contents else {field: attack}

    # When
    async with serve() as connect:
        transport = connect(Security.NONE)
        try:
            await transport.send(mail(**changes))
        except Refused:
            assert field != "text"
        await transport.send(mail(reference="after"))

    # Then what was taken has one recipient and the usual headers, and the next mail is untouched
    for number, envelope in enumerate(inbox.envelopes):
        assert envelope.rcpt_tos == [canary.MAILBOX]
        assert len(inbox.message(number).keys()) == 10
        assert inbox.message(number)["Bcc"] is None
    assert inbox.message(-1)["Message-ID"] == "<after@voltline.example>"
