"""Formats: values in a reader's locale and time zone (CLDR through Babel), and the Jinja filters made of them.

Babel takes 10–15 µs a call, so results are cached: the minute to leave by and the price of a kWh are the same for many.
Times take an aware datetime, money a `Money`; locales are BCP 47 tags that Babel knows, zones IANA names.

Numbers are rounded half up, as bills are. What can't be below zero never reads so, whatever a meter's clock says.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from copy import copy
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from babel import Locale
from babel.dates import format_date, format_skeleton, format_time, get_datetime_format
from babel.numbers import NumberPattern, format_decimal, get_currency_precision, get_currency_symbol
from babel.units import format_unit
from jinja2 import pass_context
from jinja2.runtime import Context

from notifier.domain.catalog import Kind, Money
from notifier.rendering.moments import NO_BREAK, Zones, label, local

KEPT = 8192  # cached results of each format: some 2 MB when full
PRICE_DIGITS = 4  # a kWh or a minute can cost a fraction of a cent
MAX_DIGITS = 6  # decimals that a text may use: people read no more
SMALL_POWER = 10  # kW: below it a tenth changes the charging time by hours, above it nobody needs one

_FIRST = re.compile(r"^1(?= )")
_BEFORE, _BEHIND = re.compile("¤$"), re.compile("^¤")


@lru_cache(1024)
def parse_locale(tag: str) -> Locale:
    """Return Babel's locale of a tag such as `de-AT`; raises ValueError or babel.UnknownLocaleError for an unknown
    one."""
    return Locale.parse(tag, sep="-")


def half_up(value: float, digits: int = 0) -> Decimal:
    """Round half up to a number of decimals: 4.845 becomes 4.85, and never -0."""
    rounded = Decimal(str(value)).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    return rounded or abs(rounded)


@lru_cache(KEPT)
def money(value: Money, locale: str) -> str:
    """Format an amount to pay: "18,45 €"."""
    return _currency(value, locale, get_currency_precision(value.currency))


@lru_cache(KEPT)
def price(value: Money, locale: str) -> str:
    """Format a unit price with up to four decimals: "$0.125"."""
    return _currency(value, locale, PRICE_DIGITS)


@lru_cache(KEPT)
def number(value: float, locale: str, digits: int = 1) -> str:
    """Format a number with at most so many decimals: "1.234,5"."""
    return format_decimal(_rounded(value, digits), _decimals(digits), parse_locale(locale))


@lru_cache(KEPT)
def energy(value: float, locale: str, digits: int = 1) -> str:
    """Format kilowatt-hours: "41,1 kWh"."""
    return _unit(value, "energy-kilowatt-hour", locale, digits)


@lru_cache(KEPT)
def power(value: float, locale: str, digits: int | None = None) -> str:
    """Format kilowatts: "150 kW", with a decimal below ten: "3,7 kW"."""
    if digits is None:
        digits = 1 if half_up(value, 1) < SMALL_POWER else 0
    return _unit(value, "power-kilowatt", locale, digits)


@lru_cache(KEPT)
def percent(value: float, locale: str) -> str:
    """Format a percentage: 46 becomes "46 %"."""
    pattern = parse_locale(locale).percent_formats[None]
    return str(pattern.apply(half_up(max(value, 0)) / 100, parse_locale(locale)))


@lru_cache(KEPT)
def duration(value: float, locale: str) -> str:
    """Format rounded minutes: "1 h 20 min". The unit symbols are the SI's, so they are the same in every language."""
    hours, minutes = divmod(int(half_up(max(value, 0))), 60)
    parts = [(hours, "h")] * bool(hours) + [(minutes, "min")] * bool(minutes or not hours)
    return " ".join(f"{number(amount, locale)}{NO_BREAK}{symbol}" for amount, symbol in parts)


@lru_cache(KEPT)
def time(value: datetime, locale: str, zones: str | Zones, form: str = "#", *, one: str | None = None) -> str:
    """Format the time of day: "18:57", "6:57 PM"; with its zone where that is ambiguous, "18:57 GMT+1".

    `#` in a `form` is replaced by the time, and the zone is appended: "# Uhr" gives "18:57 Uhr MEZ". `one` is the form
    for one o'clock in languages that use the singular for it: "la 1:30", "las 2:30".
    """
    at = local(value, zones)
    said = format_time(at, "short", locale=parse_locale(locale))
    chosen = form if one is None or not re.match(r"0?1(?!\d)", said) else one
    return chosen.replace("#", said) + label(value, zones, parse_locale(locale))


