"""Which way a text is written, where nobody says in what language it is."""

import re
import unicodedata
from typing import Final, NamedTuple

from markupsafe import Markup

_ADDRESSES: Final = re.compile(r"\S+(://|@)\S+")
"""Links and mailboxes, which are Latin in every language."""


class TextDirection(NamedTuple):
    """How a text is written: its direction, and its language where that is known."""

    direction: str
    language: str = ""

    def __html__(self) -> str:
        """The attributes of an element that holds the text."""
        language = Markup(' lang="{}"').format(self.language) if self.language else ""
        return Markup('dir="{}"').format(self.direction) + language


def way(text: str) -> TextDirection:
    """The way of most of a text's letters: a brand in Latin letters turns no Arabic text around."""
    kinds = [unicodedata.bidirectional(letter) for letter in _ADDRESSES.sub("", text)]
    leftward = sum(kind in ("R", "AL") for kind in kinds)
    return TextDirection("rtl" if leftward > kinds.count("L") else "ltr")
