"""The SMTP transport: sends mails over connections that stay open.

aiosmtplib connects, encrypts and authenticates; then the mails are `notifier.channels.email.dialogue`'s.
"""

import asyncio
import socket
import ssl
from enum import StrEnum
from functools import partial
from typing import Final, cast

from aiohappyeyeballs import start_connection
from aiosmtplib import SMTP, SMTPException, SMTPHeloError, SMTPResponseException

from notifier.channels.email.codes import CODES
from notifier.channels.email.connections import IDLE, MAILS, Connections
from notifier.channels.email.dialogue import Dialogue, OutgoingMail, SmtpTimeouts, refusal_of_us
from notifier.channels.email.messages import EmailMessage
from notifier.channels.email.mime import compose, make_sender, message_id, plain_address, return_path
from notifier.domain.clock import Clock
from notifier.domain.errors import ConfigurationError
from notifier.domain.messages import Receipt
from notifier.providers import fence
from notifier.providers.http_connection import HAPPY_EYEBALLS

CONNECTIONS: Final = 10
"""Connections to the server: as many as relays commonly grant one client."""


class Security(StrEnum):
    """The connection's encryption. There is no "if offered": an attacker in between could suppress the offer."""

    TLS = "tls"
    STARTTLS = "starttls"
    NONE = "none"


TIMEOUTS: Final = SmtpTimeouts()
NOT_KNOWN: Final = frozenset({500, 502, 504})
"""Reply codes to EHLO of a server without extensions (RFC 5321 §3.2)."""


async def _greet(smtp: SMTP) -> None:
    try:
        await smtp.ehlo()
    except SMTPHeloError as error:
        if error.code not in NOT_KNOWN:
            raise
        await smtp.helo()


class SmtpTransport:
    """Sends mails through one server, one recipient a mail.

    `sender` is the bare address that mails come from, `sender_name` what people see. Each mail bounces to an address of
    its own, `local+reference@domain`, which should lead to `notifier bounces`;
    without `verp` all go to the sender's own. `tls_context` replaces the system's
    trust store. ConfigurationError where they don't go together.
    """

    def __init__(
        self,
        host: str,
        port: int,
        security: Security,
        sender: str,
        *,
        clock: Clock,
        sender_name: str | None = None,
        username: str | None = None,
        password: str | None = None,
        connections: int = CONNECTIONS,
        idle: float = IDLE,
        mails_per_connection: int = MAILS,
        verp: bool = True,
        tls_context: ssl.SSLContext | None = None,
        timeouts: SmtpTimeouts = TIMEOUTS,
    ) -> None:
        if not host:
            raise ConfigurationError("mails need the name of an SMTP server")
        self._sender = make_sender(sender, sender_name, verp=verp)
        self._verp = verp
        self._clock = clock
        self._timeouts = timeouts
        encrypted = security is not Security.NONE
        self._open = partial(
            SMTP,
            hostname=host,
            use_tls=security is Security.TLS,
            start_tls=security is Security.STARTTLS,
            tls_context=(tls_context or ssl.create_default_context()) if encrypted else None,
            username=username or None,
            password=password or None,
            local_hostname=self._sender.domain,
            timeout=None,  # the time-out around several commands is ours
        )
        self._server = (host, port)
        self._idle = idle
        self._mails_per_connection = mails_per_connection
        self._connections = Connections(self._connect, connections)

    async def send(self, message: EmailMessage) -> Receipt:
        """Send a mail; the receipt's reference is its Message-ID. Raises a SendError."""
        recipient = plain_address(message.to)
        mail = compose(message, self._sender, recipient, self._clock.now())
        bounces_to = return_path(message, self._sender) if self._verp else self._sender.address
        wait = min(self._timeouts.wait, fence.begin_by() - asyncio.get_running_loop().time())
        await self._connections.send(OutgoingMail(bounces_to, recipient, mail, wait))
        return Receipt(CODES.provider, message_id(message, self._sender))

    async def close(self) -> None:
        """Close every connection: at once where it is idle, else after the mail under way."""
        self._connections.close()

    async def _reach(self) -> socket.socket:
        """A TCP connection, which takes a moment or is none: only what the server says may take its time."""
        host, port = self._server
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return await start_connection(found, happy_eyeballs_delay=HAPPY_EYEBALLS)

    async def _connect(self, connections: Connections) -> Dialogue:
        smtp = self._open()
        try:
            async with asyncio.timeout(self._timeouts.connect):
                smtp.sock = await self._reach()
            async with asyncio.timeout(self._timeouts.greeting):
                await smtp.connect()
                if smtp.is_ehlo_or_helo_needed:
                    await _greet(smtp)
                return Dialogue(
                    cast(asyncio.Transport, smtp.transport), connections, timeouts=self._timeouts, idle=self._idle,
                    most=self._mails_per_connection, pipelining=smtp.supports_extension("pipelining"),
                )  # fmt: skip
        except SMTPResponseException as error:
            failure = refusal_of_us(error.code)
        except OSError as error:  # aiosmtplib's lost connections and time-outs are among them
            distrusted = isinstance(error.__cause__ or error, ssl.SSLCertVerificationError)
            failure = CODES.classify("bad_certificate" if distrusted else "unreachable")
        except SMTPException:
            failure = CODES.classify("not_offered")
        except asyncio.CancelledError:
            smtp.close()
            raise
        smtp.close()
        # Raised outside the except block: aiosmtplib's errors quote the server's replies.
        raise failure
