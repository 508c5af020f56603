"""What an event's data must be so that people can be told of it, beyond what a schema has words for."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any
from zoneinfo import available_timezones

EARLIEST = datetime(1, 1, 3, tzinfo=UTC)
LATEST = datetime(9999, 12, 30, tzinfo=UTC)
"""The limits of Python's calendar. A moment nearer to either end has no date in some zone, and comes from a clock that
was never set."""

SEEN = re.compile(
    "[^\\s\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202f"
    "\u205f-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
"""A visible character: no space, no control character, nothing of zero width."""

Check = Callable[[Any], None]


def is_showable(moment: datetime) -> bool:
    """Whether a moment has a date in every zone."""
    return EARLIEST <= moment < LATEST


def is_seen(text: str) -> bool:
    """Whether people see anything of a text."""
    return SEEN.search(text) is not None


def make_check(kinds: Mapping[str, str]) -> Check:
    """The check of data by its fields' kinds; its ValueError ends as msgspec's do, with the member at fault."""
    names = {kind: [name for name, each in kinds.items() if each == kind] for kind in ("text", "time", "zone")}

    def check(data: Any) -> None:
        for name in names["text"]:
            value = getattr(data, name)
            if value is not None and not is_seen(value):
                raise ValueError(f"the text is blank; leave the member out - at `$.{name}`")
        for name in names["time"]:
            value = getattr(data, name)
            if value is not None and not is_showable(value):
                raise ValueError(f"the time is outside the calendar's range; was the clock ever set? - at `$.{name}`")
        for name in names["zone"]:
            value = getattr(data, name)
            if value is not None and value not in zones():
                raise ValueError(f"not an IANA time zone; write it as 'Europe/Berlin' - at `$.{name}`")

    return check


@cache
def zones() -> frozenset[str]:
    """The IANA zones that this machine knows, without the names of its own settings."""
    return frozenset(available_timezones() - {"Factory", "localtime"})
