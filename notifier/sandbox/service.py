"""Services, which play providers in a running sandbox, and the host that they run in."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final

from aiohttp import web

from notifier.domain.channels import channels, part
from notifier.domain.clock import Clock
from notifier.domain.deliveries import Channel
from notifier.domain.messages import Private
from notifier.sandbox.column import Column, InboxColumn
from notifier.sandbox.faults import Faults
from notifier.sandbox.ledger import SandboxLedger

ADDRESS: Final = "127.0.0.1"
"""The address that every server of a sandbox listens on unless told otherwise."""
BACKLOG: Final = 1_024
"""Connections waiting to be accepted: a sender opens its whole pool at once."""


class Access(Private, frozen=True):
    """Where the notifier answers whose messages arrive in a sandbox, and an API key of its."""

    url: str
    key: str


@dataclass(kw_only=True)
class Host:
    """The parts of a sandbox that its services share.

    `address` is what its servers listen on. `callbacks` turns on services' delivery reports, `fast` keeps no content
    (`notifier.sandbox.fast`). `ports` by server name are the wanted ports, 0 for any free one, the actual ones once it
    runs; `http_url` is empty until then. Without `access` the sandbox knows only what arrives.
    """

    ledger: SandboxLedger
    faults: Faults
    clock: Clock
    address: str = ADDRESS
    callbacks: bool = False
    fast: bool = False
    access: Access | None = None
    ports: dict[str, int] = field(default_factory=dict)
    http_url: str = ""


class Service(ABC):
    """A channel's part in one running sandbox: its provider, where it has one, and its column on the page.

    `page` is the column's template; a style sheet of the same name beside the template is added to the page's. A column
    that is a `phone` stands before those that aren't.
    """

    page: ClassVar[Path]
    phone: ClassVar[bool] = False

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
    """Make the services of all channels that have a place in the sandbox."""
    found: dict[Channel, Callable[[Host], Service] | None] = {
        channel: part(channel, "sandbox", "SERVICE") for channel in channels()
    }
    return {channel: make(host) for channel, make in found.items() if make is not None}
