"""A mail server as the provider of mails."""

from collections.abc import AsyncIterator
from typing import Final

from aiosmtplib import SMTP, SMTPException, SMTPResponseException

from notifier.channels.email.dialogue import AT_ONCE
from notifier.channels.email.settings import ACCOUNTS, FROM, SmtpAccount
from notifier.channels.email.transport import Security, SmtpTransport
from notifier.providers.spec import Opening, ProviderSpec, no_account, pace
from notifier.runtime.addresses import mailbox
from notifier.runtime.finding import DoctorFinding
from notifier.runtime.settings import Settings

TIMEOUT: Final = 5
"""Seconds that the doctor waits for a mail server."""


def open_transport(account: SmtpAccount, opening: Opening) -> SmtpTransport:
    """Open the transport of a mail server, with the configured sender."""
    settings = opening.settings
    return SmtpTransport(
        account.host, account.port, Security(account.security), settings.channels[FROM], clock=opening.clock,
        sender_name=settings.brand_name, username=account.username, password=account.password,
        connections=account.connections, verp=account.verp,
    )  # fmt: skip


async def check(settings: Settings) -> AsyncIterator[DoctorFinding]:
    """Check for the doctor that each server accepts our sender, that the base URL of links in mails is sound, and what
    the DNS says of the sender's domain."""
    accounts = ACCOUNTS.of(settings)
    sender = mailbox(settings.channels[FROM]).address
    if not accounts:
        yield no_account("e-mail", "mails", ACCOUNTS.name, "smtp+starttls://USER:PASSWORD@HOST")
    for account in accounts:
        yield await _check(account, sender)
    if accounts and settings.public_url.startswith("http://"):
        told = (
            f"links in List-Unsubscribe begin with {settings.public_url}: mailbox providers accept only "
            "https (RFC 8058)"
        )
        way_out = "set NOTIFIER_PUBLIC_URL to https://…, and let the relay DKIM-sign that header"
        yield DoctorFinding("e-mail", "missing", told, way_out)
    domain = sender.rpartition("@")[2]
    if accounts and "." in domain:  # the default sender is of no domain
        from notifier.channels.email import authentication  # 10 MB that only the doctor needs

        async for finding in authentication.check(domain):
            yield finding


async def _check(account: SmtpAccount, sender: str) -> DoctorFinding:
    try:
        await _ask_the_relay(account, sender)
    except SMTPResponseException as error:
        told = f"{account.name}: the server refuses the workers' commands ({type(error).__name__}, {error.code})"
        way_out = (
            "fix the user, the password or the sender in NOTIFIER_EMAIL_PROVIDERS; add &verp=false if it "
            "refuses local+id@ as the sender"
        )
        return DoctorFinding("e-mail", "wrong", told, way_out)
    except (SMTPException, OSError, TimeoutError) as error:
        told = f"{account.name}: the server does not answer as it should ({type(_first(error)).__name__})"
        return DoctorFinding("e-mail", "wrong", told, "start it, or fix NOTIFIER_EMAIL_PROVIDERS")
    security = "not encrypted" if account.security == "none" else account.security
    return DoctorFinding("e-mail", "good", f"{account.name}: {security}, accepts our sender{pace(account)}")


def _first(error: BaseException) -> BaseException:
    """Return an error's first cause: a bad certificate rather than a lost connection."""
    before = error.__cause__ or error.__context__
    return error if before is None else _first(before)


async def _ask_the_relay(account: SmtpAccount, sender: str) -> None:
    """Go through a worker's dialogue before a mail: TLS, AUTH, and the sender with its own return path."""
    local, _, domain = sender.rpartition("@")
    server = SMTP(
        hostname=account.host, port=account.port, use_tls=account.security == "tls",
        start_tls=account.security == "starttls", username=account.username, password=account.password,
        local_hostname=domain, timeout=TIMEOUT,
    )  # fmt: skip
    async with server:
        await server.mail(f"{local}+{'0' * 32}@{domain}" if account.verp else sender)
        await server.rset()


PROVIDER: Final = ProviderSpec(
    accounts=ACCOUNTS.of,
    open=open_transport,
    check=check,
    per_connection=AT_ONCE,
)
