"""The bounds of an API key: the sources and event types that it may report."""

from notifier.domain.cloudevents import CheckedEvent
from notifier.domain.errors import Problem
from notifier.domain.keys import ApiKey
from notifier.domain.problems import problem
from notifier.domain.twins import plain


def within_bounds(key: ApiKey, candidate: CheckedEvent | Problem) -> CheckedEvent | Problem:
    """Return the event as the key reports it, a test where it is a test key; Problem 40303 where it may not."""
    if isinstance(candidate, Problem):
        return candidate
    if not key.bounds.has_source(candidate.source):
        return problem(40303, f"the key {key.id} is not bound to this source", "/source")
    if not key.bounds.has_type(candidate.type):
        return _not_of(key, candidate.type)
    return candidate.as_test() if key.test else candidate


def check_type(key: ApiKey, event_type: str, pointer: str = "/type") -> None:
    """Raise Problem 40303 where the key may not report, and so may not stop, events of this type."""
    if not key.bounds.has_type(event_type):
        raise _not_of(key, event_type, pointer)


def check_source(key: ApiKey, source: str) -> None:
    """Raise Problem 40303 where the key may not report, and so may not stop, events of this source."""
    if not key.bounds.has_source(source):
        raise problem(40303, f"the key {key.id} is not bound to this source", "/event/source")


def _not_of(key: ApiKey, event_type: str, pointer: str = "/type") -> Problem:
    return problem(40303, f"the key {key.id} is not bound to the event type {plain(event_type)}", pointer)
