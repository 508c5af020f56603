"""Whatever order a session's updates come in, and however often: each event once, and the newest state at the end."""

from collections.abc import Iterable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.ocpi.events import OcpiObjectId
from notifier.ocpi.sessions import SessionUpdate, StoredSession, patch, put

IDS = OcpiObjectId("BE", "BEC", "S1")

TOKEN = {"country_code": "NL", "party_id": "TST", "uid": "1", "type": "RFID", "contract_id": "NL-TST-C1-S"}
SESSION: dict[str, Any] = {
    "country_code": "BE",
    "party_id": "BEC",
    "id": "S1",
    "start_date_time": "2026-01-01T00:00:00Z",
    "kwh": 0,
    "cdr_token": TOKEN,
    "auth_method": "WHITELIST",
    "location_id": "LOC1",
    "evse_uid": "1",
    "connector_id": "1",
    "currency": "EUR",
    "status": "PENDING",
}

Update = tuple[bool, dict[str, Any]]
"""Whether it is a PUT of everything, and its body."""


def clock(minute: int) -> str:
    return f"2026-01-01T{minute // 60:02}:{minute % 60:02}:00Z"


@st.composite
def histories(draw: st.DrawFn, *, whole: bool) -> list[Update]:
    """A session's life as its peer tells it: a PUT, then PUTs and PATCHes (only PUTs where `whole`), each a minute on.

    The status moves as it likes: what comes in is not ours to trust.
    """
    state: dict[str, Any] = SESSION | {"charging_periods": [], "last_updated": clock(0)}
    updates = [(True, state)]
    for minute in range(1, draw(st.integers(1, 8))):
        changes: dict[str, Any] = {"last_updated": clock(minute)}
        if draw(st.booleans()):
            changes["status"] = draw(st.sampled_from(["PENDING", "ACTIVE", "ACTIVE", "ACTIVE", "COMPLETED", "INVALID"]))
        dimension = draw(st.sampled_from(["ENERGY", "PARKING_TIME", None]))
        if dimension == "ENERGY":
            changes["kwh"] = state["kwh"] + 1
        added = (
            [{"start_date_time": clock(minute), "dimensions": [{"type": dimension, "volume": 1}]}] if dimension else []
        )
        state = state | changes | {"charging_periods": state["charging_periods"] + added}
        is_put = whole or draw(st.booleans())
        updates.append((is_put, state if is_put else changes | ({"charging_periods": added} if added else {})))
    return updates


def deliver(updates: Iterable[Update]) -> tuple[StoredSession, list[SessionUpdate]]:
    stored: StoredSession | None = None
    changes = []
    for is_put, body in updates:
        if stored is None and not is_put:
            continue  # the peer is told that the session is unknown
        change = put(stored, IDS, body) if is_put else patch(stored, IDS, body)
        stored = change.stored
        changes.append(change)
    assert stored is not None
    return stored, changes


def told(changes: Iterable[SessionUpdate]) -> list[str]:
    return [event.type for change in changes for event in change.events]


@settings(max_examples=150)
@given(histories(whole=True), st.data())
def test_any_order_and_repetition_of_puts_ends_in_the_newest_state(history: list[Update], data: st.DataObject) -> None:
    # Given a history, when its updates come shuffled and some twice
    repeats = data.draw(st.lists(st.sampled_from(history)))
    stored, changes = deliver(data.draw(st.permutations(history + repeats)))
    # Then the end is the last update, and nothing was told twice
    assert stored.session == deliver(history[-1:])[0].session
    assert len(told(changes)) == len(set(told(changes)))
    assert list(stored.told) == told(changes)


@settings(max_examples=150)
@given(histories(whole=False), st.data())
def test_repeats_anywhere_later_change_nothing(history: list[Update], data: st.DataObject) -> None:
    # Given a history in its order, when earlier updates come again between later ones
    woven = [
        each
        for index, update in enumerate(history)
        for each in (update, *data.draw(st.lists(st.sampled_from(history[: index + 1]), max_size=3)))
    ]
    # Then state and events are those of the history alone
    (stored, changes), (plain, once) = deliver(woven), deliver(history)
    assert stored == plain
    assert [event for change in changes for event in change.events] == [e for change in once for e in change.events]


@settings(max_examples=150)
@given(histories(whole=False), st.data())
def test_no_order_of_puts_and_patches_tells_an_event_twice_or_after_the_end(
    history: list[Update], data: st.DataObject
) -> None:
    # Given the worst: PATCHes that overtake the PUTs they build on
    repeats = data.draw(st.lists(st.sampled_from(history)))
    first_put, *_ = history
    stored, changes = deliver([first_put, *data.draw(st.permutations(history + repeats))])
    events = told(changes)
    # Then each event is told at most once, the end is the last, and what is stored carries the newest time
    assert len(events) == len(set(events))
    assert "session.ended" not in events[:-1]
    assert stored.session["last_updated"] == history[-1][1]["last_updated"]


@given(st.permutations(["kwh", "total_cost", "charging_periods", "meter_id"]), st.data())
def test_patches_within_one_second_are_all_taken_however_often_they_come(order: list[str], data: st.DataObject) -> None:
    # Given a session, and PATCHes of the same second that each tell something else
    second = {"last_updated": clock(1)}
    said: dict[str, Any] = {
        "kwh": 7.0,
        "total_cost": {"excl_vat": 2.0},
        "charging_periods": [{"start_date_time": clock(0), "dimensions": [{"type": "ENERGY", "volume": 7}]}],
        "meter_id": "M1",
    }
    repeats = data.draw(st.lists(st.sampled_from(order)))
    first = (True, SESSION | {"status": "ACTIVE", "charging_periods": [], "last_updated": clock(0)})

    # When they come in any order, and some again
    stored, changes = deliver([first, *((False, second | {name: said[name]}) for name in order + repeats)])

    # Then nothing of any is lost, and what came again changed nothing
    assert {name: stored.session[name] for name in said} == said
    assert [change.dropped for change in changes] == [None] * (1 + len(order)) + ["repeat"] * len(repeats)
