"""Which code can work with which schema: the id of a revision says it.

A schema changes in two steps, a release apart (expand, contract). One that only adds to what the code before it uses,
or takes away what that code doesn't use any more, is called `0023-0022`: number 23, and code whose own newest revision
is 22 works with it too, whether it runs already, is started or is gone back to. One that is called `0023` needs code
that knows it, and the others stopped.
"""

import re
from enum import Enum
from typing import NamedTuple

FORM = re.compile(r"(?P<number>\d{4})(?:-(?P<least>\d{4}))?")


class Revision(NamedTuple):
    """A revision's number, and the least newest revision of code that works with it."""

    number: int
    least: int


class Fit(Enum):
    """How a database's schema fits this code."""

    SAME = "same"
    AHEAD = "ahead"  # of a later release, and this code works with it
    BEHIND = "behind"  # to be upgraded
    BEYOND = "beyond"  # of a later release that this code doesn't know


def parse(id_: str) -> Revision:
    """Read a revision's id; ValueError where it is none."""
    found = FORM.fullmatch(id_)
    if found is None:
        raise ValueError(f"{id_!r} is no revision, such as 0022 or 0023-0022")
    number = int(found["number"])
    return Revision(number, int(found["least"] or number))


def fit(current: str | None, newest: str) -> Fit:
    """Return how a database at revision `current`, None without tables, fits code whose newest is `newest`."""
    if current is None:
        return Fit.BEHIND
    database, code = parse(current), parse(newest)
    if database.number <= code.number:
        return Fit.SAME if current == newest else Fit.BEHIND
    return Fit.AHEAD if database.least <= code.number else Fit.BEYOND
