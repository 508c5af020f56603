"""Segments, held against the count that the sandbox makes apart from ours."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.channels.sms.segments import BASIC, EXTENSION, GSM7, SIZES, Encoding, Size, measure, to_gsm7
from notifier.sandbox.segments import segments

GSM7_TEXT = st.text(st.sampled_from(sorted(GSM7)), max_size=700)
ENCODINGS = {"GSM-7": "gsm7", "UCS-2": "ucs2"}


def test_the_alphabets_have_their_sizes() -> None:
    assert len(BASIC) == 127  # the 128th code is the escape
    assert len(EXTENSION) == 10
    assert not BASIC & EXTENSION
    assert set(SIZES) == set(get_args(Encoding))


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("", Size("gsm7", 0, 1)),
        ("a" * 160, Size("gsm7", 160, 1)),
        ("a" * 161, Size("gsm7", 161, 2)),
        ("a" * 306, Size("gsm7", 306, 2)),
        ("a" * 307, Size("gsm7", 307, 3)),
        ("€" * 80, Size("gsm7", 160, 1)),
        ("€" * 81, Size("gsm7", 162, 2)),
        # 153 is odd: the 77th € doesn't fit any more, and one septet stays empty.
        ("€" * 152, Size("gsm7", 304, 2)),
        ("€" * 153, Size("gsm7", 306, 3)),
        ("a" * 152 + "€" + "a" * 152, Size("gsm7", 306, 3)),
        ("я" * 70, Size("ucs2", 70, 1)),
        ("я" * 71, Size("ucs2", 71, 2)),
        ("я" * 134, Size("ucs2", 134, 2)),
        ("🔌" * 35, Size("ucs2", 70, 1)),
        ("🔌" * 66, Size("ucs2", 132, 2)),
        ("🔌" * 67, Size("ucs2", 134, 3)),
        ("`", Size("ucs2", 1, 1)),
    ],
)
def test_known_sizes(text: str, size: Size) -> None:
    assert measure(text) == size


@given(st.one_of(GSM7_TEXT, st.text(max_size=300)))
def test_two_counts_made_apart_agree(text: str) -> None:
    # When
    size = measure(text)

    # Then
    encoding, count = segments(text)
    assert (size.encoding, size.segments) == (ENCODINGS[encoding], count)


@given(st.text(max_size=300), st.text(max_size=300))
def test_more_text_never_takes_fewer_segments(text: str, more: str) -> None:
    assert measure(text + more).segments >= measure(text).segments


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("10:15\u202fPM", "10:15 PM"),
        ("12,30\u00a0€", "12,30 €"),
        ("1\u2009000 kWh", "1 000 kWh"),
        ("8–9 h — “now”, it’s ‘free’…", "8-9 h - \"now\", it's 'free'..."),
        ("soft\u00adhyphen\u200b", "softhyphen"),
        ("«oui» • non", '"oui" * non'),
    ],
)
def test_typographic_letters_become_plain(text: str, plain: str) -> None:
    assert to_gsm7(text) == plain
    assert measure(plain).encoding == "gsm7"


@pytest.mark.parametrize("text", ["зарядка – завершена", "充电…", "ł’"])
def test_a_text_that_needs_ucs2_anyway_stays_as_it_is(text: str) -> None:
    assert to_gsm7(text) == text


@given(st.text())
def test_the_result_is_gsm7_or_the_text_itself(text: str) -> None:
    plain = to_gsm7(text)
    assert plain == text or GSM7.issuperset(plain)
    assert to_gsm7(plain) == plain


@given(GSM7_TEXT)
def test_a_gsm7_text_is_left_alone(text: str) -> None:
    assert to_gsm7(text) == text
