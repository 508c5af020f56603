import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.channels.sms.sandbox.segments import segments


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ("GSM-7", 1)),
        ("a" * 160, ("GSM-7", 1)),
        ("a" * 161, ("GSM-7", 2)),
        ("a" * 306, ("GSM-7", 2)),
        ("a" * 307, ("GSM-7", 3)),
        ("€" * 80, ("GSM-7", 1)),
        ("€" * 81, ("GSM-7", 2)),
        ("a" * 152 + "€" * 76, ("GSM-7", 2)),  # 152, then 76 pairs: the first doesn't fit beside them
        ("a" * 152 + "€" * 77, ("GSM-7", 3)),  # 306 septets would fill two, but no pair straddles
        ("ё" * 70, ("UCS-2", 1)),
        ("ё" * 71, ("UCS-2", 2)),
        ("🚗" * 35, ("UCS-2", 1)),
        ("🚗" * 67, ("UCS-2", 3)),  # 33 to a segment: the 67th unit stays empty
        ("14:45\u202f!", ("UCS-2", 1)),
        ("à la borne", ("GSM-7", 1)),
        ("ê", ("UCS-2", 1)),
    ],
)
def test_a_text_has_the_segments_the_tables_say(text: str, expected: tuple[str, int]) -> None:
    assert segments(text) == expected


@given(st.text(max_size=800))
def test_segments_are_neither_too_few_nor_wasteful(text: str) -> None:
    encoding, count = segments(text)
    units = len(text.encode("utf-16-le", "surrogatepass")) // 2
    assert count >= -(-len(text) // 160)
    assert count <= max(1, -(-2 * units // (153 if encoding == "GSM-7" else 66)))
