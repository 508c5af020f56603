"""From the settings to a transport for every channel."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from notifier.accounts import (
    Account,
    FcmAccount,
    SmtpAccount,
    TwilioAccount,
    email_accounts,
    push_accounts,
    sms_accounts,
)
from notifier.channels import Transport, email, push, sms
from notifier.channels.email.dialogue import AT_ONCE
from notifier.channels.email.transport import Security, SmtpTransport
from notifier.channels.providers import Provider, Providers, Terms
from notifier.channels.push.transport import FcmTransport
from notifier.channels.shared import Kept, Shared
from notifier.channels.sms.transport import TwilioTransport
from notifier.clock import Clock
from notifier.deliveries import Channel
from notifier.errors import Misconfigured
from notifier.messages import Receipt, SmsMessage
from notifier.settings import Settings
from notifier.sms_segments import measure

IN_BACKGROUND = 2
"""Worker processes beside those for what is prompt (`broker.queues.BACKGROUND`): each may send."""


def open_transports(settings: Settings, clock: Clock, keep: Callable[[], Kept]) -> dict[Channel, Transport[Any]]:
    """A transport for every channel, on the running loop; one without a provider refuses each message until it has one.

    `keep` opens what keeps what all processes share, one for each channel. ConfigurationError for an account that can't
    be used.
    """
    processes = settings.worker_processes + IN_BACKGROUND
    return {
        Channel.PUSH: _together(
            Terms(channel=Channel.PUSH, codes=push.CODES, ramps=True, processes=processes),
            [(account, _fcm(account, clock)) for account in push_accounts(settings.push_providers)],
            keep, clock,
        ),
        Channel.SMS: _together(
            Terms(channel=Channel.SMS, codes=sms.CODES, cost=segments, processes=processes),
            [(account, _twilio(account, settings, clock)) for account in sms_accounts(settings.sms_providers)],
            keep, clock,
        ),
        Channel.EMAIL: _together(
            Terms(channel=Channel.EMAIL, codes=email.CODES, per_connection=AT_ONCE, processes=processes),
            [(account, _smtp(account, settings, clock)) for account in email_accounts(settings.email_providers)],
            keep, clock,
        ),
    }  # fmt: skip


def places(settings: Settings) -> dict[Channel, float]:
    """How many messages of each channel keep a process's connections busy: any number where rates keep them apart."""
    accounts: dict[Channel, Sequence[Account]] = {
        Channel.PUSH: push_accounts(settings.push_providers),
        Channel.SMS: sms_accounts(settings.sms_providers),
        Channel.EMAIL: email_accounts(settings.email_providers),
    }
    return {
        channel: sum(math.inf if account.rate else account.connections for account in opened)
        * (AT_ONCE if channel is Channel.EMAIL else 1)
        or math.inf
        for channel, opened in accounts.items()
    }


def segments(message: SmsMessage) -> int:
    """What a text counts: Twilio's rates are in segments."""
    return measure(message.content.text).segments


def _together(
    terms: Terms, providers: Sequence[tuple[Account, Transport[Any]]], keep: Callable[[], Kept], clock: Clock
) -> Transport[Any]:
    if not providers:
        return Unconfigured(terms.channel)
    shared = Shared(keep(), clock)
    return Providers([Provider(account, each, terms, shared, clock) for account, each in providers], shared)


def _fcm(account: FcmAccount, clock: Clock) -> FcmTransport:
    return FcmTransport(
        Path(account.service_account), clock=clock, project=account.project, base_url=account.url,
        connections=account.connections,
    )  # fmt: skip


def _twilio(account: TwilioAccount, settings: Settings, clock: Clock) -> TwilioTransport:
    return TwilioTransport(
        account.sid, account.token, account.sender, clock=clock, base_url=account.url,
        callback_url=f"{settings.public_url}/v1/receipts/twilio", connections=account.connections,
    )  # fmt: skip


def _smtp(account: SmtpAccount, settings: Settings, clock: Clock) -> SmtpTransport:
    return SmtpTransport(
        account.host, account.port, Security(account.security), settings.email_from, clock=clock,
        sender_name=settings.brand_name, username=account.username, password=account.password,
        connections=account.connections,
    )  # fmt: skip


class Unconfigured:
    """Stands in for a channel whose provider isn't set: its messages wait, and expire, with that as the reason."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def send(self, _message: object) -> Receipt:
        raise Misconfigured(self._channel, "unconfigured", "no provider is set; see `notifier doctor`")

    async def close(self) -> None:
        return
