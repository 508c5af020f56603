"""Time zones for a list: by country and city, in a reader's language (CLDR through Babel)."""

import unicodedata
from functools import lru_cache
from zoneinfo import available_timezones

from babel.core import Locale, get_global
from babel.dates import get_timezone_location

from notifier.rendering.formats import parse_locale

NOWHERE = "001"  # CLDR's territory of zones that belong to no country, such as UTC


@lru_cache(64)
def time_zones(locale: str) -> tuple[tuple[str, str], ...]:
    """Return every zone of a country with its label, sorted by label: "Austria: Vienna"."""
    spoken = parse_locale(locale)
    known = available_timezones()
    labels = {
        zone: _label(spoken, zone, territory)
        for zone, territory in get_global("zone_territories").items()
        if territory != NOWHERE and zone in known
    }
    return tuple(sorted(labels.items(), key=lambda item: _plain(item[1])))


def _label(spoken: Locale, zone: str, territory: str) -> str:
    country = spoken.territories.get(territory, territory)
    city = get_timezone_location(zone, locale=spoken, return_city=True)
    return country if country == city else f"{country}: {city}"


def _plain(text: str) -> str:
    """Return a sort key without accents and case, so that Ägypten sorts before Albanien."""
    letters = unicodedata.normalize("NFD", text.casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))
