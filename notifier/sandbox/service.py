"""What plays a provider in a running sandbox, and what the sandbox lends to it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from notifier.domain.channels import part
from notifier.domain.clock import Clock
from notifier.domain.deliveries import Channel
from notifier.sandbox.column import Column, InboxColumn
from notifier.sandbox.faults import Faults
from notifier.sandbox.ledger import SandboxLedger
from notifier.sandbox.stand_in import stand_ins

ADDRESS: Final = "127.0.0.1"
"""Where every server of a sandbox listens."""
BACKLOG: Final = 1_024
"""Connections waiting to be accepted: a sender opens its whole pool at once."""


@dataclass(kw_only=True)
class Host:
    """What a sandbox lends to the services in it.

    `callbacks` asks those that report to report, `fast` to keep nothing (`notifier.sandbox.fast`). `ports` by server's
    name are those wanted, 0 for any that is free, and those listened at once it runs; `http_url` is empty until then.
    """

    ledger: SandboxLedger
    faults: Faults
    clock: Clock
    callbacks: bool = False
    fast: bool = False
    ports: dict[str, int] = field(default_factory=dict)
    http_url: str = ""


class Service(ABC):
    """A provider played in one sandbox."""

    def running(self) -> AbstractAsyncContextManager[object]:
        """What it does beside answering HTTP, for as long as the sandbox runs."""
        return nullcontext()

    def routes(self) -> Iterable[web.RouteDef]:
        """What the sandbox's HTTP server answers for it."""
        return ()

    @abstractmethod
    def column(self, look: InboxColumn) -> Column:
        """What people would see of its messages."""


def services(host: Host) -> Mapping[Channel, Service]:
    """The services of all stand-ins, by channel."""
    return {channel: _class(channel)(host) for channel in stand_ins()}


def _class(channel: Channel) -> Callable[[Host], Service]:
    found: Callable[[Host], Service] = part(channel, "sandbox", "SERVICE")
    return found
