"""Values as a person reads them, in their locale and time zone (CLDR by way of Babel), and the filters made of them.

Babel takes 10–15 µs a call, so answers are kept: the minute to leave by and the price of a kWh are the same for many.
Times take an aware datetime, money a `Money`; locales are BCP 47 tags that Babel knows, zones IANA names.
"""

from collections.abc import Callable, Mapping
from copy import copy
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_skeleton, format_time, get_datetime_format
from babel.numbers import format_currency, format_decimal, format_percent, get_currency_precision
from babel.units import format_unit
from jinja2 import pass_context
from jinja2.runtime import Context

from notifier.catalog import Kind, Money

KEPT = 8192  # answers kept of each format: some 2 MB when full
PRICE_DIGITS = 4  # a kWh or a minute can cost a fraction of a cent
MAX_DIGITS = 6  # decimals that a text may ask for: micro-anything is beyond what people read
NO_BREAK = "\u00a0"


@lru_cache(1024)
def parse_locale(tag: str) -> Locale:
    """Babel's locale of a tag such as `de-AT`; ValueError or babel.UnknownLocaleError for one CLDR doesn't know."""
    return Locale.parse(tag, sep="-")


@lru_cache(KEPT)
def money(value: Money, locale: str) -> str:
    """An amount to pay: "18,45 €"."""
    return format_currency(value.amount, value.currency, locale=parse_locale(locale))


@lru_cache(KEPT)
def price(value: Money, locale: str) -> str:
    """A price of one unit, with up to four decimals where it has them: "$0.125"."""
    pattern = copy(parse_locale(locale).currency_formats["standard"])
    pattern.frac_prec = (get_currency_precision(value.currency), PRICE_DIGITS)
    return str(pattern.apply(value.amount, parse_locale(locale), currency=value.currency, currency_digits=False))


@lru_cache(KEPT)
def number(value: float, locale: str, digits: int = 1) -> str:
    """A number with at most so many decimals: "1.234,5"."""
    return format_decimal(value, _decimals(digits), parse_locale(locale))


@lru_cache(KEPT)
def energy(value: float, locale: str, digits: int = 1) -> str:
    """Kilowatt-hours: "41,1 kWh"."""
    return _unit(value, "energy-kilowatt-hour", locale, digits)


@lru_cache(KEPT)
def power(value: float, locale: str, digits: int = 0) -> str:
    """Kilowatts: "150 kW"."""
    return _unit(value, "power-kilowatt", locale, digits)


@lru_cache(KEPT)
def percent(value: float, locale: str) -> str:
    """A share of a hundred: "46 %" of 46."""
    return format_percent(value / 100, locale=parse_locale(locale))


@lru_cache(KEPT)
def duration(value: float, locale: str) -> str:
    """Minutes, rounded: "1 h 20 min". The unit symbols are the SI's: the same in every language."""
    hours, minutes = divmod(round(value), 60)
    parts = [(hours, "h")] * bool(hours) + [(minutes, "min")] * bool(minutes or not hours)
    return " ".join(f"{number(amount, locale)}{NO_BREAK}{symbol}" for amount, symbol in parts)


@lru_cache(KEPT)
def time(value: datetime, locale: str, zone: str) -> str:
    """The time of day: "18:57", "6:57 PM"."""
    return format_time(value, "short", ZoneInfo(zone), parse_locale(locale))


@lru_cache(KEPT)
def date(value: datetime, locale: str, zone: str) -> str:
    """The day: "9. März 2026"."""
    return format_date(value.astimezone(ZoneInfo(zone)), "long", parse_locale(locale))


@lru_cache(KEPT)
def date_time(value: datetime, locale: str, zone: str) -> str:
    """The day without its year, and the time: "9. März, 18:57"."""
    day = format_skeleton("MMMMd", value, ZoneInfo(zone), locale=parse_locale(locale))
    pattern = str(get_datetime_format("medium", parse_locale(locale)))
    return pattern.replace("{1}", day).replace("{0}", time(value, locale, zone))


def plural(value: float, locale: str, *, other: str, **forms: str) -> str:
    """The form for a number by CLDR's rules (zero, one, two, few, many, other); `#` in it becomes the number."""
    return forms.get(parse_locale(locale).plural_form(value), other).replace("#", number(value, locale))


def _unit(value: float, unit: str, locale: str, digits: int) -> str:
    text = format_unit(value, unit, "short", _decimals(digits), parse_locale(locale))
    return text.replace(" ", NO_BREAK)


def _decimals(digits: int) -> str:
    if not 0 <= digits <= MAX_DIGITS:
        raise ValueError(f"takes 0 to {MAX_DIGITS} decimals, not {digits}")
    return f"#,##0.{'#' * digits}" if digits else "#,##0"


class Format(NamedTuple):
    """A filter: what it calls, the kinds of field it takes, and whether it needs the person's zone too."""

    function: Callable[..., str]
    kinds: frozenset[Kind]
    zoned: bool = False


_MONEY: frozenset[Kind] = frozenset({"money"})
_NUMBER: frozenset[Kind] = frozenset({"number", "integer"})
_TIME: frozenset[Kind] = frozenset({"time"})

FORMATS: Mapping[str, Format] = {
    "money": Format(money, _MONEY),
    "price": Format(price, _MONEY),
    "number": Format(number, _NUMBER),
    "energy": Format(energy, _NUMBER),
    "power": Format(power, _NUMBER),
    "percent": Format(percent, _NUMBER),
    "duration": Format(duration, _NUMBER),
    "plural": Format(plural, _NUMBER),
    "time": Format(time, _TIME, zoned=True),
    "date": Format(date, _TIME, zoned=True),
    "date_time": Format(date_time, _TIME, zoned=True),
}


def make_filter(form: Format) -> Callable[..., str]:
    """The Jinja filter that hands a format the `locale` and `zone` of the message being rendered."""
    function = form.function

    @pass_context
    def zoned(context: Context, value: object) -> str:
        return function(value, context["locale"], context["zone"])

    @pass_context
    def local(context: Context, value: object, *details: Any, **more: Any) -> str:
        return function(value, context["locale"], *details, **more)

    return zoned if form.zoned else local
