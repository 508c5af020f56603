"""Services, which play providers in a running sandbox, and the host that they run in."""

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
"""The address that every server of a sandbox listens on."""
BACKLOG: Final = 1_024
"""Connections waiting to be accepted: a sender opens its whole pool at once."""


@dataclass(kw_only=True)
class Host:
    """The parts of a sandbox that its services share.

    `callbacks` turns on services' delivery reports, `fast` keeps no content (`notifier.sandbox.fast`). `ports` by
    server name are the wanted ports, 0 for any free one, the actual ones once it runs; `http_url` is empty until then.
    """

    ledger: SandboxLedger
    faults: Faults
    clock: Clock
    callbacks: bool = False
    fast: bool = False
    ports: dict[str, int] = field(default_factory=dict)
    http_url: str = ""


class Service(ABC):
    """A provider's stand-in in one running sandbox."""

    def running(self) -> AbstractAsyncContextManager[object]:
        """Return the context of the service's work beside HTTP, open while the sandbox runs."""
        return nullcontext()

    def routes(self) -> Iterable[web.RouteDef]:
        """Return the service's routes on the sandbox's HTTP server."""
        return ()

    @abstractmethod
    def column(self, look: InboxColumn) -> Column:
        """Return the column that shows the service's messages as people would see them."""


def services(host: Host) -> Mapping[Channel, Service]:
    """Make the services of all stand-ins, by channel."""
    return {channel: _class(channel)(host) for channel in stand_ins()}


def _class(channel: Channel) -> Callable[[Host], Service]:
    found: Callable[[Host], Service] = part(channel, "sandbox", "SERVICE")
    return found
