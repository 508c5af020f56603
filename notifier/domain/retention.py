"""Retention as data: how long what is over is kept, as the table `[retention]` of `templates/_policy.toml` says it.

    [retention]
    data = "30 d"
    events = "400 d"

    [retention.marketing]
    data = "14 d"

A period counts from the acceptance of an event, the creation of a delivery, or the last change of anything else.
"forever" is a period, too. What a class of notification types doesn't say is as it is for all. Consent is not here: the
law wants it kept.
"""

from collections.abc import Iterator
from enum import StrEnum
from functools import cached_property

import msgspec

from notifier.domain.clock import DAY, parse_duration

FOREVER = "forever"
LEAST = 7 * DAY
"""The shortest period, in milliseconds: senders repeat events, and providers receipts, for days after an outage; within
this time a repeat finds the row that makes it harmless."""


class Part(StrEnum):
    """What has a period of its own, in the order in which it goes. The first four belong to events; `data` is what an
    event carried, and goes from a row that stays; `repeats` is the memory that it was there, which makes
    a repeat of it harmless."""

    DATA = "data"
    DECISIONS = "decisions"
    DELIVERIES = "deliveries"
    EVENTS = "events"
    REPEATS = "repeats"
    SESSIONS = "sessions"
    PREFERENCES = "preferences"
    AUDIT = "audit"
    CHANGES = "changes"
    STATUSES = "statuses"


BY_CLASS = (Part.DATA, Part.DECISIONS, Part.DELIVERIES, Part.EVENTS)
"""Parts that a class of notification types may keep for another time."""

NOT_LONGER = (
    (Part.DATA, Part.DECISIONS), (Part.DATA, Part.DELIVERIES), (Part.DECISIONS, Part.EVENTS),
    (Part.DELIVERIES, Part.EVENTS), (Part.EVENTS, Part.REPEATS), (Part.CHANGES, Part.DELIVERIES),
)  # fmt: skip
"""Pairs of parts of which the first may not be kept longer than the second, on which it depends."""


class ClassRetention(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The periods of one class of notification types; None is as for all."""

    data: str | None = None
    decisions: str | None = None
    deliveries: str | None = None
    events: str | None = None


class Retention(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """How long each part is kept, and the exceptions by class. Personal data goes first; the books stay until a period
    is set."""

    data: str = "30 d"
    decisions: str = "400 d"
    deliveries: str = FOREVER
    events: str = FOREVER
    repeats: str = FOREVER
    sessions: str = "90 d"
    preferences: str = "1100 d"
    audit: str = "1100 d"
    changes: str = "7 d"
    statuses: str = "30 d"
    transactional: ClassRetention = ClassRetention()
    service: ClassRetention = ClassRetention()
    marketing: ClassRetention = ClassRetention()
    security: ClassRetention = ClassRetention()

    def told(self, part: Part, class_: str | None = None) -> str:
        """A period in its file's words; a class's own, where it has one."""
        own = None if class_ is None else getattr(getattr(self, class_), part, None)
        chosen: str = getattr(self, part) if own is None else own
        return chosen

    def period(self, part: Part, class_: str | None = None) -> int | None:
        """A period in milliseconds; None is for ever."""
        return self._periods[part, class_ if part in BY_CLASS else None]

    def check(self, window: int) -> None:
        """Raise ValueError, with the name of the period, where one is none, too short, or doesn't fit another.

        `window` is the longest time in milliseconds over which caps count deliveries.
        """
        for name, part, class_ in self._named():
            period = self.period(part, class_)
            if period is not None and period < LEAST:
                raise ValueError(
                    f"{name}: {self.told(part, class_)} is too short; keep it for at least {LEAST // DAY} d, for which "
                    "repeats have to be harmless"
                )
            if part == Part.DELIVERIES and period is not None and period < window:
                raise ValueError(
                    f"{name}: {self.told(part, class_)} is too short; caps count deliveries of the last "
                    f"{-(-window // DAY)} d"
                )
        for class_ in (None, *CLASSES):
            for shorter, longer in NOT_LONGER:
                if _at_most(self.period(shorter, class_), self.period(longer, class_)):
                    continue
                where = "retention" if class_ is None else f"retention.{class_}"
                raise ValueError(
                    f"{where}: {shorter} ({self.told(shorter, class_)}) can't be kept longer than {longer} "
                    f"({self.told(longer, class_)})"
                )

    def _named(self) -> Iterator[tuple[str, Part, str | None]]:
        """Every period that the file may set, by its name there."""
        yield from ((f"retention.{part}", part, None) for part in Part)
        for class_ in CLASSES:
            yield from ((f"retention.{class_}.{part}", part, class_) for part in BY_CLASS)

    @cached_property
    def _periods(self) -> dict[tuple[Part, str | None], int | None]:
        found: dict[tuple[Part, str | None], int | None] = {}
        for name, part, class_ in self._named():
            text = self.told(part, class_)
            try:
                found[part, class_] = None if text == FOREVER else parse_duration(text)
            except ValueError as error:
                raise ValueError(f"{name}: {error}, or {FOREVER!r}") from None
        return found


CLASSES = tuple(field.name for field in msgspec.structs.fields(Retention) if field.type is ClassRetention)
"""The classes of notification types (`catalog.Class`)."""


def _at_most(period: int | None, other: int | None) -> bool:
    return other is None or (period is not None and period <= other)
