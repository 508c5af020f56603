from datetime import UTC, datetime, timedelta, timezone

import pytest

from notifier.catalog import Money
from notifier.rendering import formats

EVENING = datetime(2026, 3, 9, 23, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("locale", "euros", "dollars"),
    [
        ("de", "18,45\u00a0€", "18,45\u00a0$"),
        ("fr", "18,45\u00a0€", "18,45\u00a0$US"),
        ("en-US", "€18.45", "$18.45"),
        ("es", "18,45\u00a0€", "18,45\u00a0US$"),
    ],
)
def test_money_follows_the_locale(locale: str, euros: str, dollars: str) -> None:
    assert formats.money(Money(18.45, "EUR"), locale) == euros
    assert formats.money(Money(18.45, "USD"), locale) == dollars


def test_money_has_the_decimals_of_its_currency() -> None:
    assert formats.money(Money(1200, "JPY"), "en") == "¥1,200"
    assert formats.money(Money(20, "EUR"), "en") == "€20.00"
    assert formats.money(Money(18.455, "EUR"), "en") == "€18.46"


def test_a_price_keeps_fractions_of_a_cent() -> None:
    assert formats.price(Money(0.125, "USD"), "en") == "$0.125"
    assert formats.price(Money(0.49, "EUR"), "de") == "0,49\u00a0€"
    assert formats.price(Money(0.5, "EUR"), "fr") == "0,50\u00a0€"
    assert formats.price(Money(12, "JPY"), "en") == "¥12"


def test_a_price_leaves_the_locales_own_pattern_as_it_was() -> None:
    formats.price(Money(0.12345, "CHF"), "de-CH")

    assert formats.parse_locale("de-CH").currency_formats["standard"].frac_prec == (2, 2)


@pytest.mark.parametrize(
    ("locale", "text"), [("de", "1.041,1\u00a0kWh"), ("en", "1,041.1\u00a0kWh"), ("fr", "1\u202f041,1\u202fkWh")]
)
def test_energy_has_one_decimal_unless_told_and_never_breaks_before_its_unit(locale: str, text: str) -> None:
    assert formats.energy(1041.12, locale) == text
    assert formats.energy(41.123, "en", 2) == "41.12\u00a0kWh"
    assert formats.energy(7, "en", 2) == "7\u00a0kWh"


def test_power_and_percent() -> None:
    assert formats.power(150, "de") == "150\u00a0kW"
    assert formats.power(3.68, "de", 1) == "3,7\u00a0kW"
    assert formats.percent(46, "de") == "46\u00a0%"
    assert formats.percent(46, "en") == "46%"


@pytest.mark.parametrize(
    ("minutes", "text"),
    [(0, "0 min"), (20, "20 min"), (60, "1 h"), (80, "1 h 20 min"), (59.6, "1 h"), (1501, "25 h 1 min")],
)
def test_a_duration_is_in_hours_and_minutes(minutes: float, text: str) -> None:
    assert formats.duration(minutes, "en").replace("\u00a0", " ") == text


@pytest.mark.parametrize(
    ("locale", "time", "date", "date_time"),
    [
        ("de", "00:30", "10. März 2026", "10. März, 00:30"),
        ("fr", "00:30", "10 mars 2026", "10 mars, 00:30"),
        ("es", "0:30", "10 de marzo de 2026", "10 de marzo, 0:30"),
        ("en-GB", "00:30", "10 March 2026", "10 March, 00:30"),
        ("en", "12:30\u202fAM", "March 10, 2026", "March 10, 12:30\u202fAM"),
    ],
)
def test_a_moment_late_in_utc_is_the_next_day_in_berlin(locale: str, time: str, date: str, date_time: str) -> None:
    assert formats.time(EVENING, locale, "Europe/Berlin") == time
    assert formats.date(EVENING, locale, "Europe/Berlin") == date
    assert formats.date_time(EVENING, locale, "Europe/Berlin") == date_time


def test_equal_moments_read_the_same_whatever_offset_they_came_with() -> None:
    elsewhere = EVENING.astimezone(timezone(timedelta(hours=-6)))

    assert formats.date(elsewhere, "en", "Europe/Berlin") == formats.date(EVENING, "en", "Europe/Berlin")


def test_zones_do_not_share_an_answer() -> None:
    assert formats.time(EVENING, "de", "Europe/Berlin") != formats.time(EVENING, "de", "Europe/London")


@pytest.mark.parametrize(
    ("locale", "count", "text"),
    [
        ("en", 1, "1 plug"),
        ("en", 0, "0 plugs"),
        ("fr", 0, "0 plug"),
        ("pl", 2, "2 plugi"),
        ("pl", 5, "5 plugów"),
        ("pl", 22, "22 plugi"),
        ("de", 1200, "1.200 plugs"),
    ],
)
def test_plural_follows_the_languages_own_rules(locale: str, count: int, text: str) -> None:
    one, few, many = "# plug", "# plugi", "# plugów"
    others = {"few": few, "many": many} if locale == "pl" else {}

    assert formats.plural(count, locale, one=one, other="# plugs", **others) == text


def test_the_answers_kept_are_bounded() -> None:
    for format_ in formats.FORMATS.values():
        if format_.function is not formats.plural:
            assert format_.function.cache_parameters()["maxsize"] == formats.KEPT  # type: ignore[attr-defined]
