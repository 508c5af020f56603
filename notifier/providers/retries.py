"""When a message that a provider did not take is tried again, as data: the `[retry.<class>]` tables of `codes.toml`.

    [retry.unavailable]
    least = "10 s"
    first = "10 s"
    factor = 2
    most = "10 min"
    attempts = 20

The pause is `least`, or what the provider asked for where that is longer, and a random part on top, by which messages
that failed together don't come back together: up to `first` before the second try, `factor` times as much before each
further one, at most `most`. After so many `attempts` there is none. Without `attempts` the class is for what was never
asked of a provider: waiting is no try.
"""

from random import Random
from typing import Annotated, Any

import msgspec

from notifier.domain.clock import parse_duration

LONGEST = 366 * 24 * 3600 * 1000
"""Milliseconds, a year: the longest wait that a provider can ask for. The message expires long before, and no column
overflows."""
MAX_DOUBLINGS = 60
"""The largest factor of `first`: it reaches any `most`, and no number overflows."""


class Duration(int):
    """Milliseconds, written as "30 s" or "10 min" (`notifier.domain.clock.parse_duration`)."""


class Retry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One retry class: its pauses and the number of tries."""

    least: Duration = Duration(0)
    first: Duration
    factor: Annotated[float, msgspec.Meta(ge=1, le=10)]
    most: Duration
    attempts: Annotated[int, msgspec.Meta(ge=1, le=1000)] | None = None

    def pause(self, tries: int, asked: float | None, random: Random) -> int:
        """Milliseconds until the next try after `tries` tries, the provider having asked for `asked` seconds."""
        floor = max(self.least, min(round((asked or 0) * 1000), LONGEST))
        whole = min(self.first * self.factor ** min(tries - 1, MAX_DOUBLINGS), self.most)
        return floor + random.randint(0, round(whole))

    def exhausted(self, tries: int) -> bool:
        """Whether a message has used all its tries."""
        return self.attempts is not None and tries >= self.attempts


def decode(kind: type, value: Any) -> Any:
    """Tells msgspec what a Duration is; ValueError for what isn't one."""
    if kind is Duration:
        return Duration(parse_duration(value))
    raise NotImplementedError(kind)
