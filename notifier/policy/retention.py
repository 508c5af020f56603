"""What may go at an instant, by the periods of the policy: pure."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from notifier.domain.catalog import Catalog, NotificationType
from notifier.domain.clock import HOUR
from notifier.domain.ids import make_id
from notifier.domain.retention import BY_CLASS, Part
from notifier.domain.twins import plain

AFTERWARDS = HOUR
"""Milliseconds for which an event, and that it was there, stay beyond their periods: deliveries are younger than their
event by the time that their decision took, and go first."""


class Removal(msgspec.Struct, frozen=True, kw_only=True):
    """One part's rows that are older than an instant (`before`) and of these types: `only` names them, or is None for
    all but those in `other`. Types are an event's own for what belongs to events, and notification types for
    deliveries."""

    part: Part
    before: int
    only: frozenset[str] | None = None
    other: frozenset[str] = frozenset()

    def takes(self, type_: str) -> bool:
        """Whether a row of this type is one of them."""
        return type_ not in self.other if self.only is None else type_ in self.only

    @property
    def name(self) -> str:
        """What the place up to which rows have gone is kept under. Other types have another name, so that a changed
        policy begins with the oldest row again; another period has the same one."""
        if self.only is None and not self.other:
            return self.part.value
        # A twin is kept as long as the type that it is of, so its name says nothing more.
        own = sorted({*map(plain, self.other if self.only is None else self.only)})
        types = ("only" if self.only is not None else "other", *own)
        return f"{self.part}/{make_id(*types)}"


def removals(catalog: Catalog, now: int) -> list[Removal]:
    """Everything that may go at an instant, in the order in which it goes: what others depend on goes last.

    An event that several types listen to is kept as long as the most patient of them says, and one that none knows as
    long as the policy says for all.
    """
    retention = catalog.regulation.retention
    found: list[Removal] = []
    for part in Part:
        at = now - _afterwards(part)
        usual = retention.period(part)
        types = _periods(catalog, part) if part in BY_CLASS else {}
        own = {name: period for name, period in types.items() if period != usual}
        for period in sorted({period for period in own.values() if period is not None}):
            named = frozenset(name for name, each in own.items() if each == period)
            found.append(Removal(part=part, before=at - period, only=named))
        if usual is not None:
            found.append(Removal(part=part, before=at - usual, other=frozenset(own)))
    return found


def longest(catalog: Catalog, part: Part) -> int | None:
    """For how many milliseconds anything of a part is kept, whatever its type; None is for ever."""
    period = _longest([*_periods(catalog, part).values(), catalog.regulation.retention.period(part)])
    return None if period is None else period + _afterwards(part)


def _afterwards(part: Part) -> int:
    return AFTERWARDS if part in (Part.EVENTS, Part.REPEATS) else 0


def _periods(catalog: Catalog, part: Part) -> Mapping[str, int | None]:
    """The period of each type that the catalog knows; None is for ever."""
    if part == Part.DELIVERIES:
        return {kind.id: _period(catalog, part, [kind]) for kind in catalog.with_twins.values()}
    return {event: _period(catalog, part, kinds) for event, kinds in catalog.listeners.items()}


def _period(catalog: Catalog, part: Part, kinds: Iterable[NotificationType]) -> int | None:
    return _longest([catalog.regulation.retention.period(part, kind.class_) for kind in kinds])


def _longest(periods: Sequence[int | None]) -> int | None:
    known = [period for period in periods if period is not None]
    return max(known) if len(known) == len(periods) else None
