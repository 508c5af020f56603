"""Figures: what messages achieved, as it is shown: of each type, or by day, hour, channel, locale or variant. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Final, Literal, NamedTuple, get_args

import msgspec

from notifier.domain.catalog import AwaitedOutcome
from notifier.domain.clock import DAY, HOUR, MINUTE, to_datetime
from notifier.domain.effects import (
    ANY,
    HOURS_OF_A_DAY,
    OF_PEOPLE,
    STEPS,
    Effect,
    What,
    first_by_hour,
)
from notifier.domain.statistics import median, remaining
from notifier.domain.twins import plain

By = Literal["day", "hour", "channel", "locale", "variant"]
"""What the figures of a type are told apart by."""
BY: Final[tuple[By, ...]] = get_args(By)

USUAL_DAYS: Final = 30
"""Days that are told of where nobody says how many: a month, each weekday four times and more."""
MOST_DAYS: Final = 400
"""Days that are told of at once at most: a year, and the same month of the year before beside it."""


class Span(NamedTuple):
    """Hours since 1970, from `since` to before `until`."""

    since: int
    until: int


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What the messages of a type achieved, or those of a `group` of them: of a day (2026-03-09, by UTC), an hour
    (2026-03-09T17:00:00Z), a channel, a locale or a variant. Each counts when it was decided, whenever it did so.

    `outcome` is what they are for, in words. From `sent` to `collected` are deliveries that have come to that state,
    from `opened` on what people did; `segments` are the SMS that texts took. Of `exposed` people the outcome was
    awaited, and of `answered` of them it came in time: a `share` of them, half of all within `median_minutes`. These
    four are of the hours of which every outcome has come or is too late. Of later hours `so_far` people's has come. A
    type without an outcome has none of them, and there is no share of nobody.
    """

    type: str
    group: str | None = None
    outcome: str | None = None
    sent: int = 0
    delivered: int = 0
    undelivered: int = 0
    failed: int = 0
    suppressed: int = 0
    superseded: int = 0
    cancelled: int = 0
    expired: int = 0
    collected: int = 0
    opened: int = 0
    read: int = 0
    clicked: int = 0
    unsubscribed: int = 0
    stopped: int = 0
    switched_off: int = 0
    complained: int = 0
    segments: int = 0
    exposed: int = 0
    answered: int = 0
    share: float | None = None
    median_minutes: float | None = None
    so_far: int = 0


CHOICES: Final = (What.UNSUBSCRIBED, What.STOPPED, What.SWITCHED_OFF)
"""What is of no type where no message says that it led to it, and then has a category in the place of a variant."""
COUNTS: Final = Figures.__struct_fields__[3:-5]
"""What is counted of each delivery or person that did so, without an end to wait for."""


def span_of(since: int, until: int, by: By | None) -> Span:
    """The hours between two instants: whole ones where they are told apart, and else those of whole days, by UTC."""
    part = HOUR if by == "hour" else DAY
    begins, ends = since // part * part, -(-until // part) * part
    return Span(begins // HOUR, ends // HOUR)


def final_before(within: int, now: int) -> int:
    """The hour before which all outcomes are over that are awaited for so many milliseconds; where days are told whole,
    it is the first of one."""
    hour = (now - within) // HOUR
    return hour if hour >= first_by_hour(now) else hour // HOURS_OF_A_DAY * HOURS_OF_A_DAY


def cuts(outcomes: Iterable[AwaitedOutcome], span: Span, now: int, by: By | None) -> list[int]:
    """The hours from each of which on those of a span may be summed up to the next, and it is still known of each sum
    whether its outcomes are over, and of which group it is. Those before the first are apart: there they are of days.
    """
    if by == "hour":
        return []
    first = max(span.since, first_by_hour(now)) if by == "day" else span.since
    days = range(first, span.until, HOURS_OF_A_DAY) if by == "day" else (first,)
    ends = (final_before(each.milliseconds, now) for each in outcomes)
    return sorted(hour for hour in {*days, *ends} if first <= hour < span.until)


def figures(
    effects: Iterable[Effect], outcomes: Mapping[str, AwaitedOutcome | None], now: int, by: By | None = None
) -> list[Figures]:
    """The figures of each type, and of each group of its messages, in order. `outcomes` are those of types by id; a
    test is told by the name of its type."""
    parts: dict[tuple[str, str | None], _Part] = defaultdict(_Part)
    ends = {type_: final_before(each.milliseconds, now) for type_, each in outcomes.items() if each is not None}
    for each in effects:
        type_ = plain(each.type)
        if each.what in COUNTS:
            parts[type_, group_of(each, by)].counts[each.what] += each.number
        elif each.what in OF_PEOPLE and type_ in ends and (each.channel != ANY) == (by == "channel"):
            parts[type_, group_of(each, by)].add(each, is_final=each.hour < ends[type_])
    return [part.figures(*key, outcomes.get(key[0])) for key, part in sorted(parts.items(), key=_place)]


def group_of(effect: Effect, by: By | None) -> str | None:
    """The group of an effect."""
    match by:
        case None:
            return None
        case "day":
            return day_of(effect.hour)
        case "hour":
            return hour_text(effect.hour)
        case _:
            return str(getattr(effect, by))


def day_of(hour: int) -> str:
    """The day of an hour, by UTC: 2026-03-09."""
    return f"{to_datetime(hour * HOUR):%Y-%m-%d}"


def hour_text(hour: int) -> str:
    """An hour as it is told: 2026-03-09T17:00:00Z."""
    return f"{to_datetime(hour * HOUR):%Y-%m-%dT%H:%M:%SZ}"


class _Part:
    """What is summed of one group."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._people: Counter[str] = Counter()
        self._ended: Counter[int] = Counter()
        self._so_far = 0

    def add(self, effect: Effect, *, is_final: bool) -> None:
        """Add people of whom an outcome was awaited, or came."""
        if is_final:
            self._people[effect.what] += effect.number
            if effect.what == What.ANSWERED:
                self._ended[effect.after + 1] += effect.number
        elif effect.what == What.ANSWERED:
            self._so_far += effect.number

    def figures(self, type_: str, group: str | None, outcome: AwaitedOutcome | None) -> Figures:
        exposed, answered = self._people[What.EXPOSED], self._people[What.ANSWERED]
        half = median(remaining(self._ended, {STEPS: max(exposed - answered, 0)}))
        said, within = ("", 0) if outcome is None else (outcome.name, outcome.milliseconds)
        counts = {name: self.counts[name] for name in COUNTS}
        return Figures(
            type=type_, group=group, outcome=said or None, **counts, exposed=exposed, answered=answered,
            share=answered / exposed if exposed else None,
            median_minutes=None if half is None else half * within / STEPS / MINUTE, so_far=self._so_far,
        )  # fmt: skip


def _place(part: tuple[tuple[str, str | None], object]) -> tuple[str, str]:
    (type_, group), _ = part
    return type_, group or ""
