"""Twilio as the provider of texts."""

from collections.abc import AsyncIterator
from typing import Final

from notifier.channels.sms.messages import SmsMessage
from notifier.channels.sms.receipts import PATH
from notifier.channels.sms.settings import ACCOUNTS, TwilioAccount
from notifier.channels.sms.transport import TwilioTransport
from notifier.domain.sms_segments import measure
from notifier.providers.spec import Opening, ProviderSpec, no_account, pace, route
from notifier.runtime.finding import DoctorFinding
from notifier.runtime.settings import Settings


def open_transport(account: TwilioAccount, opening: Opening) -> TwilioTransport:
    """Open the transport of a Twilio account, which sends its callbacks to our public URL."""
    return TwilioTransport(
        account.sid, account.token, account.sender, clock=opening.clock, base_url=account.url,
        callback_url=f"{opening.settings.public_url}{PATH}", connections=account.connections,
        proxies=opening.proxies,
    )  # fmt: skip


async def check(settings: Settings) -> AsyncIterator[DoctorFinding]:
    """Report each account's sender to the doctor; only sending a text would show whether the account works."""
    accounts = ACCOUNTS.of(settings)
    if not accounts:
        yield no_account("sms", "texts", ACCOUNTS.name, "twilio://SID:TOKEN@api.twilio.com?from=NUMBER")
    for account in accounts:
        told = f"{account.name}: from {account.sender} by {route(account.url, settings)}{pace(account)}"
        yield DoctorFinding("sms", "good", told)


def segments(message: SmsMessage) -> int:
    """Return the number of segments of a text, which Twilio's rates count."""
    return measure(message.content.text).segments


PROVIDER: Final = ProviderSpec(
    accounts=ACCOUNTS.of,
    open=open_transport,
    check=check,
    cost=segments,
    confirms=True,
)
