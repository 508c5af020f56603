"""Hours of a person's day: quiet hours and legal windows, right on both nights on which the clocks change.

Everything goes by what the clock on the person's wall shows. An hour that comes twice counts both times; one that never
comes is over when it would have begun.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from notifier.domain.clock import MINUTE, SECOND

DAYS_AHEAD = 8  # a week and a day: every window opens at least once a week

Holds = Callable[[datetime], bool]
"""Tells whether nothing may be sent at a moment of the person's local time (an aware datetime)."""


def local(instant: int, zone: str) -> datetime:
    """What a wall clock in the zone shows at an instant (epoch milliseconds)."""
    return datetime.fromtimestamp(instant / SECOND, ZoneInfo(zone))


def next_free(instant: int, zone: str, holds: Holds, opens_at: Iterable[time]) -> int | None:
    """The first instant from this one on at which `holds` doesn't; None where there is none within a week.

    `opens_at` are the times of day at which it can begin not to hold.
    """
    shown = local(instant, zone)
    if not holds(shown):
        return instant
    openings = sorted(opens_at)
    for days in range(DAYS_AHEAD + 1):
        date = shown.date() + timedelta(days=days)
        moments = sorted(
            moment
            for opening in openings
            for fold in (0, 1)
            if (moment := _instant(datetime.combine(date, opening, ZoneInfo(zone)).replace(fold=fold), zone)) > instant
        )
        for moment in moments:
            if not holds(local(moment, zone)):
                return moment
    return None


def next_time(instant: int, zone: str, at: time) -> int:
    """The next instant after this one at which a wall clock in the zone shows a time of day."""
    today = local(instant, zone).date()
    moments = (_instant(datetime.combine(today + timedelta(days=n), at, ZoneInfo(zone)), zone) for n in range(3))
    return next(moment for moment in moments if moment > instant)


def _instant(shown: datetime, zone: str) -> int:
    """When a wall clock shows a time; where it skips that time, the moment at which it does."""
    first, second = (round(shown.replace(fold=fold).timestamp() * SECOND) for fold in (0, 1))
    if first <= second:  # a local time comes once, or twice where clocks are set back
        return second if shown.fold else first
    before = local(second, zone).utcoffset()
    late, early = first // MINUTE, second // MINUTE  # clocks change on whole minutes
    while late - early > 1:
        middle = (late + early) // 2
        late, early = (late, middle) if local(middle * MINUTE, zone).utcoffset() == before else (middle, early)
    return late * MINUTE
