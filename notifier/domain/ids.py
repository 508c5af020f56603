"""Ids: 32 hex digits, made of what makes a thing the same, so that what is the same twice has one row.

What grows without end is dated besides: the id begins with an instant, so that ids follow each other as their things
do. Indexes grow at one end, and all of a day lies together and can be looked at, or taken away, as one.
"""

import re
from hashlib import blake2b
from typing import Final

DATE: Final = 12
"""Hex digits of an instant in epoch milliseconds: 48 bits, as UUIDv7 (RFC 9562 §5.7) has them; enough until 10889."""
LENGTH: Final = 32

NOTHING: Final = "0" * LENGTH
"""The id of nothing."""

FORM: Final = f"[0-9a-f]{{{LENGTH}}}"
"""The form of an id, as a regular expression."""

_is_formed: Final = re.compile(FORM).fullmatch


def make_id(*parts: str) -> str:
    """The id of what these parts make the same thing: 32 hex digits (BLAKE2b, 128 bits)."""
    encoded = [part.encode("utf-8", "surrogatepass") for part in parts]
    framed = b"".join([len(data).to_bytes(4, "big") + data for data in encoded])
    return blake2b(framed, digest_size=LENGTH // 2).hexdigest()


def dated(id_: str, instant: int) -> str:
    """The id with an instant (epoch milliseconds) before it; 80 bits of its own are kept."""
    return f"{instant:0{DATE}x}{id_[: LENGTH - DATE]}"


def instant_of(id_: str) -> int:
    """The instant with which a dated id begins."""
    return int(id_[:DATE], 16)


def is_id(text: str) -> bool:
    """Whether a text has the form of an id."""
    return _is_formed(text) is not None


def next_id(id_: str) -> str:
    """The least id that follows an id."""
    return f"{int(id_, 16) + 1:0{LENGTH}x}"


def first_id(instant: int) -> str:
    """The least dated id of an instant: ids from it on are of that instant or later."""
    return dated(NOTHING, instant)
