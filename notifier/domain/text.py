"""What text may hold, wherever it comes in. PostgreSQL can't keep a NUL; a line break in a line is an injection; of two
ids that look alike, one is a mistake.

Each pattern is a class of characters up to the end. `$` is not the end for Python, for which it also stands before a
last line break, and no other sign for it is known to Python, ECMAScript, Go and RE2 alike. So it is written here as
Python has it, and `portable` writes it as the others do.
"""

import re
import unicodedata
from collections.abc import Callable
from urllib.parse import parse_qsl, unquote_to_bytes

_JOINER = "\u200d"

END = r"(?![\s\S])"
"""A regular expression for the end of a text."""

_UNSEEN = "\u00ad\u1680\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff"
"""Spaces of every width, including zero, and marks that change the writing direction. They are characters rather than
escapes, which not every regular-expression engine knows."""

_BLANK = rf"\x00-\x20\x7f-\xa0{_UNSEEN}"

TEXT = rf"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*{END}"
"""Prose: of the control characters only tab and line breaks."""

LINE = r"^[^\x00-\x1f\x7f-\x9f" + f"\u2028\u2029]*{END}"
"""One line: no control characters, nothing that breaks a line."""

WORD = rf"^[^{_BLANK}]*{END}"
"""A line without visible or invisible spaces: identifiers, tokens."""

STEP = rf"^([^{_BLANK}/.]|\.[^{_BLANK}/.]|\.\.[^{_BLANK}/])[^{_BLANK}/]*{END}"
"""A path segment: neither `.` nor `..`, which clients resolve to the parent."""

_ADDRESS = re.compile(r"https?://[^\s<>\"]*[^\s<>\".,;:!?)\]]")

_TEXT = re.compile(TEXT)
_HALF = re.compile("[\ud800-\udfff]")


def portable(pattern: str) -> str:
    """Write a pattern for regular expression engines other than Python's."""
    return pattern.replace(END, "$")


def is_text(value: str) -> bool:
    """Whether every database can keep it: what `TEXT` says, and no half of a surrogate pair, which UTF-8 hasn't."""
    return _TEXT.match(value) is not None and not _HALF.search(value)


def text_fault(text: str) -> str | None:
    """The first fault of a longer text, in words with its line; None if all of it is valid text."""
    for number, line in enumerate(text.split("\n"), 1):
        if not is_text(line):
            letter = next(letter for letter in line if not is_text(letter))
            return (
                f"line {number}: U+{ord(letter):04X} is not allowed in texts: not every database can store "
                "it; remove it"
            )
    return None


def address_fault(path: bytes, query: bytes) -> str | None:
    """What of an address is no text, as it was sent: a parameter by its name, `query` for a name itself, or `path`,
    whose parts have shapes of their own.

    What isn't UTF-8 would otherwise be read as U+FFFD, by which two ids become one.
    """
    if b"%" not in path and b"%" not in query:
        return None
    try:
        unquote_to_bytes(path).decode()
    except UnicodeDecodeError:
        return "path"
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True, encoding="latin-1"):
        if not _is_text(name.encode("latin-1")):
            return "query"
        if not _is_text(value.encode("latin-1")):
            return name
    return None


def _is_text(part: bytes) -> bool:
    try:
        return is_text(part.decode())
    except UnicodeDecodeError:
        return False


def is_web(address: str) -> bool:
    """Whether an address leads to a page in a browser."""
    return address.startswith(("https://", "http://"))


def lead_addresses(text: str, to: Callable[[str], str]) -> str:
    """Plain text with what `to` makes of the web addresses in it, without the punctuation that ends a sentence."""
    return _ADDRESS.sub(lambda match: to(match[0]), text)


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
    if "\U0001f3fb" <= after <= "\U0001f3ff" or "\U000e0020" <= after <= "\U000e007f":  # skin tones and flag tags
        return True
    flags = 0
    while flags < place and "\U0001f1e6" <= text[place - 1 - flags] <= "\U0001f1ff":
        flags += 1
    return flags % 2 == 1 and "\U0001f1e6" <= after <= "\U0001f1ff"
