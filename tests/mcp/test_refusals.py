"""Refusals in words, of whatever answers in the service's place."""

import pytest

from notifier.domain.problems import TITLES, problem
from notifier.mcp.service import refusal


@pytest.mark.parametrize("number", TITLES)
def test_every_problem_is_told_with_its_way_out(number: int) -> None:
    told = refusal(number // 100, problem(number, "it is so", "/ids").body())

    assert told.startswith(f"{TITLES[number][0]} ({number}) at /ids: it is so. {TITLES[number][1]}")


def test_what_is_no_problem_document_is_told_as_such() -> None:
    assert "502 without a reason" in refusal(502, {})
