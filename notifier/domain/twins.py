"""Twins: each event type and each notification type has another one for tests, under its name with `test:` before it.

An event that a test key reports is of its type's twin, and so are its deliveries. What is kept by type (identities,
caps, digests, supersessions, figures) is apart with that. What is kept otherwise asks `is_test`.
"""

from typing import Final

TEST: Final = "test:"
"""What the names of twins begin with; no type of the catalog's own is called so."""


def twin(name: str) -> str:
    """The name of a type's twin."""
    return TEST + name


def is_test(name: str) -> bool:
    """Whether a type is a twin, and what is of it a test."""
    return name.startswith(TEST)


def plain(name: str) -> str:
    """The name of the type that a twin is of; any other type's own."""
    return name.removeprefix(TEST)


def like(name: str, other: str) -> str:
    """A name, or the twin's where the other one is a twin's: what both count by is apart from what is no test."""
    return twin(name) if is_test(other) else name
