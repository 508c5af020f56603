"""What a screen is, and what screens work with."""

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

Group = Literal["Watch", "Write", "Mend", "Administer"]


@dataclass(frozen=True, kw_only=True)
class Screen:
    """One method of one path below `BASE`. `permission` is None for what anybody may see.

    A screen with a `title` stands in the navigation, in its group; `g` and its `key` lead there.
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

    `secure` is whether people come by https; `confined` makes every message that is looked at or tried, `prices` are
    what one of what a channel counts costs, where somebody has said.
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
    brand: str


@dataclass(frozen=True, kw_only=True)
class ConsoleVisit:
    """Whose request it is, in `request.state.visit`: what their cookie holds, and their session where they have one."""

    cookie: str
    session: ConsoleSession | None

    @property
    def actor(self) -> str:
        """What the audit calls them."""
        return f"console:{self.session.user}" if self.session else "console"

    def __repr__(self) -> str:
        return f"<Visit {self.session}>"


Handler = Callable[[Request, ConsoleContext], Awaitable[Response]]
