"""What is left of data about a person who is erased: their names in it become a pseudonym that says nothing."""

from collections.abc import Set
from typing import Any

from notifier.domain.identifiers import audience


def names(value: Any, known: Set[str]) -> bool:
    """Whether a JSON value holds one of these names: as a string of its own, not as part of another."""
    match value:
        case str():
            return _known(value, known)
        case dict():
            return any(names(each, known) for each in value.values())
        case list():
            return any(names(each, known) for each in value)
        case _:
            return False


def redact(value: Any, known: Set[str], pseudonym: str) -> Any:
    """The JSON value with the pseudonym in place of each of these names; its shape stays, so that it still fits."""
    match value:
        case str():
            return pseudonym if _known(value, known) else value
        case dict():
            return {key: redact(each, known, pseudonym) for key, each in value.items()}
        case list():
            return [redact(each, known, pseudonym) for each in value]
        case _:
            return value


def _known(value: str, known: Set[str]) -> bool:
    """Whether a text is one of the names, or one of their charging tokens in upper or lower case."""
    return value in known or audience("token", value) in known
