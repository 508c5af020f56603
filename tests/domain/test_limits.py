"""The limits of keys: never more than the rate and one second's burst, and in a day never one more than its limit."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.clock import DAY, SECOND
from notifier.domain.keys import ApiKey
from notifier.domain.limits import KeyUsage, Overrun, fields, overrun, spend

NOW = 20_000 * DAY
FIELD = re.compile(r'"(second|day)";[qr]=\d+;[wt]=[1-9]\d*(, "day";[qr]=\d+;[wt]=[1-9]\d*)?')


def limited(rate: float | None = None, daily: int | None = None) -> ApiKey:
    return ApiKey(
        id="1", name="k", secret_hash="", scopes=frozenset(), created_at=0, rate=rate, daily=daily,
    )  # fmt: skip


@given(
    rate=st.none() | st.floats(0.01, 2000),
    daily=st.none() | st.integers(1, 3000),
    requests=st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 1000)), max_size=60),
)
def test_however_it_asks_a_key_reports_no_more_than_its_limits(
    rate: float | None, daily: int | None, requests: list[tuple[int, int]]
) -> None:
    # Given a key with limits, and requests with so many events each, some time apart
    key, usage, now = limited(rate, daily), KeyUsage(), NOW
    accepted, last = 0, 0
    for pause, events in requests:
        now += pause
        told = fields(key, usage, now)
        assert not key.limited or all(FIELD.fullmatch(value) for value in told.values())

        over = overrun(key, usage, events, now)
        if over is None:
            accepted, last, usage = accepted + events, events, spend(key, usage, events, now)
        else:
            # Then one that is refused may come again after the seconds that it is told, unless it is larger than a day
            assert over.wait >= 1
            again = overrun(key, usage, events, now + over.wait * SECOND)
            assert again is None or (daily is not None and events > daily)

    # Then what was accepted is within the day's limit, and but for the last request within the second's and its burst
    assert daily is None or accepted <= daily
    assert rate is None or accepted - last <= rate * (now - NOW + SECOND) / SECOND + 1


def test_a_refused_request_counts_nothing_and_tells_every_limit_that_it_exceeds() -> None:
    key, usage = limited(10, 25), KeyUsage()
    usage = spend(key, usage, 24, NOW)

    assert overrun(key, usage, 1, NOW) == Overrun(["second"], 2)
    assert overrun(key, usage, 2, NOW) == Overrun(["second", "day"], DAY // SECOND)
    assert overrun(key, usage, 1, NOW + 2 * SECOND) is None
    assert overrun(key, usage, 25, NOW + DAY) is None


def test_a_clock_that_is_set_back_over_midnight_gives_no_day_twice() -> None:
    key = limited(daily=5)
    usage = spend(key, KeyUsage(), 5, NOW)

    assert overrun(key, usage, 1, NOW - 1) is not None


@pytest.mark.parametrize(
    ("rate", "daily", "policy", "remaining"),
    [
        (50.0, None, '"second";q=50;w=1', '"second";r=50;t=1'),
        (50.0, 100_000, '"second";q=50;w=1, "day";q=100000;w=86400', '"second";r=50;t=1, "day";r=100000;t=86400'),
        (None, 7, '"day";q=7;w=86400', '"day";r=7;t=86400'),
        (0.01, None, '"second";q=1;w=100', '"second";r=1;t=1'),
        (2.5, None, '"second";q=2;w=1', '"second";r=2;t=1'),
    ],
)
def test_headers_tell_limits_as_the_draft_writes_them(
    rate: float | None, daily: int | None, policy: str, remaining: str
) -> None:
    told = fields(limited(rate, daily), KeyUsage(), NOW)

    assert told == {"RateLimit-Policy": policy, "RateLimit": remaining}


def test_what_is_left_is_told_in_events() -> None:
    key = limited(50, 100_000)
    usage = spend(key, KeyUsage(), 38, NOW)

    assert fields(key, usage, NOW)["RateLimit"] == '"second";r=12;t=1, "day";r=99962;t=86400'
    usage = spend(key, usage, 200, NOW)
    assert fields(key, usage, NOW)["RateLimit"] == '"second";r=0;t=5, "day";r=99762;t=86400'


def test_a_clock_that_is_behind_the_foremost_has_its_own_day_and_the_rate_of_all() -> None:
    # Given what a clock five seconds ahead has counted just now
    key = limited(10, 25)
    ahead = spend(key, KeyUsage(), 20, NOW + 5 * SECOND)

    # Then another one sees as much left, each second frees a rate's worth, and its count is by the foremost, too
    usage = KeyUsage(ahead.spoken_for, ahead.day, ahead.events, behind=5 * SECOND)
    assert fields(key, usage, NOW)["RateLimit"] == '"second";r=0;t=2, "day";r=5;t=86400'
    assert overrun(key, usage, 1, NOW) == Overrun(["second"], 1)
    assert overrun(key, usage, 1, NOW + SECOND) is None
    assert spend(key, usage, 1, NOW + SECOND) == KeyUsage(ahead.spoken_for + 100_000, ahead.day, 21, 5 * SECOND)
