"""Bodies made to break a reader: each is a problem, at once, and keeps nothing else of its batch out."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.cloudevents import EventReader
from notifier.domain.errors import Problem
from tests.samples import CATALOG, NOW, accepted, encoded, refused

READER = EventReader(CATALOG)
AT_ONCE = 0.5  # seconds of CPU, so that a busy machine changes nothing; none takes a hundredth of it


def deep(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


HUGE = b"9" * 60_000

HOSTILE = {
    "empty": (b"", 40001),
    "cut off": (encoded()[:-1], 40001),
    "more behind it": (encoded() + b"{}", 40001),
    "a byte order mark": (b"\xef\xbb\xbf" + encoded(), 40001),
    "UTF-16": (encoded().decode().encode("utf-16"), 40001),
    "NaN": (encoded().replace(b"20.9", b"NaN"), 40001),
    "infinity": (encoded().replace(b"20.9", b"-Infinity"), 40001),
    "a trailing comma": (encoded().replace(b"}", b",}"), 40001),
    "bytes that are not UTF-8": (encoded().replace(b"A-1", b"\xff\xfe"), 40001),
    "a surrogate in UTF-8": (encoded().replace(b"A-1", b"\xed\xa0\x80"), 40001),
    "a lone high surrogate": (encoded().replace(b"A-1", b"\\ud800"), 40001),
    "a lone low surrogate": (encoded().replace(b"attempt-7", b"\\udc00"), 40001),
    "a NUL that is not escaped": (encoded().replace(b"A-1", b"\0"), 40001),
    "a NUL in the data": (encoded().replace(b"A-1", b"\\u0000"), 42202),
    "a NUL in the id": (encoded().replace(b"attempt-7", b"\\u0000"), 40002),
    "200,000 levels": (encoded().replace(b"20.9", deep(200_000)), 41301),
    "10,000 levels": (encoded().replace(b"20.9", deep(10_000)), 40001),
    "levels in what nobody reads": (encoded().replace(b"{", b'{"x":' + deep(10_000) + b",", 1), 40001),
    "a number of 60,000 digits": (encoded().replace(b"20.9", HUGE), 42202),
    "an integer of 60,000 digits": (encoded().replace(b'"attempt": 7', b'"attempt": ' + HUGE), 42202),
    "an integer past 64 bits": (encoded().replace(b'"attempt": 7', b'"attempt": 18446744073709551616'), 42202),
    "an exponent past a float": (encoded().replace(b"20.9", b"1e999"), 42202),
}


@pytest.mark.parametrize(("body", "code"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_event_is_a_problem_at_once(body: bytes, code: int) -> None:
    started = time.process_time()

    problem = refused(READER.structured(body, NOW))

    assert problem.code == code
    assert time.process_time() - started < AT_ONCE


@pytest.mark.parametrize(
    "name",
    [
        "bytes that are not UTF-8",
        "a NUL in the data",
        "a NUL in the id",
        "a number of 60,000 digits",
        "an integer of 60,000 digits",
        "an integer past 64 bits",
        "an exponent past a float",
    ],
)
def test_a_hostile_event_keeps_nothing_else_of_its_batch_out(name: str) -> None:
    body, code = HOSTILE[name]

    before, hostile, after = READER.batch(b"[%b,%b,%b]" % (encoded(id="1"), body, encoded(id="2")), NOW)

    assert (accepted(before).source_id, accepted(after).source_id) == ("1", "2")
    assert refused(hostile).code == code


@pytest.mark.parametrize("body", [deep(200_000), b"[" * 200_000, b"{", b"[1,", b"{}", b"1", b"", b"null", b"[]]"])
def test_an_array_that_is_none_is_refused_as_a_whole(body: bytes) -> None:
    started = time.process_time()

    with pytest.raises(Problem) as raised:
        READER.batch(body, NOW)

    assert raised.value.code in (40001, 40002)
    assert time.process_time() - started < AT_ONCE


def test_of_members_that_are_doubled_the_last_counts_and_nothing_is_mixed() -> None:
    body = encoded().replace(b'"id"', b'"id": "first", "id"').replace(b'"attempt"', b'"attempt": 1, "attempt"')

    assert accepted(READER.structured(body, NOW)).digest == accepted(READER.structured(encoded(), NOW)).digest
    assert accepted(READER.structured(body, NOW)).source_id == "attempt-7"


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(st.characters(), max_size=5),
    lambda each: st.lists(each) | st.dictionaries(st.text(max_size=5), each),
)


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_raise_anything_but_a_problem(body: bytes) -> None:
    refused(READER.structured(body, NOW))
    try:
        results = READER.batch(body, NOW)
    except Problem:
        return
    assert all(isinstance(result, Problem) for result in results)
