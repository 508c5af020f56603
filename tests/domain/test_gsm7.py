import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.gsm7 import BASIC, EXTENSION, to_gsm7


def test_the_tables_have_the_sizes_of_the_standard() -> None:
    assert len(set(BASIC)) == 127  # 128 places, one of which is the escape to the extension
    assert len(set(EXTENSION)) == 10
    assert not set(BASIC) & set(EXTENSION)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("18,45\u00a0€ um 6:57\u202fPM", "18,45 € um 6:57 PM"),
        ("l’été – «oui» “ja” …", 'l\'été - "oui" "ja" ...'),
        ("Visa •••• 4242", "Visa **** 4242"),
        ("Nîmes, Besançon, Łódź, Århus", "Nimes, Besancon, Lodz, Århus"),
        ("Grüße, niño, à bientôt", "Grüße, niño, à bientot"),
        ("zero\u200bwidth\u00ad", "zerowidth"),
    ],
)
def test_typography_and_foreign_accents_become_plain(text: str, plain: str) -> None:
    assert to_gsm7(text) == plain


def test_a_text_that_needs_the_long_alphabet_keeps_its_accents() -> None:
    assert to_gsm7("Nîmes – 充電") == "Nîmes - 充電"


def test_a_text_that_needs_the_long_alphabet_keeps_what_joins_its_letters() -> None:
    assert to_gsm7("👨\u200d👩\u200d👧\u200b – می\u200cخواهم") == "👨\u200d👩\u200d👧 - می\u200cخواهم"
    assert to_gsm7("a\u200db") == "ab"


@given(st.text(alphabet=BASIC + EXTENSION))
def test_what_is_gsm7_already_stays(text: str) -> None:
    assert to_gsm7(text) == text


@given(st.text())
def test_no_text_is_plainer_the_second_time(text: str) -> None:
    assert to_gsm7(to_gsm7(text)) == to_gsm7(text)
