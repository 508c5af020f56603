"""Which bucket a person has, and where an event is at home."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.buckets import MOST, bucket_of, home


@given(st.text(), st.integers(1, MOST))
def test_a_person_has_one_of_the_buckets_and_always_the_same(id_: str, buckets: int) -> None:
    assert 0 <= bucket_of(id_, buckets) < buckets
    assert bucket_of(id_, buckets) == bucket_of(id_, buckets)


def test_people_are_spread_evenly() -> None:
    # Given many people whose ids are alike
    found = Counter(bucket_of(f"driver-{number}", 8) for number in range(8_000))

    # Then no bucket has a fifth more or less than its share
    assert len(found) == 8
    assert all(800 < number < 1_200 for number in found.values())


@pytest.mark.parametrize(
    ("subject", "data", "expected"),
    [
        ("session/1", {"driver_id": "ada", "session_id": "1"}, "ada"),
        ("session/1", {"token": "NL-TST-C1"}, "csms session/1"),
        (None, {"station_id": "7"}, "csms 42"),
    ],
)
def test_an_event_is_at_home_with_the_driver_whom_it_names_or_with_what_it_is_about(
    subject: str | None, data: dict[str, str], expected: str
) -> None:
    assert home("csms", "42", subject, data) == expected
