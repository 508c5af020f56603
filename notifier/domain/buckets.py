"""Buckets: the parts that a large database is divided into, each person in one of them by the hash of their id.

A bucket holds all about its people, so that whatever is decided about them is written in one place; an event that
reaches people in several buckets has a copy in each (`pipeline.forwarding`). One bucket is the rule.
"""

from typing import Any, Final

from notifier.domain.ids import make_id

MOST: Final = 256
"""Buckets that a database may have: each is some dozens of tables."""

DRIVER: Final = "driver_id"
"""The member of an event's data that names one person by id."""

_DIGITS: Final = 8  # of a hash: enough that buckets differ in size by chance alone


def bucket_of(key: str, buckets: int) -> int:
    """The bucket of a person by id, or of another thing by its name."""
    return 0 if buckets == 1 else int(make_id("bucket", key)[:_DIGITS], 16) % buckets


def home(source: str, source_id: str, subject: str | None, data: dict[str, Any]) -> str:
    """The key of the bucket in which an event is accepted: the person whom it names, else what it is about. A repeat
    has the same."""
    named = data.get(DRIVER)
    return named if isinstance(named, str) else f"{source} {source_id if subject is None else subject}"
