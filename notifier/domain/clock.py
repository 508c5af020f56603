"""Time is injected: code asks a `Clock`, never the machine.

Inside, an instant is an `int`: milliseconds since 1970-01-01T00:00:00Z. The three database engines store and compare it
alike, and it has no zone to get wrong. People's zones matter only to policy and rendering, which convert at their edge.
"""

import re
import time
from datetime import UTC, datetime
from typing import Protocol

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_DURATION = re.compile(r"([1-9][0-9]{0,5}) (s|min|h|d)")
_ELAPSED = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # Linux; CLOCK_MONOTONIC stops during a suspend
_UNITS = {"s": SECOND, "min": MINUTE, "h": HOUR, "d": DAY}


def elapsed() -> float:
    """Seconds of a monotonic clock which, where the machine has one, also runs while the machine sleeps."""
    return time.clock_gettime(_ELAPSED)


class Clock(Protocol):
    """Tells the instant, in epoch milliseconds."""

    def now(self) -> int: ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> int:
        return time.time_ns() // 1_000_000


class ManualClock:
    """A clock that moves only when told to: for tests and simulations."""

    def __init__(self, now: int) -> None:
        self._now = now

    def now(self) -> int:
        return self._now

    def advance(self, milliseconds: int) -> None:
        self._now += milliseconds


def to_datetime(instant: int) -> datetime:
    """An epoch-millisecond instant as an aware UTC datetime."""
    return datetime.fromtimestamp(instant / 1000, UTC)


def to_instant(moment: datetime) -> int:
    """An aware datetime as epoch milliseconds; ValueError where it has no zone."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone; write an offset, or Z for UTC")
    return round(moment.timestamp() * 1000)


def parse_duration(text: str) -> int:
    """Milliseconds of "30 s", "10 min", "24 h" or "7 d"; ValueError for anything else."""
    match = _DURATION.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a duration; write a number and s, min, h or d, such as '30 min'")
    return int(match[1]) * _UNITS[match[2]]
