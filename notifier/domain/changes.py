"""Changes: the states that say what became of deliveries, as they are told to other services, and places in their
order."""

import base64
import binascii
from collections.abc import Sequence
from typing import Final

import msgspec

from notifier.domain.deliveries import OPEN, State

TOLD: Final = frozenset(State) - OPEN
"""States that are told: all that say what became of a delivery."""

Place = tuple[int, ...]
"""A place in the log of changes: for each bucket the position of the next change to be read."""

_DECODER: Final = msgspec.json.Decoder(Place)


class Change(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A delivery's move to a state, at an instant; `attempts` are those so far."""

    delivery_id: str
    state: State
    at: int
    attempts: int = 0
    reason: str | None = None
    code: str | None = None


def make_cursor(place: Place) -> str:
    """The cursor of a place: a text that means nothing to who holds it."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def read_cursor(cursor: str, buckets: int) -> Place | None:
    """The place of a cursor; None where it is none of a database of so many buckets."""
    try:
        place = _DECODER.decode(base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return None
    return place if len(place) == buckets and all(0 < each < _MOST for each in place) else None


_MOST: Final = 1 << 62
"""More than any position: what databases hold as an integer, and can add to."""


def behind(place: Sequence[int], ends: Sequence[int]) -> int:
    """How many changes are between a place and the end of the log (`ends`: the position after the last, by bucket)."""
    return sum(max(end - at, 0) for at, end in zip(place, ends, strict=True))


def furthest(one: Place, other: Place) -> Place:
    """The place that is behind both."""
    return tuple(map(max, one, other))
