"""How many segments an SMS takes: the unit of its price and of every sending rate (3GPP TS 23.038, TS 23.040
§9.2.3.24.1).

A text whose letters are all in GSM-7 has 160 septets in one segment or 153 in each of several; any other is UCS-2,
with 70 or 67 code units. What takes two of either (`€`, an emoji) is never split between segments.
"""

from typing import Final, Literal, NamedTuple

Encoding = Literal["gsm7", "ucs2"]

BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION: Final = frozenset("\f^{}\\[~]|€")
"""Letters that take an escape and so two septets."""
GSM7: Final = BASIC | EXTENSION

SIZES: Final[dict[Encoding, tuple[int, int]]] = {"gsm7": (160, 153), "ucs2": (70, 67)}
"""Units of a segment that stands alone, and of one among several, whose header takes the rest."""

_PLAIN: Final = str.maketrans(
    {
        **dict.fromkeys(
            "\t\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000", " "
        ),
        **dict.fromkeys("\u00ad\u200b\u200c\u200d\u2060\ufeff", ""),
        **dict.fromkeys("\u2028\u2029", "\n"),
        **dict.fromkeys("‐‑‒–—―−", "-"),
        **dict.fromkeys("‘’‚‛′`´", "'"),
        **dict.fromkeys("“”„‟″«»", '"'),
        "…": "...",
        "•": "*",
    }
)


class Size(NamedTuple):
    """A text's encoding, its length in that encoding's units, and its number of segments, at least one."""

    encoding: Encoding
    units: int
    segments: int


def measure(text: str) -> Size:
    """What sending the text takes."""
    if GSM7.issuperset(text):
        return _fill("gsm7", text, len(text) + sum(map(text.count, EXTENSION)))
    return _fill("ucs2", text, len(text.encode("utf-16-be", "surrogatepass")) // 2)


def to_gsm7(text: str) -> str:
    """The text with plain spaces, dashes and quotes, where these alone keep it from GSM-7; otherwise as it is.

    Locale data writes U+202F into "10:15 PM" and U+00A0 before "€": one such letter makes a text of 160 two segments
    more.
    """
    if GSM7.issuperset(text):
        return text
    plain = text.translate(_PLAIN)
    return plain if GSM7.issuperset(plain) else text


def _fill(encoding: Encoding, text: str, units: int) -> Size:
    alone, among = SIZES[encoding]
    if units <= alone:
        return Size(encoding, units, 1)
    if units == len(text):
        return Size(encoding, units, -(-units // among))
    count = 1
    left = among
    for letter in text:
        width = 2 if letter in EXTENSION or letter > "\uffff" else 1
        if width > left:
            count, left = count + 1, among
        left -= width
    return Size(encoding, units, count)