@lru_cache(KEPT)
def date(value: datetime, locale: str, zones: str | Zones) -> str:
    """Format a date: "9. März 2026"."""
    return _day(format_date(local(value, zones), "long", parse_locale(locale)), locale)


@lru_cache(KEPT)
def date_time(value: datetime, locale: str, zones: str | Zones, form: str = "#", *, one: str | None = None) -> str:
    """Format the date without its year, and the time, which takes the forms of `time`: "9. März, 18:57"."""
    spoken = parse_locale(locale)
    day = _day(format_skeleton("MMMMd", local(value, zones).replace(tzinfo=None), locale=spoken), locale)
    pattern = "{1} à {0}" if spoken.language == "fr" else str(get_datetime_format("medium", spoken))
    return pattern.replace("{1}", day).replace("{0}", time(value, locale, zones, form, one=one))


def plural(value: float, locale: str, *, other: str, **forms: str) -> str:
    """Choose the form for a number by CLDR's plural rules (zero, one, two, few, many, other) and replace `#` by the
    number."""
    shown = half_up(value, 1)
    return forms.get(parse_locale(locale).plural_form(shown.normalize() + 0), other).replace("#", number(value, locale))


def _day(text: str, locale: str) -> str:
    """Format the day of the month: in French the first alone is an ordinal, which CLDR's patterns lack."""
    return _FIRST.sub("1er", text) if parse_locale(locale).language == "fr" else text


def _currency(value: Money, locale: str, digits: int) -> str:
    """Format a currency with CLDR's `currencySpacing` and `currencyDecimal`, which Babel lacks."""
    spoken = parse_locale(locale)
    pattern: NumberPattern = copy(spoken.currency_formats["standard"])
    pattern.frac_prec = (get_currency_precision(value.currency), digits)
    symbol = get_currency_symbol(value.currency, spoken)
    if _touches(symbol[-1]):
        plus, minus = pattern.prefix
        pattern.prefix = _BEFORE.sub(f"¤{NO_BREAK}", plus), _BEFORE.sub(f"¤{NO_BREAK}", minus)
    if _touches(symbol[0]):
        plus, minus = pattern.suffix
        pattern.suffix = _BEHIND.sub(f"{NO_BREAK}¤", plus), _BEHIND.sub(f"{NO_BREAK}¤", minus)
    text = str(pattern.apply(half_up(value.amount, digits), spoken, currency=value.currency, currency_digits=False))
    symbols = spoken.number_symbols.get("latn", {})
    if "currencyDecimal" not in symbols:
        return text
    return re.sub(rf"{re.escape(symbols['decimal'])}(?=\d+\D*$)", symbols["currencyDecimal"], text)


def _touches(letter: str) -> bool:
    """Whether a currency's sign reads as one with the digits beside this end of it: CLDR's `currencyMatch`."""
    return unicodedata.category(letter)[0] not in "SZ"


def _unit(value: float, unit: str, locale: str, digits: int) -> str:
    text = format_unit(_rounded(max(value, 0), digits), unit, "short", _decimals(digits), parse_locale(locale))
    return text.replace(" ", NO_BREAK)


def _rounded(value: float, digits: int) -> Decimal:
    _decimals(digits)
    return half_up(value, digits)


def _decimals(digits: int) -> str:
    if not 0 <= digits <= MAX_DIGITS:
        raise ValueError(f"takes 0 to {MAX_DIGITS} decimals, not {digits}")
    return f"#,##0.{'#' * digits}" if digits else "#,##0"


class Format(NamedTuple):
    """A filter: its function, the kinds of field that it accepts, and whether it also needs the reader's time zone."""

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
    """Make a Jinja filter that passes the `locale` and `zone` (`Zones`) of the message being rendered to a format."""
    function = form.function

    @pass_context
    def zoned(context: Context, value: object, *details: Any, **more: Any) -> str:
        return function(value, context["locale"], context["zone"], *details, **more)

    @pass_context
    def local(context: Context, value: object, *details: Any, **more: Any) -> str:
        return function(value, context["locale"], *details, **more)

    return zoned if form.zoned else local
