"""Identifiers compare as their standards say: one thing has one form, whichever it came in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.identifiers import audience, line, old_forms
from notifier.domain.text import cut
from notifier.rendering.locales import closest

NUMBERS = st.from_regex(r"\+(52|54|55|225|229|49|1)[0-9]{7,11}", fullmatch=True)


@pytest.mark.parametrize(
    ("group", "name", "key"),
    [
        ("token", "nl-tst-c1", "token:NL-TST-C1"), ("token", "04a2b3ß", "token:04A2B3ß"),
        ("topic", "be*ecn*e1", "topic:BE*ECN*E1"), ("driver", "Ada", "driver:Ada"), ("fleet", "acme", "fleet:acme"),
    ],
)  # fmt: skip
def test_what_ocpi_compares_without_case_is_kept_in_capitals_and_what_is_the_callers_own_as_it_is(
    group: str, name: str, key: str
) -> None:
    assert audience(group, name) == key


@given(NUMBERS)
def test_a_line_has_one_number_and_each_old_form_leads_to_it(number: str) -> None:
    now = line(number)

    assert line(now) == now
    assert all(line(old) == now for old in old_forms(now))
    assert number == now or number in old_forms(now)


@pytest.mark.parametrize(
    "number", ["+525512345678", "+5491123456789", "+5511981234567", "+551121234567", "+2250707123456", "+2290197123456"]
)
def test_what_is_in_its_present_form_stays(number: str) -> None:
    assert line(number) == number


@pytest.mark.parametrize(
    ("locale", "spoken"),
    [("uk-DE", "uk"), ("tr-DE", "en"), ("de-CH-1996", "de"), ("en-US-u-ca-buddhist", "en"), ("zh-Hant-TW", "zh-Hant")],
)
def test_texts_are_looked_up_from_the_most_exact_tag_to_the_default(locale: str, spoken: str) -> None:
    assert closest(locale, {"en", "de", "uk", "zh-Hant"}) == spoken


@pytest.mark.parametrize(
    ("text", "most", "left"),
    [
        ("ab\U0001f468\u200d\U0001f469\u200d\U0001f467cd", 4, "ab"),
        ("\U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7", 3, "\U0001f1e9\U0001f1ea"),
        ("xe\u0301x", 2, "x"),
        ("x\U0001f44d\U0001f3fd", 2, "x"),
        ("abc", 2, "ab"),
        ("abc", 9, "abc"),
    ],
)
def test_nothing_that_is_seen_as_one_is_cut_through(text: str, most: int, left: str) -> None:
    assert cut(text, most) == left


@given(st.text(st.characters() | st.sampled_from("\u200d\u0301\U0001f1e9\U0001f468\U0001f3fd")), st.integers(1, 40))
def test_a_cut_is_a_beginning_and_never_nothing(text: str, most: int) -> None:
    left = cut(text, most)

    assert text.startswith(left)
    assert len(left) <= most
    assert bool(left) == bool(text)
