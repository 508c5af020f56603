"""Ports: what a report makes of one, and what time does."""

from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.clock import HOUR, MINUTE, SECOND
from notifier.domain.stations import (
    HEARD_EVERY,
    SHOWN,
    SILENT_AFTER,
    STABLE,
    Condition,
    Evse,
    EvseStatus,
    count,
    look,
    report,
)

NOON = 1_772_366_400_000


def port(status: EvseStatus = EvseStatus.CHARGING, **others: object) -> Evse:
    """A port of a place, as of noon."""
    fields: dict[str, object] = {
        "id": "NL-TNM-LOC1-1", "location_id": "NL-TNM-LOC1", "uid": "1", "status": status, "since": NOON,
        "last_updated": NOON, "heard_at": NOON,
    }  # fmt: skip
    return Evse(**(fields | others))  # type: ignore[arg-type]


def test_a_newer_report_changes_the_status_and_its_instant() -> None:
    # Given
    before = port()
    # When
    after = report(before, EvseStatus.AVAILABLE, NOON + MINUTE, NOON + MINUTE + SECOND)
    # Then
    assert (after.status, after.since) == (EvseStatus.AVAILABLE, NOON + MINUTE)
    assert after.heard_at == NOON + MINUTE + SECOND


def test_an_older_report_changes_nothing_but_says_that_somebody_is_there() -> None:
    # Given
    before = port()
    # When
    soon = report(before, EvseStatus.AVAILABLE, NOON - 1, NOON + SECOND)
    later = report(before, EvseStatus.AVAILABLE, NOON - 1, NOON + HEARD_EVERY)
    # Then
    assert soon is before
    assert (later.status, later.since, later.heard_at) == (before.status, NOON, NOON + HEARD_EVERY)


def test_the_later_of_two_reports_of_one_instant_counts() -> None:
    # Given
    before = port()
    # When
    after = report(before, EvseStatus.OUTOFORDER, NOON, NOON)
    # Then
    assert after.status == EvseStatus.OUTOFORDER


def test_a_repeat_is_no_news() -> None:
    assert report(port(), EvseStatus.CHARGING, NOON, NOON + SECOND) == port()


def test_an_instant_ahead_of_our_clock_is_not_believed() -> None:
    # When
    after = report(port(), EvseStatus.AVAILABLE, NOON + HOUR, NOON + SECOND)
    # Then
    assert after.since == NOON + SECOND


def test_an_availability_counts_once_it_has_lasted() -> None:
    # Given
    free = report(port(), EvseStatus.AVAILABLE, NOON, NOON)
    # When
    early, in_time = look(free, NOON + STABLE - 1), look(free, NOON + STABLE)
    # Then
    assert early is free
    assert (in_time.settled, in_time.epoch) == (True, 1)


def test_a_plug_that_is_put_back_frees_nothing() -> None:
    # Given
    free = report(port(), EvseStatus.AVAILABLE, NOON, NOON)
    back = report(free, EvseStatus.CHARGING, NOON + 10 * SECOND, NOON + 10 * SECOND)
    # When
    later = look(back, NOON + HOUR - 1)
    # Then
    assert later.epoch == 0


def test_who_says_nothing_is_unknown_and_known_again_as_soon_as_it_speaks() -> None:
    # Given
    before = port(source="ocpp")
    # When
    silent = look(before, NOON + SILENT_AFTER["ocpp"])
    again = report(silent, EvseStatus.CHARGING, NOON, NOON + 2 * HOUR)
    # Then
    assert silent.condition == Condition.UNKNOWN
    assert again.condition == Condition.BUSY


def test_planned_and_removed_ports_are_not_counted() -> None:
    # Given
    ports = [port(status) for status in EvseStatus]
    # When
    counted = count(each.condition for each in ports)
    # Then
    assert counted.shown == len(SHOWN)
    assert (counted.free, counted.busy, counted.out_of_order) == (1, 2, 2)


reports = st.lists(
    st.tuples(st.sampled_from(EvseStatus), st.integers(0, 20 * MINUTE), st.integers(0, 20 * MINUTE)), max_size=30
)


@given(reports)
def test_an_epoch_begins_only_after_a_whole_stable_time_of_availability(
    told: list[tuple[EvseStatus, int, int]],
) -> None:
    # Given
    now, state = NOON, port()
    # When
    for status, after, pause in told:
        now += pause
        looked = look(state, now)
        # Then
        assert looked.epoch - state.epoch in (0, 1)
        if looked.epoch > state.epoch:
            assert state.status == EvseStatus.AVAILABLE
            assert now - state.since >= STABLE
        state = report(looked, status, NOON + after, now)
        assert state.since <= now
        assert state.last_updated >= looked.last_updated


@given(reports)
def test_what_is_repeated_changes_nothing(told: list[tuple[EvseStatus, int, int]]) -> None:
    # Given
    state = port(heard_at=NOON + HOUR)
    for status, after, _ in told:
        state = report(state, status, NOON + after, NOON + HOUR)
    # When
    again = report(state, state.status, state.last_updated, NOON + HOUR)
    # Then
    assert again == state
