"""The bounds of API keys in queries."""

import sqlalchemy as sa

from notifier.domain.keys import ANY_ENDING, Bounds
from notifier.store.core.schema import event


def covered(bounds: Bounds) -> list[sa.ColumnElement[bool]]:
    """Conditions on `event` that hold for every event within the bounds. MariaDB ignores blanks at the end of a source,
    so `Bounds.cover` has the last word."""
    found: list[sa.ColumnElement[bool]] = []
    if bounds.sources:
        found.append(sa.or_(*map(_is_of, bounds.sources)))
    if bounds.types:
        found.append(event.c.type.in_(bounds.types))
    return found


def _is_of(source: str) -> sa.ColumnElement[bool]:
    if not source.endswith(ANY_ENDING):
        return event.c.source == source
    begin = source.removesuffix(ANY_ENDING)
    return sa.func.substr(event.c.source, 1, len(begin)) == begin  # SQLite's LIKE ignores case
