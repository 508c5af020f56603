"""Sessions as stations tell of them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.ocpp.sessions import MOST, StationState
from tests.ocpp.conftest import answered, event, moved, reading, start, status, stop, told

WHOLE = [
    start(), answered(), reading("7000", "55", transactionId=7), status("SuspendedEV"), stop(),
    status("Available", "2026-03-09T18:31:00Z"),
]  # fmt: skip
"""A session of 1.6 from the start to the end."""
WHOLE_201 = [
    event("Started", 0, "2026-03-09T17:00:00Z", "EVConnected", evse={"id": 2}),
    event("Updated", 1, "2026-03-09T17:01:00Z", "EVConnected", idToken={"idToken": "AA11", "type": "ISO14443"}),
    event("Updated", 2, "2026-03-09T17:02:00Z", "Charging", energy=500.0),
    event("Updated", 3, "2026-03-09T17:50:00Z", "SuspendedEV", energy=9500.0),
    event("Ended", 4, "2026-03-09T18:30:00Z", reason="EVDisconnected", energy=9500.0),
]
"""A session of 2.0.1, likewise."""


def types(*frames: list[Any]) -> list[str]:
    return [fact.type for fact in told(*frames)]


@pytest.mark.parametrize("frames", [WHOLE, WHOLE_201], ids=["1.6", "2.0.1"])
def test_a_session_is_told_from_its_start_to_its_end(frames: list[Any]) -> None:
    assert types(*frames) == ["session.started", "charging.complete", "session.ended"]


def test_what_is_told_has_the_energy_the_times_and_the_token() -> None:
    # When
    started, complete, ended = told(*WHOLE)
    # Then
    assert started.session.token == complete.session.token == "DE8ACC12E46L89"
    assert started.data == {"started_at": "2026-03-09T17:00:00Z"}
    assert complete.data == {"kind": "ended", "energy_kwh": 6.0, "completed_at": "2026-03-09T18:00:00Z"}
    assert ended.data == {"energy_kwh": 12.0, "ended_at": "2026-03-09T18:30:00Z"}
    assert {each.session.id for each in (started, complete, ended)} == {started.session.id}


def test_a_session_of_2_0_1_begins_once_it_is_known_whose_it_is() -> None:
    # When
    started, complete, ended = told(*WHOLE_201)
    # Then
    assert (started.session.token, started.session.port) == ("AA11", 2)
    assert complete.data["energy_kwh"] == 9.0
    assert ended.data["energy_kwh"] == 9.0


@pytest.mark.parametrize(("soc", "kind"), [("99", "full"), ("100", "full"), ("45", "ended"), (None, "ended")])
def test_a_battery_is_full_where_the_car_says_so(soc: str | None, kind: str) -> None:
    _, complete = told(start(), answered(), reading("9000", soc), status("SuspendedEV"))
    assert complete.data["kind"] == kind


@pytest.mark.parametrize("reason", ["SOCLimitReached", "EnergyLimitReached"])
def test_a_limit_is_what_the_driver_wanted(reason: str) -> None:
    facts = told(*WHOLE_201[:3], event("Ended", 3, "2026-03-09T17:50:00Z", reason=reason, energy=9500.0))
    assert [fact.type for fact in facts] == ["session.started", "charging.complete", "session.ended"]
    assert facts[1].data["kind"] == "limit_reached"


def test_a_car_that_took_no_energy_has_not_been_charged() -> None:
    assert types(start(), answered(), status("SuspendedEV")) == ["session.started"]


def test_a_fault_interrupts_and_charging_goes_on_as_often_as_it_happens() -> None:
    # When
    facts = told(
        start(), answered(), status("Faulted", "2026-03-09T17:10:00Z"), status("Faulted", "2026-03-09T17:11:00Z"),
        status("Charging", "2026-03-09T17:12:00Z"), status("Faulted", "2026-03-09T17:20:00Z"),
    )  # fmt: skip
    # Then
    assert [(fact.type, fact.at) for fact in facts[1:]] == [
        ("charging.interrupted", 1_773_076_200_000),
        ("charging.resumed", 1_773_076_320_000),
        ("charging.interrupted", 1_773_076_800_000),
    ]


def test_without_the_answer_a_session_goes_by_its_connector() -> None:
    # Given two ports, and nobody forwards results
    frames = [start(), start(2, connectorId=2, idTag="B"), reading("2000"), reading("5000", connectorId=2)]
    # When
    facts = told(*frames, status("Finishing", connector=2))
    # Then
    assert [(fact.session.token, fact.data.get("energy_kwh")) for fact in facts[2:]] == [("B", 4.0)]


def test_a_stop_that_might_be_of_two_sessions_ends_none() -> None:
    assert types(start(), start(2, connectorId=2, idTag="B"), stop(99)) == ["session.started"] * 2
    assert types(start(), stop(99)) == ["session.started", "session.ended"]


def test_whose_a_session_was_is_forgotten_with_its_end() -> None:
    state, _ = moved(StationState(), *WHOLE)
    assert [(each.ended, each.token) for each in state.sessions] == [(True, None)]


def test_a_status_of_before_the_session_says_nothing_of_it() -> None:
    assert types(start(), answered(), reading("9000"), status("SuspendedEV", "2026-03-09T16:00:00Z")) == [
        "session.started"
    ]


def test_an_event_that_comes_late_does_not_undo_what_came_after_it() -> None:
    # Given a car that suspended and went on, whose first message comes last
    first, _, charging, suspended, ended = WHOLE_201
    late = [first, charging, event("Updated", 5, "2026-03-09T18:00:00Z", "Charging", energy=9700.0), suspended]
    # Then
    assert types(*late) == ["session.started"]
    assert types(*late, ended) == ["session.started", "session.ended"]


def test_of_a_station_so_many_sessions_are_kept_and_those_that_are_open_longest() -> None:
    # Given one that is open and many that came and went
    state, _ = moved(StationState(), start())
    for number in range(2, 2 * MOST):
        began = f"2026-03-{10 + number // 24:02}T{number % 24:02}:00:00Z"
        again = [start(number, began, connectorId=2), answered(number, number + 100), stop(number + 100)]
        state, _ = moved(state, *again)
    # Then
    assert len(state.sessions) == MOST
    assert [each.port for each in state.sessions if not each.ended] == [1]


@pytest.mark.parametrize("frames", [WHOLE, WHOLE_201], ids=["1.6", "2.0.1"])
@given(data=st.data())
def test_what_a_station_repeats_changes_nothing(frames: list[Any], data: st.DataObject) -> None:
    # Given each frame, and after it any that came before once more
    repeated = []
    for number, frame in enumerate(frames):
        repeated.append(frame)
        repeated += data.draw(st.lists(st.sampled_from(frames[: number + 1]), max_size=4))
    # Then
    assert types(*repeated) == types(*frames)


@given(st.permutations([*WHOLE_201, *WHOLE_201]))
def test_in_whatever_order_frames_come_each_fact_is_told_once_and_nothing_after_the_end(frames: list[Any]) -> None:
    # When
    found = types(*frames)
    # Then
    assert len(found) == len(set(found))
    assert found.index("session.ended") == len(found) - 1
