"""One family of errors, and the document that a problem is told as."""

import inspect

import pytest

from notifier.domain import errors
from notifier.domain.errors import SEND_ERRORS, NotifierError, OutcomeUnknown, Problem, SendError, StoreUnavailable

FAMILY = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, NotifierError)]


def test_the_tree_at_the_top_of_the_module_shows_the_whole_family() -> None:
    # Given the tree as it is drawn: each error's name behind its branch, four columns a level
    drawn: dict[str, str] = {}
    parents: dict[int, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        branch, _, text = line.partition("── ")
        if not text:
            parents[0] = line.strip() or parents.get(0, "")
            continue
        level = len(branch) // 4
        name = text.split()[0]
        drawn[name] = parents[level - 1]
        parents[level] = name

    # Then it is what the classes say
    assert drawn == {kind.__name__: kind.__bases__[0].__name__ for kind in FAMILY if kind is not NotifierError}


@pytest.mark.parametrize("kind", SEND_ERRORS.values())
def test_a_send_error_has_what_a_caller_needs_and_prints_nothing_else(kind: type[SendError]) -> None:
    error = kind("twilio", "21610", "the person sent STOP", retry_after=2.5)

    assert (error.provider, error.code, error.detail, error.retry_after) == ("twilio", "21610", error.detail, 2.5)
    assert str(error) == "twilio 21610: the person sent STOP"
    assert SEND_ERRORS[error.kind] is kind


def test_every_send_error_can_be_named_in_a_code_table() -> None:
    assert {kind for kind in FAMILY if issubclass(kind, SendError)} - {SendError} == set(SEND_ERRORS.values())


def test_only_what_was_surely_not_taken_may_be_tried_again() -> None:
    again = {name for name, kind in SEND_ERRORS.items() if kind.retry}

    assert again == {"misconfigured", "throttled", "unavailable"}
    assert not OutcomeUnknown.retry
    assert StoreUnavailable.retry
    assert not Problem.retry


def test_a_problem_is_told_as_rfc_9457_has_it() -> None:
    problem = Problem(
        42202, 422, "Event data doesn't fit", "this member is required", "/data/attempt", status_code=2001
    )

    assert problem.body() == {
        "type": "/problems/42202",
        "title": "Event data doesn't fit",
        "status": 422,
        "code": 42202,
        "detail": "this member is required",
        "pointer": "/data/attempt",
        "status_code": 2001,
    }


def test_a_problem_of_no_member_has_no_pointer() -> None:
    assert "pointer" not in Problem(40401, 404, "Not found", "nothing is here").body()
