"""Twilio as the provider of texts."""

from collections.abc import AsyncIterator, Sequence
from typing import Final

from notifier.channels.sms.messages import SmsMessage
from notifier.channels.sms.receipts import PATH
from notifier.channels.sms.settings import ACCOUNTS, TwilioAccount
from notifier.channels.sms.transport import TwilioTransport
from notifier.domain.sms_segments import measure
from notifier.providers.spec import Opening, ProviderSpec, pace, route
from notifier.runtime.finding import Finding
from notifier.runtime.settings import Settings


def open_transport(account: TwilioAccount, opening: Opening) -> TwilioTransport:
    """The transport of a Twilio account, which reports to our public address."""
    return TwilioTransport(
        account.sid, account.token, account.sender, clock=opening.clock, base_url=account.url,
        callback_url=f"{opening.settings.public_url}{PATH}", connections=account.connections,
        proxies=opening.proxies,
    )  # fmt: skip


async def check(accounts: Sequence[TwilioAccount], settings: Settings) -> AsyncIterator[Finding]:
    """Tell each account's sender; only a text that is sent would show whether the account is good."""
    for account in accounts:
        told = f"{account.name}: from {account.sender} by {route(account.url, settings)}{pace(account)}"
        yield Finding("sms", "good", told)


def segments(message: SmsMessage) -> int:
    """What a text counts: Twilio's rates are in segments."""
    return measure(message.content.text).segments


PROVIDER: Final = ProviderSpec(
    accounts=ACCOUNTS,
    open=open_transport,
    check=check,
    name="sms",
    messages="texts",
    url="twilio://SID:TOKEN@api.twilio.com?from=NUMBER",
    cost=segments,
)
