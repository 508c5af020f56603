"""Policy as data (`templates/_policy.toml`): how often a category may speak to a person, when marketing may, and for
how long what is over is kept (`retention`).

    [caps.offers]
    most = 2
    window = "7 d"

    [per_type]
    most = 10
    window = "1 h"

    [types.station-offline]
    most = 60
    window = "1 h"

    [per_person]
    most = 100
    window = "1 h"

    [windows.default]
    every = "09:00-20:00"

    [windows.US-TX]
    every = "09:00-21:00"
    sunday = "12:00-21:00"

`per_type` is for every type by itself, `types` for one that may say more or less, `per_person` for all types and
categories together. A window's name is a country (ISO
3166-1), a region of it (ISO 3166-2), `US-*` for its regions that have none of their own, or `default`. `US` itself is
for people of whom no region is known: write the narrowest of its regions' there. Not legal advice: who runs the network
knows their law.
"""

import tomllib
from collections.abc import Iterable, Mapping
from datetime import datetime, time
from functools import cached_property
from pathlib import Path
from typing import Annotated

import msgspec

from notifier.domain.clock import DAY, parse_duration
from notifier.domain.errors import ConfigurationError
from notifier.domain.reading import read_text
from notifier.domain.retention import Retention
from notifier.domain.twins import plain

FILE = "_policy.toml"
DEFAULT = "default"
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_CLOCK = "([01][0-9]|2[0-3]):[0-5][0-9]"

Hours = Annotated[str, msgspec.Meta(pattern=f"^{_CLOCK}-{_CLOCK}(?![\\s\\S])")]


class Cap(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """At most so many notifications of a category, of a type, or of all of them, to one person within a window that
    slides."""

    most: Annotated[int, msgspec.Meta(ge=1, le=1000)]
    window: str

    @cached_property
    def milliseconds(self) -> int:
        return parse_duration(self.window)


class Window(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """When marketing may be sent, by the person's clock: `every` day, unless a weekday has hours of its own."""

    every: Hours
    monday: Hours | None = None
    tuesday: Hours | None = None
    wednesday: Hours | None = None
    thursday: Hours | None = None
    friday: Hours | None = None
    saturday: Hours | None = None
    sunday: Hours | None = None

    @cached_property
    def days(self) -> tuple[tuple[time, time], ...]:
        """Opening and closing time of each day of the week, Monday first."""
        return tuple(_hours(getattr(self, day) or self.every) for day in WEEKDAYS)

    def open_at(self, shown: datetime) -> bool:
        """Whether the window is open at a local time."""
        opens, closes = self.days[shown.weekday()]
        return opens <= shown.time() < closes

    def openings(self) -> Iterable[time]:
        """The times of day at which the window can open."""
        return {opens for opens, _ in self.days}


class Regulation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """The frequency caps, sending windows and periods of retention of a templates folder's `_policy.toml`."""

    caps: Mapping[str, Cap] = {}
    per_type: Cap | None = None
    types: Mapping[str, Cap] = {}
    per_person: Cap | None = None
    windows: Mapping[str, Window] = msgspec.field(default_factory=lambda: {DEFAULT: Window(every="09:00-20:00")})
    retention: Retention = Retention()

    def limit_of(self, type_id: str, category: str) -> Cap | None:
        """How often one type may speak to one person; None where nothing says so, or its category's cap says less."""
        limit, cap = self.types.get(plain(type_id), self.per_type), self.caps.get(category)
        if limit is None or (cap and cap.most <= limit.most and cap.milliseconds >= limit.milliseconds):
            return None
        return limit

    @cached_property
    def limits(self) -> tuple[Cap, ...]:
        """Every cap on a single type, and the one on all of them."""
        return (*self.types.values(), *(each for each in (self.per_type, self.per_person) if each))

    @cached_property
    def longest(self) -> int:
        """The longest window of those caps, in milliseconds."""
        return max((limit.milliseconds for limit in self.limits), default=0)

    @cached_property
    def looks_back(self) -> int:
        """How old a delivery may be that a cap still counts, in milliseconds: its longest window, and the day for which
        a message may be held before it is due."""
        return max((cap.milliseconds for cap in (*self.caps.values(), *self.limits)), default=0) + DAY

    @cached_property
    def _found(self) -> dict[str | None, tuple[str, Window]]:
        """A cache of windows by region; it is bounded, since the number of regions is."""
        return {}

    def window(self, region: str | None) -> tuple[str, Window]:
        """The sending window of a region, by the most exact name that has one."""
        if region not in self._found:
            self._found[region] = self._find(region)
        return self._found[region]

    def _find(self, region: str | None) -> tuple[str, Window]:
        country, dash, _ = (region or "").partition("-")
        names = (region or "", f"{country}-*" if dash else "", country, DEFAULT)
        name = next(name for name in names if name in self.windows)
        return name, self.windows[name]


def load_regulation(templates: Path) -> Regulation:
    """The `_policy.toml` of a templates folder, or what holds without one; ConfigurationError names what is wrong."""
    file = templates / FILE
    try:
        told = msgspec.convert(tomllib.loads(read_text(file)), Regulation)
        for cap in (*told.caps.values(), *told.limits):
            parse_duration(cap.window)
        told.retention.check(told.looks_back)
    except FileNotFoundError:
        return Regulation()
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError, ValueError) as error:
        raise ConfigurationError(f"{FILE}: {error}") from None
    for name, window in told.windows.items():
        if any(opens >= closes for opens, closes in window.days):
            raise ConfigurationError(f"{FILE}: windows.{name}: a window must open before it closes, on the same day")
    if DEFAULT not in told.windows:
        raise ConfigurationError(
            f"{FILE}: add [windows.{DEFAULT}], for people in countries without a window of their own"
        )
    return told


def _hours(text: str) -> tuple[time, time]:
    opens, _, closes = text.partition("-")
    return time.fromisoformat(opens), time.fromisoformat(closes)
