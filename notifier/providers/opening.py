"""Open a transport for every channel from the settings."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import structlog

from notifier.domain.channels import channels
from notifier.domain.clock import Clock
from notifier.domain.deliveries import Channel
from notifier.domain.errors import ConfigurationError, Misconfigured
from notifier.domain.messages import Message, Receipt
from notifier.providers import Transport, metrics
from notifier.providers.breaker import BreakerState
from notifier.providers.pool import Provider, Providers, Terms
from notifier.providers.shared import Kept, Shared
from notifier.providers.spec import Opening, ProviderSpec, codes, provider
from notifier.runtime.accounts import Account
from notifier.runtime.settings import Settings

IN_BACKGROUND = 2
"""Worker processes beside those for prompt messages (`broker.queues.BACKGROUND`): each may send."""

log = structlog.get_logger(__name__)


def open_transports(settings: Settings, clock: Clock, keep: Callable[[], Kept]) -> dict[Channel, Transport[Any]]:
    """A transport for every channel, on the running loop; one without an account refuses each message until it has
    one, and where a channel has no provider the delivery's row is all that there is to do.

    `keep` opens what keeps what all processes share, one for each channel. An account that can't be used stops no
    other: its place is taken by one that refuses, and says so.
    """
    return {channel: open_transport(channel, settings, clock, keep) for channel in channels()}


def open_transport(
    channel: Channel, settings: Settings, clock: Clock, keep: Callable[[], Kept], *, strict: bool = False
) -> Transport[Any]:
    """One channel's transport, as `open_transports` opens it; `strict` raises ConfigurationError where an account
    can't be used."""
    spec = provider(channel)
    if spec is None:
        return RowAlone(channel)
    opening = Opening(settings=settings, proxies=settings.proxies(), clock=clock)
    terms = _terms(channel, spec, settings)
    return _together(
        terms, [(each, _open(each, spec, opening, terms, strict)) for each in spec.accounts(settings)], keep, clock
    )


def account_files(channel: Channel, settings: Settings) -> set[Path]:
    """The files with secrets that a channel's accounts name."""
    spec = provider(channel)
    return set() if spec is None else {file for each in spec.accounts(settings) for file in spec.files(each)}


def concurrency(settings: Settings) -> dict[Channel, float]:
    """How many messages of each channel keep a process's connections busy: any number where rates keep them apart, or
    none is opened."""
    return {channel: _concurrency(provider(channel), settings) for channel in channels()}


def _concurrency(spec: ProviderSpec[Any] | None, settings: Settings) -> float:
    if spec is None:
        return math.inf
    connections = sum(math.inf if account.rate else account.connections for account in spec.accounts(settings))
    return connections * spec.per_connection or math.inf


def _terms(channel: Channel, spec: ProviderSpec[Any], settings: Settings) -> Terms:
    known = codes(channel)
    if known is None:
        raise ConfigurationError(f"notifier/channels/{channel}: a channel that has a provider needs its codes.py")
    return Terms(
        channel=channel, codes=known, cost=spec.cost, ramps=spec.ramps, per_connection=spec.per_connection,
        processes=settings.worker_processes + IN_BACKGROUND,
    )  # fmt: skip


def _together(
    terms: Terms, providers: Sequence[tuple[Account, Transport[Any]]], keep: Callable[[], Kept], clock: Clock
) -> Transport[Any]:
    if not providers:
        return Unusable(terms.channel, "unconfigured", "no provider is set; see `notifier doctor`")
    shared = Shared(keep(), clock)
    opened = Providers([Provider(account, each, terms, shared, clock) for account, each in providers], shared)
    for account, each in providers:
        if isinstance(each, Unusable):  # the health page reads them before the first message is sent
            metrics.breaker_state.labels(account.name).set(BreakerState.OPEN)
    return opened


def _open(account: Account, spec: ProviderSpec[Any], opening: Opening, terms: Terms, strict: bool) -> Transport[Any]:
    try:
        return spec.open(account, opening)
    except ConfigurationError as error:
        if strict:
            raise
        log.error("provider.not_opened", channel=terms.channel, provider=account.name, why=str(error))
        return Unusable(terms.channel, "unusable", str(error))


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


class RowAlone:
    """Stands where a channel has no provider: each message is sent as soon as its delivery's row says so."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def send(self, message: Message) -> Receipt:
        """Take the message; the receipt names the channel, and the delivery by its own reference."""
        return Receipt(self._channel.value, message.reference)

    async def close(self) -> None:
        return
