"""Segments, held against the count that the sandbox makes apart from ours."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.channels.sms.sandbox.segments import segments
from notifier.domain.sms_segments import GSM7, SIZES, Encoding, SmsSize, measure

GSM7_TEXT = st.text(st.sampled_from(sorted(GSM7)), max_size=700)
ENCODINGS = {"GSM-7": "gsm7", "UCS-2": "ucs2"}


def test_every_encoding_has_its_sizes() -> None:
    assert set(SIZES) == set(get_args(Encoding))


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("", SmsSize("gsm7", 0, 1)),
        ("a" * 160, SmsSize("gsm7", 160, 1)),
        ("a" * 161, SmsSize("gsm7", 161, 2)),
        ("a" * 306, SmsSize("gsm7", 306, 2)),
        ("a" * 307, SmsSize("gsm7", 307, 3)),
        ("€" * 80, SmsSize("gsm7", 160, 1)),
        ("€" * 81, SmsSize("gsm7", 162, 2)),
        # 153 is odd: the 77th € doesn't fit any more, and one septet stays empty.
        ("€" * 152, SmsSize("gsm7", 304, 2)),
        ("€" * 153, SmsSize("gsm7", 306, 3)),
        ("a" * 152 + "€" + "a" * 152, SmsSize("gsm7", 306, 3)),
        ("я" * 70, SmsSize("ucs2", 70, 1)),
        ("я" * 71, SmsSize("ucs2", 71, 2)),
        ("я" * 134, SmsSize("ucs2", 134, 2)),
        ("🔌" * 35, SmsSize("ucs2", 70, 1)),
        ("🔌" * 66, SmsSize("ucs2", 132, 2)),
        ("🔌" * 67, SmsSize("ucs2", 134, 3)),
        ("`", SmsSize("ucs2", 1, 1)),
        # What takes an escape in GSM-7 is one letter like any other beside an emoji
        ("😀" + "]" * 68, SmsSize("ucs2", 70, 1)),
        ("😀" + "]" * 69, SmsSize("ucs2", 71, 2)),
        ("€" * 132 + "😀", SmsSize("ucs2", 134, 2)),
    ],
)
def test_known_sizes(text: str, size: SmsSize) -> None:
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
