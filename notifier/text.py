"""What text may hold, wherever it comes in. PostgreSQL can't keep a NUL; a line break in a line is an injection.

The patterns mean the same to Python and, in the API's schemas, to ECMA 262. So they don't end in `$`, which for Python
also stands before a last line break.
"""

import unicodedata

_JOINER = "\u200d"

_END = r"(?![\s\S])"

TEXT = rf"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*{_END}"
"""Prose: of the control characters only tab and line breaks."""

LINE = rf"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*{_END}"
"""One line: no control characters, nothing that breaks a line."""

WORD = rf"^[^\x00-\x20\x7f-\xa0\u2028\u2029]*{_END}"
"""A line without spaces: identifiers, tokens."""

STEP = rf"^[^\x00-\x20\x7f-\xa0\u2028\u2029/]*{_END}"
"""A word that can stand between two slashes of a path."""


def cut(text: str, most: int) -> str:
    """The text's first `most` characters, or some fewer where that would cut through what is seen as one: a letter with
    its accents, a family of emoji, a flag.
    """
    place = most
    while 0 < place < len(text) and _within(text, place):
        place -= 1
    return text[: place or most]


def _within(text: str, place: int) -> bool:
    before, after = text[place - 1], text[place]
    if _JOINER in (before, after) or unicodedata.category(after) in ("Mn", "Me", "Mc"):
        return True
    if "\U0001f3fb" <= after <= "\U0001f3ff" or "\U000e0020" <= after <= "\U000e007f":  # skin tones, tags of flags
        return True
    flags = 0
    while flags < place and "\U0001f1e6" <= text[place - 1 - flags] <= "\U0001f1ff":
        flags += 1
    return flags % 2 == 1 and "\U0001f1e6" <= after <= "\U0001f1ff"
