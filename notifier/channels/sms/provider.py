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
    """The transport of a Twilio account, which reports to our public address."""
    return TwilioTransport(
        account.sid, account.token, account.sender, clock=opening.clock, base_url=account.url,
        callback_url=f"{opening.settings.public_url}{PATH}", connections=account.connections,
        proxies=opening.proxies,
    )  # fmt: skip


async def check(settings: Settings) -> AsyncIterator[DoctorFinding]:
    """Tell each account's sender; only a text that is sent would show whether the account is good."""
    accounts = ACCOUNTS.of(settings)
    if not accounts:
        yield no_account("sms", "texts", ACCOUNTS.name, "twilio://SID:TOKEN@api.twilio.com?from=NUMBER")
    for account in accounts:
        told = f"{account.name}: from {account.sender} by {route(account.url, settings)}{pace(account)}"
        yield DoctorFinding("sms", "good", told)


def segments(message: SmsMessage) -> int:
    """What a text counts: Twilio's rates are in segments."""
    return measure(message.content.text).segments


PROVIDER: Final = ProviderSpec(
    accounts=ACCOUNTS.of,
    open=open_transport,
    check=check,
    cost=segments,
)
