"""How many segments an SMS takes: the unit of its price and of every sending rate (3GPP TS 23.038, TS 23.040
§9.2.3.24.1).

A text whose letters are all in GSM-7 has 160 septets in one segment or 153 in each of several; any other is UCS-2,
with 70 or 67 code units. What takes two of either (`€`, an emoji) is never split between segments.
"""

from typing import Final, Literal, NamedTuple

from notifier.domain.gsm7 import BASIC, EXTENSION

Encoding = Literal["gsm7", "ucs2"]

GSM7: Final = frozenset(BASIC + EXTENSION)

SIZES: Final[dict[Encoding, tuple[int, int]]] = {"gsm7": (160, 153), "ucs2": (70, 67)}
"""Units of a single segment, and of one of several, where a header takes the rest."""


class SmsSize(NamedTuple):
    """A text's encoding, its length in that encoding's units, and its number of segments, at least one."""

    encoding: Encoding
    units: int
    segments: int


def measure(text: str) -> SmsSize:
    """Measure a text's encoding, length and number of segments."""
    if GSM7.issuperset(text):
        return _fill("gsm7", text, len(text) + sum(map(text.count, EXTENSION)))
    return _fill("ucs2", text, len(text.encode("utf-16-be", "surrogatepass")) // 2)


def _fill(encoding: Encoding, text: str, units: int) -> SmsSize:
    alone, among = SIZES[encoding]
    if units <= alone:
        return SmsSize(encoding, units, 1)
    if units == len(text):
        return SmsSize(encoding, units, -(-units // among))
    twice = EXTENSION if encoding == "gsm7" else ""
    count = 1
    left = among
    for letter in text:
        width = 2 if letter in twice or letter > "\uffff" else 1
        if width > left:
            count, left = count + 1, among
        left -= width
    return SmsSize(encoding, units, count)
