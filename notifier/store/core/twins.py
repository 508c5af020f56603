"""Tests in queries: what is of a twin of a type (`domain.twins`)."""

import sqlalchemy as sa

from notifier.domain.twins import TEST


def of_tests(type_: sa.ColumnElement[str], *, test: bool = True) -> sa.ColumnElement[bool]:
    """Whether a type, of events or of notifications, is for tests; or is not."""
    begins = sa.func.substr(type_, 1, len(TEST))  # SQLite's LIKE ignores case
    return begins == TEST if test else begins != TEST
