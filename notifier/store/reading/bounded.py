"""The bounds of API keys in queries."""

import sqlalchemy as sa

from notifier.domain.keys import ANY_ENDING, Bounds
from notifier.domain.twins import twin
from notifier.store.core.schema import event
from notifier.store.core.twins import of_tests


def covered(bounds: Bounds) -> list[sa.ColumnElement[bool]]:
    """Conditions on `event` that hold for exactly the events within the bounds."""
    found: list[sa.ColumnElement[bool]] = []
    if bounds.sources:
        found.append(sa.or_(*map(_is_of, bounds.sources)))
    if bounds.types:
        found.append(event.c.type.in_([name for each in bounds.types for name in (each, twin(each))]))
    if bounds.test is not None:
        found.append(of_tests(event.c.type, test=bounds.test))
    return found


def _is_of(source: str) -> sa.ColumnElement[bool]:
    if not source.endswith(ANY_ENDING):
        return _same(event.c.source, source)
    begin = source.removesuffix(ANY_ENDING)
    return _same(sa.func.substr(event.c.source, 1, len(begin)), begin)  # SQLite's LIKE ignores case


def _same(told: sa.ColumnElement[str], text: str) -> sa.ColumnElement[bool]:
    """Whether two texts are the same, blanks at the end too, which MariaDB ignores."""
    return told + "." == text + "."
