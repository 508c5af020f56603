"""A channel's column on the sandbox's page: the viewer's selection, and the data its template renders."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from notifier.domain.clock import DAY, HOUR, MINUTE, to_datetime

SEARCHED: Final = 2_000
"""Latest messages of a channel that are searched for addresses and replaced messages."""


class InboxColumn(NamedTuple):
    """A viewer's selection: the `picked` addresses (all where there are none) and the page's `query`; `now` is an
    instant."""

    picked: frozenset[str]
    query: Mapping[str, str]
    now: int


class Column(NamedTuple):
    """The variables of a column's template; a column that is `alone` fills the page. One that `frames` has a frame with
    another page of the sandbox."""

    shown: Mapping[str, Any]
    alone: bool = False
    frames: bool = False


def ago(instant: int, now: int) -> str:
    """Format a message's age as phones do: "now", "5 min ago", "18:40", "3 Mar"."""
    age = now - instant
    if age < MINUTE:
        return "now"
    if age < HOUR:
        return f"{age // MINUTE} min ago"
    return local(instant).strftime("%H:%M" if age < DAY else "%-d %b")


def local(instant: int) -> datetime:
    """Convert an instant to this machine's time zone."""
    return to_datetime(instant).astimezone()


def link(picked: Iterable[str], **more: object) -> str:
    """Return the page's URL with these addresses selected and these parameters."""
    query = urlencode([*(("to", to) for to in sorted(picked)), *more.items()])
    return f"/?{query}" if query else "/"
