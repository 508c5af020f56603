"""What several buckets have of the same events, made one."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol, TypeVar

from notifier.store.core.database import Database

T = TypeVar("T")
K = TypeVar("K", str, tuple[str, ...])

LEAST: Final = 20
"""Rows of a bucket's page at least, of however many buckets there are."""

Progress = tuple[int | None, int | None, int | None]
"""When an event was decided, put aside, and handled by a person."""


class Decided(Protocol):
    """A decision by its key; without a recipient it says that there was nobody."""

    @property
    def event_id(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def recipient_id(self) -> str: ...


D = TypeVar("D", bound=Decided)


def progress(found: Iterable[Progress]) -> Progress:
    """How far an event has come that is in several buckets: it is decided once it is in each, and put aside where it is
    in one; where a person has handled it in all of those, that is told."""
    parts = list(found)
    decided = [decided_at for decided_at, _, _ in parts if decided_at is not None]
    aside = [(handled_at, at) for decided_at, at, handled_at in parts if decided_at is None and at is not None]
    handled_at, quarantined_at = min(aside, key=lambda each: each[0] or 0, default=(None, None))
    return max(decided) if len(decided) == len(parts) else None, quarantined_at, handled_at


def share(database: Database, size: int) -> int:
    """How many rows of a page are read from one bucket: all buckets' together are about one page."""
    whole = len(database.whole.buckets)
    return size if whole == 1 else max(size // whole, LEAST)


def merge(pages: Sequence[Sequence[T]], ends: Sequence[K | None], key: Callable[[T], K]) -> tuple[list[T], K | None]:
    """The rows of several ascending pages in one, up to where all have come, and that place; None at the end of all.
    `ends` are the places up to which the pages tell everything, None where there is nothing behind one."""
    end = min((each for each in ends if each is not None), default=None)
    rows = (row for page in pages for row in page if end is None or key(row) <= end)
    return sorted(rows, key=key), end


def told_once(decisions: Iterable[D], *, more: bool = False) -> list[D]:
    """Decisions in the order of their keys: that there was nobody is told once of a type, and not where there was
    somebody. Where `more` follow, the last is left to them if it may yet prove wrong."""
    found: list[D] = []
    for each in decisions:
        if found and not found[-1].recipient_id and _of(found[-1]) == _of(each):
            found.pop()
        found.append(each)
    return found[:-1] if more and len(found) > 1 and not found[-1].recipient_id else found


def _of(made: Decided) -> tuple[str, str]:
    return made.event_id, made.type
