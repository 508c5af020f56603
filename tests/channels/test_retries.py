"""Pauses: between a floor and a ceiling, never sooner than asked for, and spread over what lies between."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.channels.email import codes as email
from notifier.channels.push import codes as push
from notifier.channels.sms import codes as sms
from notifier.domain.clock import HOUR, MINUTE, SECOND
from notifier.providers.retries import LONGEST, Duration, Retry

RETRY = Retry(least=Duration(10 * SECOND), first=Duration(20 * SECOND), factor=2, most=Duration(5 * MINUTE), attempts=6)
DICE = Random(1)  # noqa: S311 (repeatable, not secret)
EVERY = [retry for channel in (push, sms, email) for retry in channel.CODES.retry.values()]


@given(
    st.sampled_from(EVERY),
    st.integers(1, 100_000),
    st.none() | st.floats(0, 1e12, allow_nan=False),
    st.randoms(use_true_random=False),
)
def test_a_pause_is_never_shorter_than_its_floor_nor_longer_than_its_ceiling_on_top(
    retry: Retry, tries: int, asked: float | None, dice: Random
) -> None:
    floor = max(retry.least, min((asked or 0) * 1000, LONGEST))

    assert floor - 1 <= retry.pause(tries, asked, dice) <= floor + retry.most + 1


def test_the_random_part_doubles_up_to_the_most() -> None:
    longest = [max(RETRY.pause(tries, None, DICE) for _ in range(2000)) for tries in range(1, 8)]

    expected = [20, 40, 80, 160, 300, 300, 300]
    assert [round((pause - RETRY.least) / SECOND) for pause in longest] == pytest.approx(expected, rel=0.02)


def test_what_failed_together_comes_back_apart() -> None:
    pauses = [RETRY.pause(1, None, DICE) for _ in range(1000)]

    # Then any two seconds of the twenty get about a tenth
    for start in range(10, 30, 2):
        assert 60 < sum(start * SECOND <= pause < (start + 2) * SECOND for pause in pauses) < 140


def test_what_the_provider_asks_for_is_a_floor_too() -> None:
    assert min(RETRY.pause(1, 60.0, DICE) for _ in range(100)) >= 60 * SECOND
    assert min(RETRY.pause(1, 1.0, DICE) for _ in range(100)) >= 10 * SECOND


def test_tries_are_counted_unless_nothing_was_asked() -> None:
    assert not RETRY.exhausted(5)
    assert RETRY.exhausted(6)
    assert not push.CODES.retry["deferred"].exhausted(1_000_000)


def test_fcm_is_given_up_after_about_an_hour_as_google_advises() -> None:
    unavailable = push.CODES.retry["unavailable"]
    assert unavailable.attempts is not None

    waits = [sum(unavailable.pause(n, None, DICE) for n in range(1, unavailable.attempts)) for _ in range(100)]

    assert 40 * MINUTE < sum(waits) / len(waits) < 90 * MINUTE
    assert max(waits) < 3 * HOUR
