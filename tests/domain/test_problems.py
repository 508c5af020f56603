"""The numbered problems, and how what msgspec says becomes one."""

from typing import Annotated, Any, Literal

import msgspec
import pytest

from notifier.domain.errors import Problem
from notifier.domain.identifiers import Id
from notifier.domain.problems import TITLES, UNDECODABLE, from_decoding, problem, to_pointer


class Price(msgspec.Struct, forbid_unknown_fields=True):
    amount: float
    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")] = "EUR"


class Order(msgspec.Struct, forbid_unknown_fields=True):
    prices: list[Price]
    kind: Literal["one", "two"] = "one"
    names: dict[Annotated[str, msgspec.Meta(max_length=3)], int] = {}
    event: Id | None = None


def decoding(body: bytes, within: str = "") -> Problem:
    """The problem of a body that is no order."""
    with pytest.raises(UNDECODABLE) as raised:
        msgspec.json.decode(body, type=Order)
    return from_decoding(42202, raised.value, within)


@pytest.mark.parametrize("number", TITLES)
def test_a_number_begins_with_its_status_and_its_title_comes_with_a_way_out(number: int) -> None:
    title, way_out = TITLES[number]

    assert 400 <= number // 100 < 600
    assert title
    assert way_out.endswith((".", "names."))
    assert problem(number, "why").status == number // 100


@pytest.mark.parametrize(
    ("body", "pointer", "told"),
    [
        (b"{}", "/prices", "this member is required"),
        (b'{"prices": {}}', "/prices", "Expected `array`, got `object`"),
        (b'{"prices": [{"amount": 1}, {}]}', "/prices/1/amount", "this member is required"),
        (b'{"prices": [{"amount": "1"}]}', "/prices/0/amount", "Expected `float`, got `str`"),
        (b'{"prices": [{"amount": 1, "a/b~c": 1}]}', "/prices/0/a~1b~0c", "there is no such member"),
        (b'{"prices": [{"amount": 1, "currency": "eur"}]}', "/prices/0/currency", "characters"),
        (b'{"prices": [], "event": "a-17"}', "/event", "32 hex digits"),
        (b'{"prices": [], "kind": "three"}', "/kind", "unknown value"),
        (b'{"prices": [], "kind": "x - at `$.prices`"}', "/kind", "unknown value"),
        (b'{"prices": [], "names": {"Ada Lovelace": 1}}', "/names", "length <= 3"),
        (b'{"prices": [], "names": {"Ada": "x"}}', "/names", "Expected `int`, got `str`"),
        (b"[]", None, "Expected `object`, got `array`"),
    ],
)
def test_what_does_not_fit_is_told_with_a_pointer_to_it(body: bytes, pointer: str | None, told: str) -> None:
    error = decoding(body)

    assert (error.code, error.pointer) == (42202, pointer)
    assert told in error.detail


def test_a_pointer_begins_where_the_part_stands_in_the_whole() -> None:
    assert decoding(b"{}", "/data").pointer == "/data/prices"
    assert decoding(b"[]", "/data").pointer == "/data"


@pytest.mark.parametrize("body", [b"", b"{", b'{"prices": NaN}', b'{"kind": "\xff"}'])
def test_what_is_no_json_is_that_and_nothing_else(body: bytes) -> None:
    error = decoding(body, "/data")

    assert (error.code, error.pointer) == (40001, None)


def test_what_is_nested_too_deeply_is_told_as_that() -> None:
    with pytest.raises(UNDECODABLE) as raised:
        msgspec.json.decode(b"[" * 100_000)

    error = from_decoding(42202, raised.value, "/data")

    assert (error.code, error.pointer) == (40001, None)
    assert "deep" in error.detail


@pytest.mark.parametrize("value", ["canary", ["canary"], {"canary": 1}, "canary - at `$.x`"])
def test_a_value_is_never_told(value: Any) -> None:
    for member in ("prices", "kind", "names"):
        told = decoding(msgspec.json.encode({"prices": [], member: value})).body()
        assert "canary" not in str(told)


@pytest.mark.parametrize(
    ("path", "pointer"), [("", ""), (".data.cost[0]", "/data/cost/0"), ("[3]", "/3"), (".a[...].b", "/a/b")]
)
def test_a_path_becomes_a_json_pointer(path: str, pointer: str) -> None:
    assert to_pointer(path) == pointer
