"""Mails to an SMTP server over connections that stay open.

aiosmtplib connects, encrypts and authenticates. The mail itself goes command by command, for what a lost connection
means depends on how far it came: before the mail was sent nothing has happened, after it only the server knows.
"""

import asyncio
import re
import ssl
from enum import StrEnum
from functools import partial
from typing import Final, NamedTuple

from aiosmtplib import SMTP, SMTPException, SMTPResponseException
from aiosmtplib.response import SMTPResponse

from notifier.channels import fence
from notifier.channels.email import CODES
from notifier.channels.email.connections import IDLE, MAILS, Connections
from notifier.channels.email.mime import compose, make_sender, message_id, plain_address, return_path
from notifier.clock import Clock
from notifier.errors import ConfigurationError, SendError
from notifier.messages import EmailMessage, Receipt

CONNECTIONS: Final = 10
"""Connections to the server: what a relay grants one client without more ado."""

_ENHANCED: Final = re.compile(r"([45]\.[0-9]{1,3}\.)[0-9]{1,3}(?![0-9])")


class Security(StrEnum):
    """How the connection is encrypted. There is no "if offered": an attacker in between would see that it isn't."""

    TLS = "tls"
    STARTTLS = "starttls"
    NONE = "none"


class Timeouts(NamedTuple):
    """Seconds for a free connection, for opening one (TLS and AUTH included), for the commands, and for the answer.

    Together with what `notifier.channels.providers` waits before, they end within the 20 s that a delivery's lease
    leaves for sending; therefore they are far below RFC 5321's (§4.5.3.2).
    """

    wait: float = 2.0
    connect: float = 4.0
    commands: float = 3.0
    mail: float = 7.0


TIMEOUTS: Final = Timeouts()


class SmtpTransport:
    """Sends mails through one server, one recipient a mail.

    `sender` is the bare address that mails come from, `sender_name` what people see. Each mail bounces to an address of
    its own, `local+reference@domain`, which should lead to `notifier bounces`. `tls_context` replaces the system's
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
        tls_context: ssl.SSLContext | None = None,
        timeouts: Timeouts = TIMEOUTS,
    ) -> None:
        if not host:
            raise ConfigurationError("mails need the name of an SMTP server")
        self._sender = make_sender(sender, sender_name)
        self._clock = clock
        self._timeouts = timeouts
        encrypted = security is not Security.NONE
        self._open = partial(
            SMTP,
            hostname=host,
            port=port,
            use_tls=security is Security.TLS,
            start_tls=security is Security.STARTTLS,
            tls_context=(tls_context or ssl.create_default_context()) if encrypted else None,
            username=username or None,
            password=password or None,
            local_hostname=self._sender.domain,
            timeout=None,  # one time-out around several commands is ours
        )
        self._connections = Connections(
            self._connect, size=connections, wait=timeouts.wait, idle=idle, mails=mails_per_connection
        )

    async def send(self, message: EmailMessage) -> Receipt:
        """Hand over one mail; the receipt's reference is its Message-ID. Raises a SendError."""
        recipient = plain_address(message.to)
        mail = compose(message, self._sender, recipient, self._clock.now())
        bounces_to = return_path(message, self._sender)
        async with self._connections.borrow() as smtp:
            failure = await self._hand_over(smtp, bounces_to, recipient, mail)
        if failure is not None:
            raise failure
        return Receipt(CODES.provider, message_id(message, self._sender))

    async def close(self) -> None:
        """Close every connection: at once where it is idle, else behind the mail that is under way."""
        self._connections.close()

    async def _connect(self) -> SMTP:
        smtp = self._open()
        try:
            async with asyncio.timeout(self._timeouts.connect):
                await smtp.connect()
                if smtp.is_ehlo_or_helo_needed:
                    await smtp.ehlo()
                return smtp
        except SMTPResponseException as error:
            failure = _refusal_of_us(error.code)
        except OSError as error:  # aiosmtplib's lost connections and time-outs are among them
            distrusted = isinstance(error.__cause__ or error, ssl.SSLCertVerificationError)
            failure = CODES.classify("bad_certificate" if distrusted else "unreachable")
        except SMTPException:
            failure = CODES.classify("not_offered")
        except asyncio.CancelledError:
            smtp.close()
            raise
        smtp.close()
        # Not within the except: aiosmtplib's errors hold what the server said.
        raise failure

    async def _hand_over(self, smtp: SMTP, bounces_to: str, recipient: str, mail: bytes) -> SendError | None:
        """Say the commands and the mail; what went wrong, if anything.

        Afterwards the connection is closed, or waits for the next mail's first command.
        """
        failure = None
        try:
            async with asyncio.timeout(self._timeouts.commands):
                failure = await self._name(smtp, bounces_to, recipient)
                if failure is not None:
                    # The server goes on waiting for DATA unless it is told to forget. A 421 has closed the connection.
                    if smtp.is_connected and (await smtp.execute_command(b"RSET")).code != 250:
                        smtp.close()
                    return failure
            protocol = smtp.protocol
            if protocol is None:
                return CODES.classify("lost")
            fence.check(CODES.provider)
            protocol.write(mail + b".\r\n")
        except (SMTPException, OSError):
            smtp.close()
            return failure or CODES.classify("lost")
        try:
            async with asyncio.timeout(self._timeouts.mail):
                reply = await protocol.read_response()
        except (SMTPException, OSError):
            smtp.close()
            return CODES.classify("lost_after_mail")
        if reply.code // 100 == 2:
            return None
        # A server that answers in the middle of a mail may answer once more at its end.
        smtp.close()
        return _refusal(reply)

    async def _name(self, smtp: SMTP, bounces_to: str, recipient: str) -> SendError | None:
        """Name sender and recipient and announce the mail."""
        reply = await smtp.execute_command(b"MAIL FROM:<%b>" % bounces_to.encode())
        if reply.code // 100 != 2:
            return _refusal_of_us(reply.code)
        reply = await smtp.execute_command(b"RCPT TO:<%b>" % recipient.encode())
        if reply.code // 100 != 2:
            return _refusal(reply)
        reply = await smtp.execute_command(b"DATA")
        return None if reply.code == 354 else _refusal(reply)


def _refusal_of_us(code: int) -> SendError:
    return CODES.classify(f"session {code}", f"session {code // 100}xx")


def _refusal(reply: SMTPResponse) -> SendError:
    """The error of a reply. Its enhanced code counts only where it is of the reply's own class."""
    code = str(reply.code)
    enhanced = _ENHANCED.match(reply.message)
    precise = (enhanced[0], f"{enhanced[1]}0") if enhanced and enhanced[0][0] == code[0] else ()
    return CODES.classify(*precise, code, f"{code[0]}xx")
