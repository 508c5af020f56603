"""CloudEvents in HTTP headers: a binary event is the same as its structured twin, whatever its headers are."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.cloudevents import CheckedEvent, EventReader
from notifier.domain.errors import Problem
from notifier.domain.headers import attributes
from tests.samples import CATALOG, EVENT, NOW, accepted, encoded, refused

READER = EventReader(CATALOG)

HEADERS = {
    "content-type": "application/json",
    "ce-specversion": "1.0",
    "ce-id": "attempt-7",
    "ce-source": "billing",
    "ce-type": "payment.failed",
}


def binary(headers: dict[str, str], body: bytes, now: int) -> CheckedEvent | Problem:
    """A binary event by its headers, as a server hands them on."""
    return READER.binary([(name.encode(), value.encode()) for name, value in headers.items()], body, now)


def test_a_binary_event_is_the_same_as_its_structured_twin() -> None:
    told = binary(HEADERS, json.dumps(EVENT["data"]).encode(), NOW)

    assert accepted(told).digest == accepted(READER.structured(encoded(), NOW)).digest


def test_headers_are_percent_decoded_and_unknown_ones_dropped() -> None:
    # Given headers as CloudEvents' HTTP binding §3.1.3.2 encodes them
    headers = HEADERS | {"ce-id": "K%C3%B6ln%20%E2%82%AC%22", "ce-time": "2026-03-09T17:40:00Z", "ce-more": "%00"}

    checked = accepted(binary(headers, json.dumps(EVENT["data"]).encode(), 0))

    assert (checked.source_id, checked.occurred_at) == ('Köln €"', NOW)


@pytest.mark.parametrize(
    ("headers", "body", "code", "pointer"),
    [
        ({"ce-id": ""}, b"{}", 40002, "/id"),
        ({"ce-id": "%0d%0aX: y"}, b"{}", 40002, "/id"),
        ({"ce-source": "%00"}, b"{}", 40002, "/source"),
        ({"ce-time": "noon"}, b"{}", 40002, "/time"),
        ({"ce-data_base64": "e30="}, b"{}", 40002, "/data_base64"),
        ({"ce-data_base64": "e30="}, b"", 40002, "/data_base64"),
        ({"ce-id": "x%FE"}, b"{}", 40002, "/id"),
        ({"ce-id": '"half'}, b"{}", 40002, "/id"),
        ({"ce-id": '"half\\"'}, b"{}", 40002, "/id"),
        ({"ce-time": "2016-12-31T23:59:60Z"}, b"{}", 40002, "/time"),
        ({"ce-time": "0001-01-01T00:00:00Z"}, b"{}", 40002, "/time"),
        ({}, b"", 42202, "/data/account_id"),
        ({}, b"[]", 42202, "/data"),
        ({}, b"{", 40001, None),
        ({}, b"\xff", 40001, None),
        ({}, b" " * 65_537, 41301, None),
    ],
)
def test_a_binary_event_that_does_not_fit(headers: dict[str, str], body: bytes, code: int, pointer: str | None) -> None:
    problem = refused(binary(HEADERS | headers, body, NOW))

    assert (problem.code, problem.pointer) == (code, pointer)


@pytest.mark.parametrize(
    ("value", "id_"),
    [
        (b'"quoted"', "quoted"),
        (rb'"a \"quoted\" \\ word"', r'a "quoted" \ word'),
        (b'"K%C3%B6ln"', "Köln"),
        ("Köln".encode(), "Köln"),
        (b'half"quoted"', 'half"quoted"'),
        (b"%2522", "%22"),
    ],
)
def test_a_header_is_unquoted_then_decoded_once(value: bytes, id_: str) -> None:
    headers = [(name.encode(), text.encode()) for name, text in HEADERS.items() if name != "ce-id"]

    checked = accepted(READER.binary([*headers, (b"ce-id", value)], json.dumps(EVENT["data"]).encode(), NOW))

    assert checked.source_id == id_


@pytest.mark.parametrize("again", ["attempt-7", "another"])
def test_an_attribute_in_two_headers_is_refused(again: str) -> None:
    headers = [(name.encode(), text.encode()) for name, text in HEADERS.items()]

    problem = refused(READER.binary([*headers, (b"ce-id", again.encode())], b"{}", NOW))

    assert (problem.code, problem.pointer) == (40002, "/id")


@given(st.text(min_size=1, max_size=20))
def test_every_text_comes_through_a_header_whole(text: str) -> None:
    percent = "".join(f"%{byte:02X}" for byte in text.encode())

    assert attributes([(b"ce-x", percent.encode())]) == {"x": text}


@given(st.dictionaries(st.sampled_from(["ce-id", "ce-source", "ce-time", "ce-x", "ce-data"]), st.text(max_size=9)))
def test_no_headers_raise_anything_but_a_problem(headers: dict[str, str]) -> None:
    result = binary(HEADERS | headers, json.dumps(EVENT["data"]).encode(), NOW)

    assert isinstance(result, CheckedEvent | Problem)
