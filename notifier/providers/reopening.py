"""Transports that are opened anew when their accounts change, while messages are under way."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import structlog

from notifier.domain.deliveries import Channel
from notifier.domain.errors import ConfigurationError
from notifier.providers import Transport
from notifier.providers.opening import account_files
from notifier.runtime.background import cancelled, once
from notifier.runtime.rotation import Change
from notifier.runtime.settings import Settings

UNTIL_OVER: Final = 60.0
"""Seconds after which nothing is under way any more by a transport that was replaced: more than two leases."""

log = structlog.get_logger(__name__)


class Reopening:
    """The transports of a worker by channel. `opened` is what the worker sends by; it changes in place.

    `reopen` opens a channel's transport by other settings; ConfigurationError where one of its accounts can't be used.
    """

    def __init__(
        self, opened: dict[Channel, Transport[Any]], reopen: Callable[[Channel, Settings], Transport[Any]]
    ) -> None:
        self._opened = opened
        self._reopen = reopen
        self._closing: dict[asyncio.Task[None], Transport[Any]] = {}

    async def heed(self, change: Change) -> None:
        """Open the channels anew whose accounts have changed. A channel with one that can't be used stays as it is."""
        for channel in list(self._opened):
            named = any(name.startswith(f"{channel}_") for name in change.names)
            if not named and not account_files(channel, change.settings) & set(change.files):
                continue
            try:
                opened = self._reopen(channel, change.settings)
            except ConfigurationError as error:
                log.error("provider.not_reopened", channel=channel, why=str(error))
                continue
            self._retire(self._opened[channel])
            self._opened[channel] = opened
            log.info("provider.reopened", channel=channel)

    async def close(self) -> None:
        """Close all transports, those that were replaced too."""
        for task, transport in list(self._closing.items()):
            await cancelled(task)
            await transport.close()
        for transport in self._opened.values():
            await transport.close()

    def _retire(self, transport: Transport[Any]) -> None:
        async def when_over() -> None:
            await asyncio.sleep(UNTIL_OVER)
            del self._closing[task]
            await transport.close()

        task = once("provider.retire", when_over)
        self._closing[task] = transport
