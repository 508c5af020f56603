"""Segments as they are written: what fits and what it means; that SQL says the same is tested in `store`."""

import json
from typing import Any

import msgspec
import pytest

from notifier.domain.problems import from_decoding
from notifier.domain.recipients import RecipientDetails
from notifier.domain.segments import Segment, matches

ADA = RecipientDetails(
    kind="driver", locale="de-AT", region="AT", time_zone="Europe/Vienna", tenants=["fleet:acme", "host:mall"],
    attributes={"plan": "gold", "sessions": 12, "since": "2025-11-02", "beta": True},
)  # fmt: skip


def decoded(**members: Any) -> Segment:
    return msgspec.json.decode(json.dumps({"name": "x", **members}), type=Segment)


@pytest.mark.parametrize(
    ("field", "operator", "value", "belongs"),
    [
        ("language", "eq", "de", True),
        ("locale", "eq", "de", False),
        ("country", "in", ["DE", "AT"], True),
        ("tenant", "eq", "host:mall", True),
        ("tenant", "ne", "host:mall", False),
        ("attribute.plan", "ne", "gold", False),
        ("attribute.colour", "ne", "red", True),
        ("attribute.colour", "exists", False, True),
        ("attribute.sessions", "eq", 12.0, True),
        ("attribute.sessions", "eq", "12", False),
        ("attribute.sessions", "gte", 12, True),
        ("attribute.sessions", "gt", "1", False),
        ("attribute.since", "lt", "2026-01-01", True),
        ("attribute.beta", "eq", True, True),
        ("attribute.beta", "eq", 1, False),
    ],
)
def test_a_condition_means_what_it_says(field: str, operator: str, value: Any, belongs: bool) -> None:
    assert matches(decoded(all=[{"field": field, "operator": operator, "value": value}]), ADA) == belongs


def test_all_must_hold_and_one_of_any() -> None:
    yes, no = ({"field": "language", "operator": "eq", "value": value} for value in ("de", "en"))

    assert matches(decoded(), ADA)
    assert matches(decoded(all=[yes], any=[no, yes]), ADA)
    assert not matches(decoded(all=[yes, no], any=[yes]), ADA)
    assert not matches(decoded(all=[yes], any=[no]), ADA)


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"all": [{"field": "email", "operator": "eq", "value": "x"}]}, "/all/0/field"),
        ({"all": [{"field": "attribute.a\"b", "operator": "eq", "value": "x"}]}, "/all/0/field"),
        ({"all": [{"field": "attribute.", "operator": "eq", "value": "x"}]}, "/all/0/field"),
        ({"any": [{"field": "kind", "operator": "like", "value": "x"}]}, "/any/0/operator"),
        ({"any": [{"field": "kind", "operator": "gt", "value": "x"}]}, "/any/0"),
        ({"all": [{"field": "kind", "operator": "eq", "value": 1}]}, "/all/0"),
        ({"all": [{"field": "kind", "operator": "eq", "value": ["x"]}]}, "/all/0"),
        ({"all": [{"field": "kind", "operator": "in", "value": "x"}]}, "/all/0"),
        ({"all": [{"field": "attribute.a", "operator": "exists", "value": "x"}]}, "/all/0"),
        ({"all": [{"field": "attribute.a", "operator": "gt", "value": True}]}, "/all/0"),
        ({"all": [{"field": "attribute.a", "operator": "eq", "value": "\x00"}]}, "/all/0/value"),
        ({"all": [{"field": "kind", "operator": "exists"}] * 21}, "/all"),
        ({"name": ""}, "/name"),
        ({"sql": "1=1"}, "/sql"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told_with_its_place(members: dict[str, Any], pointer: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        decoded(**members)

    problem = from_decoding(42206, caught.value)
    assert (problem.code, problem.pointer) == (42206, pointer)


def test_an_attribute_holds_no_text_that_a_database_can_not() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"attributes": {"a": "x\\u0000"}}', type=RecipientDetails)
