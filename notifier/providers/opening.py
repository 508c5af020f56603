"""From the settings to a transport for every channel."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import structlog

from notifier.channels import email, push, sms
from notifier.channels.email.dialogue import AT_ONCE
from notifier.channels.email.transport import Security, SmtpTransport
from notifier.channels.push.transport import FcmTransport
from notifier.channels.sms.messages import SmsMessage
from notifier.channels.sms.transport import TwilioTransport
from notifier.domain.clock import Clock
from notifier.domain.deliveries import Channel
from notifier.domain.errors import ConfigurationError, Misconfigured
from notifier.domain.messages import Receipt
from notifier.domain.sms_segments import measure
from notifier.providers import Transport, metrics
from notifier.providers.breaker import State
from notifier.providers.pool import Provider, Providers, Terms
from notifier.providers.shared import Kept, Shared
from notifier.runtime.accounts import (
    Account,
    FcmAccount,
    SmtpAccount,
    TwilioAccount,
    email_accounts,
    push_accounts,
    sms_accounts,
)
from notifier.runtime.proxies import DIRECT, Proxies
from notifier.runtime.settings import Settings

IN_BACKGROUND = 2
"""Worker processes beside those for what is prompt (`broker.queues.BACKGROUND`): each may send."""


A = TypeVar("A", bound=Account)
log = structlog.get_logger(__name__)


def open_transports(settings: Settings, clock: Clock, keep: Callable[[], Kept]) -> dict[Channel, Transport[Any]]:
    """A transport for every channel, on the running loop; one without a provider refuses each message until it has one.

    `keep` opens what keeps what all processes share, one for each channel. An account that can't be used stops no
    other: its place is taken by one that refuses, and says so.
    """
    processes = settings.worker_processes + IN_BACKGROUND
    proxies = proxies_of(settings)
    return {
        Channel.PUSH: _together(
            Terms(channel=Channel.PUSH, codes=push.CODES, ramps=True, processes=processes),
            _opened(Channel.PUSH, push_accounts(settings.push_providers), lambda each: _fcm(each, proxies, clock)),
            keep, clock,
        ),
        Channel.SMS: _together(
            Terms(channel=Channel.SMS, codes=sms.CODES, cost=segments, processes=processes),
            _opened(
                Channel.SMS, sms_accounts(settings.sms_providers), lambda each: _twilio(each, settings, proxies, clock)
            ),
            keep, clock,
        ),
        Channel.EMAIL: _together(
            Terms(channel=Channel.EMAIL, codes=email.CODES, per_connection=AT_ONCE, processes=processes),
            _opened(Channel.EMAIL, email_accounts(settings.email_providers), lambda each: _smtp(each, settings, clock)),
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


def proxies_of(settings: Settings) -> Proxies:
    """Through what the providers are reached; nothing where all is to stay on this machine: a proxy passes it on."""
    return DIRECT if settings.loopback_only else Proxies(settings.https_proxy, settings.no_proxy)


def segments(message: SmsMessage) -> int:
    """What a text counts: Twilio's rates are in segments."""
    return measure(message.content.text).segments


def _together(
    terms: Terms, providers: Sequence[tuple[Account, Transport[Any]]], keep: Callable[[], Kept], clock: Clock
) -> Transport[Any]:
    if not providers:
        return Unusable(terms.channel, "unconfigured", "no provider is set; see `notifier doctor`")
    shared = Shared(keep(), clock)
    opened = Providers([Provider(account, each, terms, shared, clock) for account, each in providers], shared)
    for account, each in providers:
        if isinstance(each, Unusable):  # for the health page: before anything is sent, and after
            metrics.breaker_state.labels(account.name).set(State.OPEN)
    return opened


def _opened(
    channel: Channel, accounts: Sequence[A], open_one: Callable[[A], Transport[Any]]
) -> list[tuple[Account, Transport[Any]]]:
    opened: list[tuple[Account, Transport[Any]]] = []
    for account in accounts:
        try:
            transport = open_one(account)
        except ConfigurationError as error:
            log.error("provider.not_opened", channel=channel, provider=account.name, why=str(error))
            transport = Unusable(channel, "unusable", str(error))
        opened.append((account, transport))
    return opened


def _fcm(account: FcmAccount, proxies: Proxies, clock: Clock) -> FcmTransport:
    return FcmTransport(
        Path(account.service_account), clock=clock, project=account.project, base_url=account.url,
        connections=account.connections, proxies=proxies,
    )  # fmt: skip


def _twilio(account: TwilioAccount, settings: Settings, proxies: Proxies, clock: Clock) -> TwilioTransport:
    return TwilioTransport(
        account.sid, account.token, account.sender, clock=clock, base_url=account.url,
        callback_url=f"{settings.public_url}/v1/receipts/twilio", connections=account.connections, proxies=proxies,
    )  # fmt: skip


def _smtp(account: SmtpAccount, settings: Settings, clock: Clock) -> SmtpTransport:
    return SmtpTransport(
        account.host, account.port, Security(account.security), settings.email_from, clock=clock,
        sender_name=settings.brand_name, username=account.username, password=account.password,
        connections=account.connections, verp=account.verp,
    )  # fmt: skip


class Unusable:
    """Stands in for a provider that isn't set, or can't be used: its messages go to another one, or wait and expire,
    with that as the reason."""

    def __init__(self, channel: Channel, code: str, why: str) -> None:
        self._channel = channel
        self._code = code
        self._why = why

    async def send(self, _message: object) -> Receipt:
        raise Misconfigured(self._channel, self._code, self._why)

    async def close(self) -> None:
        return
