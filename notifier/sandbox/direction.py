"""The writing direction of texts whose language is unknown."""

import re
import unicodedata
from typing import Final, NamedTuple

from markupsafe import Markup

_ADDRESSES: Final = re.compile(r"\S+(://|@)\S+")
"""Matches links and mailboxes, which are in Latin letters in every language."""


class TextDirection(NamedTuple):
    """A text's writing direction, and its language where that is known."""

    direction: str
    language: str = ""

    def __html__(self) -> str:
        """Return the `dir` and `lang` attributes of an element that holds the text."""
        language = Markup(' lang="{}"').format(self.language) if self.language else ""
        return Markup('dir="{}"').format(self.direction) + language


def way(text: str) -> TextDirection:
    """Return the direction of most of a text's letters: a Latin brand name leaves an Arabic text right-to-left."""
    kinds = [unicodedata.bidirectional(letter) for letter in _ADDRESSES.sub("", text)]
    leftward = sum(kind in ("R", "AL") for kind in kinds)
    return TextDirection("rtl" if leftward > kinds.count("L") else "ltr")
