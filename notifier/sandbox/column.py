"""A channel's column on the sandbox's page: what somebody looks at, and what they are shown."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from notifier.domain.clock import DAY, HOUR, MINUTE, to_datetime

SEARCHED: Final = 2_000
"""Latest messages of a channel in which addresses and replaced messages are looked for."""


class InboxColumn(NamedTuple):
    """What somebody looks at: messages to the `picked` addresses, or to all where there are none, as the page's `query`
    says; `now` is an instant."""

    picked: frozenset[str]
    query: Mapping[str, str]
    now: int


class Column(NamedTuple):
    """What a column's template is given; one that is `alone` has the page to itself."""

    shown: Mapping[str, Any]
    alone: bool = False


def ago(instant: int, now: int) -> str:
    """When something came, as phones put it."""
    age = now - instant
    if age < MINUTE:
        return "now"
    if age < HOUR:
        return f"{age // MINUTE} min ago"
    return local(instant).strftime("%H:%M" if age < DAY else "%-d %b")


def local(instant: int) -> datetime:
    """An instant on this machine's clock."""
    return to_datetime(instant).astimezone()


def link(picked: Iterable[str], **more: object) -> str:
    """The page's URL with these addresses picked and these parameters."""
    query = urlencode([*(("to", to) for to in sorted(picked)), *more.items()])
    return f"/?{query}" if query else "/"
