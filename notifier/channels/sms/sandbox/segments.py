"""The segments of a text: GSM 03.38 with its extension table, or UCS-2, as on twilio.com/docs/glossary.

Written independently of the sender's own count, so that tests can compare the two.
"""

from typing import Final, Literal

_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED: Final = frozenset("\f^{}\\[~]|€")
_SIZES: Final[dict[str, tuple[int, int]]] = {"GSM-7": (160, 153), "UCS-2": (70, 67)}
"""Units in a single segment, and in each of several, where a header takes the rest."""

Encoding = Literal["GSM-7", "UCS-2"]


def segments(text: str) -> tuple[Encoding, int]:
    """Return the encoding that a text needs and its number of segments; no character is split between two."""
    letters = set(text)
    if letters <= _BASIC | _EXTENDED:
        return "GSM-7", _count([2 if letter in _EXTENDED else 1 for letter in text], *_SIZES["GSM-7"])
    return "UCS-2", _count([2 if ord(letter) > 0xFFFF else 1 for letter in text], *_SIZES["UCS-2"])


def _count(widths: list[int], single: int, several: int) -> int:
    if sum(widths) <= single:
        return 1
    count, used = 1, 0
    for width in widths:
        if used + width > several:
            count, used = count + 1, 0
        used += width
    return count
