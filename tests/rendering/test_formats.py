import re
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.domain.catalog import Money
from notifier.rendering import formats
from notifier.rendering.moments import Zones

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


@pytest.mark.parametrize(
    ("amount", "euros"), [(4.845, "4,85"), (4.844, "4,84"), (2.675, "2,68"), (-4.845, "-4,85"), (-0.004, "0,00")]
)
def test_half_a_cent_is_rounded_up_as_on_a_bill(amount: float, euros: str) -> None:
    assert formats.money(Money(amount, "EUR"), "de") == f"{euros}\u00a0€"


@pytest.mark.parametrize(
    ("locale", "currency", "text"),
    [
        ("en", "CHF", "CHF\u00a018.45"),
        ("en", "EUR", "€18.45"),
        ("en-GB", "USD", "US$18.45"),
        ("es-MX", "EUR", "EUR\u00a018.45"),
        ("de", "CHF", "18,45\u00a0CHF"),
        ("de-CH", "CHF", "CHF\u00a018.45"),
        ("fr-CH", "CHF", "18.45\u00a0CHF"),
        ("fr-CH", "EUR", "18.45\u00a0€"),
    ],
)
def test_a_currency_stands_as_cldr_says_beside_digits(locale: str, currency: str, text: str) -> None:
    assert formats.money(Money(18.45, currency), locale) == text
    assert formats.price(Money(18.45, currency), locale) == text


def test_only_money_has_the_decimal_sign_of_money() -> None:
    assert formats.money(Money(1234567.5, "CHF"), "fr-CH") == "1\u202f234\u202f567.50\u00a0CHF"
    assert formats.energy(41.1, "fr-CH").startswith("41,1")


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
    assert formats.power(3.7, "de") == "3,7\u00a0kW"
    assert formats.power(7, "de") == "7\u00a0kW"
    assert formats.power(9.96, "de") == "10\u00a0kW"
    assert formats.power(22.08, "de") == "22\u00a0kW"
    assert formats.percent(46, "de") == "46\u00a0%"
    assert formats.percent(46.5, "de") == "47\u00a0%"
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
        ("fr", "00:30", "10 mars 2026", "10 mars à 00:30"),
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


def test_every_number_is_rounded_half_up() -> None:
    assert formats.number(2.45, "en") == "2.5"
    assert formats.energy(0.125, "en", 2) == "0.13\u00a0kWh"
    assert formats.power(12.5, "en") == "13\u00a0kW"
    assert formats.duration(2.5, "en") == "3\u00a0min"
    assert formats.plural(1.04, "en", one="# plug", other="# plugs") == "1 plug"


@settings(deadline=None)  # the first of its kind compiles CLDR's patterns
@given(
    value=st.floats(-1e9, 1e9) | st.integers(-(10**9), 10**9),
    locale=st.sampled_from(["en", "de", "fr", "es", "de-CH", "fr-CH"]),
)
def test_nothing_that_is_measured_reads_below_zero_and_no_number_as_minus_zero(value: float, locale: str) -> None:
    for measured in (formats.duration, formats.energy, formats.power, formats.percent):
        assert "-" not in measured(value, locale)
    for text in (formats.number(value, locale), formats.money(Money(value, "EUR"), locale)):
        assert "-" not in text or re.search("[1-9]", text), text


LISBON = Zones("Europe/Lisbon", "Europe/Berlin")
SUMMER = datetime(2026, 7, 9, 5, 19, tzinfo=UTC)


@pytest.mark.parametrize(
    ("locale", "text"),
    [
        ("de", "06:19\u00a0WESZ"),
        ("en", "6:19\u202fAM\u00a0GMT+1"),
        ("en-GB", "06:19\u00a0WEST"),
        ("fr", "06:19\u00a0UTC+1"),
        ("es", "6:19\u00a0WEST"),
        ("es-MX", "6:19\u202fa.m.\u00a0GMT+1"),
    ],
)
def test_a_time_elsewhere_is_told_by_the_clocks_there_and_says_so(locale: str, text: str) -> None:
    assert formats.time(SUMMER, locale, LISBON) == text


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Europe/Paris", "Africa/Lagos"])
def test_a_zone_is_left_out_where_the_readers_clocks_say_the_same(zone: str) -> None:
    assert formats.time(EVENING, "de", Zones(zone, "Europe/Berlin")) == "00:30"


def test_zones_differ_by_the_day() -> None:
    # Given two places that share their clocks in one half of the year alone
    zones = Zones("Africa/Lagos", "Europe/Berlin")

    assert formats.time(EVENING, "de", zones) == "00:30"
    assert formats.time(SUMMER, "de", zones) == "06:19\u00a0GMT+1"


def test_utc_is_always_told_as_such() -> None:
    assert formats.time(EVENING, "de", "UTC") == "23:30\u00a0UTC"
    assert formats.time(EVENING, "fr", Zones("Etc/UTC", "Europe/Paris")) == "23:30\u00a0UTC"


def test_a_zone_of_half_hours_is_told_in_full() -> None:
    assert formats.time(EVENING, "en", Zones("Asia/Kolkata", "Europe/Berlin")) == "5:00\u202fAM\u00a0GMT+5:30"
    assert formats.time(EVENING, "de", Zones("America/St_Johns", "Europe/Berlin")) == "21:00\u00a0GMT-2:30"


def test_the_hour_that_comes_twice_says_which_it_is() -> None:
    # Given an hour of charging over the end of summer time
    began, ended = datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC)

    assert formats.time(began, "de", "Europe/Berlin", "#\u00a0Uhr") == "02:30\u00a0Uhr\u00a0MESZ"
    assert formats.time(ended, "de", "Europe/Berlin", "#\u00a0Uhr") == "02:30\u00a0Uhr\u00a0MEZ"
    assert formats.date_time(ended, "fr", "Europe/Paris") == "25 octobre à 02:30\u00a0UTC+1"

    # And the hours around it are plain
    assert formats.time(began - timedelta(hours=1), "de", "Europe/Berlin") == "01:30"
    assert formats.time(ended + timedelta(hours=1), "de", "Europe/Berlin") == "03:30"


@pytest.mark.parametrize(
    ("hour", "locale", "text"),
    [(0, "es", "las 0:30"), (1, "es", "la 1:30"), (2, "es", "las 2:30"), (11, "es", "las 11:30"),
     (13, "es", "las 13:30"), (13, "es-MX", "la 1:30\u202fp.m.")],
)  # fmt: skip
def test_the_first_hour_has_a_form_of_its_own(hour: int, locale: str, text: str) -> None:
    moment = datetime(2026, 3, 9, hour, 30, tzinfo=ZoneInfo("Europe/Madrid"))

    assert formats.time(moment, locale, "Europe/Madrid", "las #", one="la #") == text


def test_the_first_of_a_month_is_an_ordinal_in_french() -> None:
    first, second = datetime(2026, 11, 1, 12, tzinfo=UTC), datetime(2026, 11, 2, 12, tzinfo=UTC)

    for locale in ("fr", "fr-CA", "fr-CH"):
        assert formats.date(first, locale, "Europe/Paris") == "1er novembre 2026"
        assert formats.date_time(first, locale, "Europe/Paris").startswith("1er novembre à ")
        assert formats.date(second, locale, "Europe/Paris") == "2 novembre 2026"
    assert formats.date(first, "es", "Europe/Paris") == "1 de noviembre de 2026"


def test_the_answers_kept_are_bounded() -> None:
    for format_ in formats.FORMATS.values():
        if format_.function is not formats.plural:
            assert format_.function.cache_parameters()["maxsize"] == formats.KEPT  # type: ignore[attr-defined]
