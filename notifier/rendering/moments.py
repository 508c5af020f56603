"""Local times, with the name of their zone where a reader could mistake it."""

from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_time

NO_BREAK = "\u00a0"
LONGEST_NAME = 4  # characters of a zone's short name: CLDR has whole phrases in place of some
ODD_NAMES = frozenset({"fr"})  # languages with wrong short names in CLDR: "WEST" is its French winter in Lisbon


class Zones(NamedTuple):
    """The time zone of a text's times, and the reader's own."""

    told: str
    reader: str


@lru_cache(1024)
def _of(zones: "str | Zones") -> tuple[ZoneInfo, ZoneInfo]:
    told, reader = zones if isinstance(zones, Zones) else (zones, zones)
    return ZoneInfo(told), ZoneInfo(reader)


def local(value: datetime, zones: str | Zones) -> datetime:
    """Return the moment in the zone of the text's times."""
    return value.astimezone(_of(zones)[0])


def label(value: datetime, zones: str | Zones, locale: Locale) -> str:
    """Return the zone's name to append to a time, or "" where it is obvious.

    The zone is named where the reader's local time differs, in the hour that repeats when summer time ends, and for
    UTC, which nobody lives by.
    """
    told, reader = _of(zones)
    here = value.astimezone(told)
    offset = here.utcoffset() or timedelta()
    if here.tzname() == "UTC":
        return f"{NO_BREAK}UTC"
    twice = here.replace(fold=0).utcoffset() != here.replace(fold=1).utcoffset()
    if not twice and offset == value.astimezone(reader).utcoffset():
        return ""
    return NO_BREAK + (_name(here, locale) or _offset(offset, locale))


def _name(here: datetime, locale: Locale) -> str | None:
    """Return the zone's short name in a language, such as "MESZ"."""
    if locale.language in ODD_NAMES:
        return None
    name = format_time(here, "z", here.tzinfo, locale)
    return name if name.isalpha() and len(name) <= LONGEST_NAME else None


def _offset(offset: timedelta, locale: Locale) -> str:
    """CLDR's `O`: "GMT+1", in French "UTC+1"."""
    minutes = round(offset.total_seconds() / 60)
    hours, rest = divmod(abs(minutes), 60)
    sign = "-" if minutes < 0 else "+"
    said = f"{sign}{hours}" + (f":{rest:02}" if rest else "") if minutes else ""
    return str(locale.zone_formats["gmt"]) % said
