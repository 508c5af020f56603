"""The definition of a screen, and the context that screens work with."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response

from notifier.console.live import Streams
from notifier.console.tester import Tester
from notifier.console.watch import Watch
from notifier.domain.catalog import Money
from notifier.domain.cloudevents import EventReader
from notifier.domain.deliveries import Channel
from notifier.domain.users import ConsoleSession, Permission
from notifier.pipeline.engine import Engine
from notifier.rendering.confined import Confined

BASE = "/console"

Group = Literal["Watch", "Write", "Resolve", "Administer"]


@dataclass(frozen=True, kw_only=True)
class Screen:
    """One method of one path below `BASE`. `permission` is None for public screens.

    A screen with a `title` is in the navigation under its group; the keys `g` and `key` open it.
    """

    path: str
    handler: "Handler"
    permission: Permission | None
    method: Literal["GET", "POST"] = "GET"
    title: str = ""
    group: Group = "Watch"
    key: str = ""


@dataclass(frozen=True, kw_only=True)
class ConsoleContext:
    """What screens work with, in `request.app.state.context`.

    `secure` is whether users connect by https; `confined` renders every preview and test, `prices` are the configured
    prices of a channel's unit, `settings` those of the channels.
    """

    engine: Engine
    watch: Watch
    streams: Streams
    screens: Sequence[Screen]
    secure: bool
    confined: Confined
    reader: EventReader
    tester: Tester
    prices: Mapping[Channel, Money]
    settings: Mapping[str, str]
    brand: str


@dataclass(frozen=True, kw_only=True)
class ConsoleVisit:
    """The visitor of a request, in `request.state.visit`: their cookie's value, and their session where they have
    one."""

    cookie: str
    session: ConsoleSession | None

    @property
    def actor(self) -> str:
        """Return the visitor's name in the audit log."""
        return f"console:{self.session.user}" if self.session else "console"

    def __repr__(self) -> str:
        return f"<Visit {self.session}>"


Handler = Callable[[Request, ConsoleContext], Awaitable[Response]]
