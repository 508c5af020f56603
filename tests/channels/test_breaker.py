"""The breaker: opens on failures, lets a few probes through after a rest, and closes when they come well through."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from notifier.domain.clock import MINUTE, SECOND, ManualClock
from notifier.providers.breaker import (
    IN_A_ROW,
    LEAST,
    PROBE_PAUSE,
    PROBES,
    RESTS,
    WINDOW,
    Breaker,
    BreakerState,
    Outcome,
)

FAILURES: list[Outcome] = ["unavailable", "unknown", "misconfigured"]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_000_000)


@pytest.fixture
def breaker(clock: ManualClock) -> Breaker:
    return Breaker(clock)


def call(breaker: Breaker, outcome: Outcome, times: int = 1) -> int:
    """So many calls one after the other; for how long the last one opened the breaker."""
    opened = 0
    for _ in range(times):
        opened = breaker.end(breaker.begin(), outcome)
    return opened


@pytest.mark.parametrize("outcome", FAILURES)
def test_it_opens_after_so_many_failures_in_a_row_for_as_long_as_their_kind_asks(
    breaker: Breaker, clock: ManualClock, outcome: Outcome
) -> None:
    # Given a provider that fails, however slowly
    for _ in range(IN_A_ROW - 1):
        assert call(breaker, outcome) == 0
        clock.advance(10 * MINUTE)

    # When it fails once more
    assert call(breaker, outcome) == RESTS[outcome]

    # Then it is left alone
    assert (breaker.state, breaker.rest(), breaker.up_for) == (BreakerState.OPEN, RESTS[outcome], 0)
    clock.advance(RESTS[outcome] - 1)
    assert breaker.rest() == 1


def test_a_success_between_failures_keeps_it_closed(breaker: Breaker) -> None:
    for _ in range(LEAST):
        call(breaker, "good", 2)
        call(breaker, "unavailable")

    assert breaker.state == BreakerState.CLOSED


def test_it_opens_when_half_of_many_fail(breaker: Breaker) -> None:
    opened = [call(breaker, outcome) for _ in range(LEAST) for outcome in ("good", "unavailable")]

    assert [bool(each) for each in opened].index(True) == LEAST - 1


def test_old_failures_are_forgotten(breaker: Breaker, clock: ManualClock) -> None:
    # Given failures, nearly enough
    call(breaker, "good")
    call(breaker, "unavailable", IN_A_ROW - 1)

    # When a window passes, then as many again with a success among them don't open it
    clock.advance(WINDOW)
    call(breaker, "good")
    assert call(breaker, "unavailable", IN_A_ROW - 1) == 0
    clock.advance(WINDOW // 2)
    call(breaker, "good")

    # But those of the half before still count
    assert call(breaker, "unavailable", IN_A_ROW - 1) == RESTS["unavailable"]


def test_what_says_nothing_of_the_provider_counts_neither_way(breaker: Breaker) -> None:
    call(breaker, "unavailable", IN_A_ROW - 1)
    call(breaker, "neither", 100)

    assert breaker.state == BreakerState.CLOSED
    assert call(breaker, "unavailable") > 0


def test_after_its_rest_a_few_probes_go_through_and_close_it(breaker: Breaker, clock: ManualClock) -> None:
    # Given an open breaker whose rest is over
    call(breaker, "unavailable", IN_A_ROW)
    clock.advance(RESTS["unavailable"])
    assert (breaker.state, breaker.rest()) == (BreakerState.HALF_OPEN, 0)

    # When probes go out, then nobody else does
    probes = [breaker.begin() for _ in range(PROBES)]
    assert breaker.rest() == PROBE_PAUSE

    # And when all of them come through, then it is closed
    for probe in probes:
        assert breaker.state == BreakerState.HALF_OPEN
        breaker.end(probe, "good")
    assert (breaker.state, breaker.rest(), breaker.up_for) == (BreakerState.CLOSED, 0, 0)
    clock.advance(SECOND)
    assert breaker.up_for == SECOND


def test_one_probe_that_fails_opens_it_again(breaker: Breaker, clock: ManualClock) -> None:
    call(breaker, "unavailable", IN_A_ROW)
    clock.advance(RESTS["unavailable"])
    probes = [breaker.begin() for _ in range(PROBES)]
    breaker.end(probes[0], "good")

    assert breaker.end(probes[1], "unknown") == RESTS["unknown"]

    # And the third probe's outcome changes nothing any more
    assert breaker.end(probes[2], "good") == 0
    assert (breaker.state, breaker.rest()) == (BreakerState.OPEN, RESTS["unknown"])


def test_a_probe_that_says_nothing_gives_its_place_to_another(breaker: Breaker, clock: ManualClock) -> None:
    call(breaker, "unavailable", IN_A_ROW)
    clock.advance(RESTS["unavailable"])
    probes = [breaker.begin() for _ in range(PROBES)]

    breaker.end(probes[0], "neither")

    assert (breaker.state, breaker.rest()) == (BreakerState.HALF_OPEN, 0)


def test_calls_from_before_it_opened_say_nothing_of_it_now(breaker: Breaker, clock: ManualClock) -> None:
    # Given calls under way when it opened
    before = [breaker.begin() for _ in range(100)]
    call(breaker, "unavailable", IN_A_ROW)
    clock.advance(RESTS["unavailable"])

    # When they end while it is half-open
    for each in before:
        assert breaker.end(each, "unavailable") == 0
        breaker.end(each, "good")

    # Then it still is
    assert (breaker.state, breaker.rest()) == (BreakerState.HALF_OPEN, 0)


def test_what_the_provider_asks_for_is_kept_to_and_then_all_may_go(breaker: Breaker, clock: ManualClock) -> None:
    breaker.leave_alone(30 * SECOND, tripped=False)
    breaker.leave_alone(10 * SECOND, tripped=False)

    assert (breaker.state, breaker.rest()) == (BreakerState.OPEN, 30 * SECOND)
    clock.advance(30 * SECOND)
    assert (breaker.state, breaker.rest()) == (BreakerState.CLOSED, 0)


class Provider(RuleBasedStateMachine):
    """Any sequence of calls, outcomes, wishes and time, held against what was promised."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock(1_000_000)
        self.breaker = Breaker(self.clock)
        self.under_way: list[int] = []
        self.no_call_before = 0
        self.probing: list[int] | None = None

    @rule(milliseconds=st.integers(0, 2 * MINUTE))
    def time_passes(self, milliseconds: int) -> None:
        self.clock.advance(milliseconds)

    @precondition(lambda self: self.breaker.rest() == 0)
    @rule()
    def call_begins(self) -> None:
        assert self.clock.now() >= self.no_call_before
        self.under_way.append(self.breaker.begin())
        if self.probing is not None:
            self.probing.append(self.under_way[-1])
            assert len(self.probing) <= PROBES

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), outcome=st.sampled_from([*FAILURES, "good", "neither"]))
    def call_ends(self, data: st.DataObject, outcome: Outcome) -> None:
        began = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        before = self.breaker.state
        opened = self.breaker.end(began, outcome)
        if self.probing is not None and began in self.probing and outcome == "neither":
            self.probing.remove(began)
        if opened:
            assert outcome in RESTS
            assert self.breaker.state == BreakerState.OPEN
            self.no_call_before = max(self.no_call_before, self.clock.now() + opened)
            self.probing = []
        if before != BreakerState.CLOSED and self.breaker.up_for == 0 and self.breaker.state == BreakerState.CLOSED:
            self.probing = None

    @rule(milliseconds=st.integers(1, MINUTE), tripped=st.booleans())
    def others_say_so(self, milliseconds: int, tripped: bool) -> None:
        self.breaker.leave_alone(milliseconds, tripped=tripped)
        self.no_call_before = max(self.no_call_before, self.clock.now() + milliseconds)
        if tripped:
            self.probing = []

    @invariant()
    def it_rests_exactly_as_long_as_it_must(self) -> None:
        left = self.no_call_before - self.clock.now()
        assert (self.breaker.rest() >= left) if left > 0 else (self.breaker.rest() in (0, PROBE_PAUSE))
        assert (self.breaker.state == BreakerState.OPEN) == (left > 0)


TestAnyProvider = Provider.TestCase
