"""A moment on the clocks of a place, and the name of its zone where a reader could take it for another."""

from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_time

NO_BREAK = "\u00a0"
LONGEST_NAME = 4  # letters of a zone's short name: CLDR has whole sentences in place of some
ODD_NAMES = frozenset({"fr"})  # languages whose short names CLDR has mixed up: "WEST" is its French winter in Lisbon


class Zones(NamedTuple):
    """Whose clocks a text's times are told by, and the reader's own."""

    told: str
    reader: str


@lru_cache(1024)
def _of(zones: "str | Zones") -> tuple[ZoneInfo, ZoneInfo]:
    told, reader = zones if isinstance(zones, Zones) else (zones, zones)
    return ZoneInfo(told), ZoneInfo(reader)


def local(value: datetime, zones: str | Zones) -> datetime:
    """The moment on the clocks that it is told by."""
    return value.astimezone(_of(zones)[0])


def label(value: datetime, zones: str | Zones, locale: Locale) -> str:
    """The zone, to stand behind a time, or nothing where everybody knows it.

    It is told where the reader's clocks say another time, in the hour that comes twice when summer time ends, and
    where it is UTC, which nobody lives by.
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
    """What the people of this language call it, as in "MESZ"."""
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
