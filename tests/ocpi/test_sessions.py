"""A session's way from its first PUT to its end, and what is told on it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from notifier.domain.catalog_files import load_catalog
from notifier.domain.clock import to_datetime
from notifier.ocpi.events import OcpiObjectId
from notifier.ocpi.objects import OcpiInvalid
from notifier.ocpi.sessions import MAX_PERIODS, SessionUpdate, StoredSession, UnknownSession, patch, put

Example = Callable[[str], dict[str, Any]]

IDS = OcpiObjectId("NL", "STK", "101")
TEMPLATES = Path(__file__).parents[2] / "templates"


@pytest.fixture
def active(example: Example) -> dict[str, Any]:
    """The official session that has just started, gone from PENDING to ACTIVE."""
    return example("session_example_1_simple_start") | {"status": "ACTIVE"}


def at(clock: str, **changes: Any) -> dict[str, Any]:
    return changes | {"last_updated": f"2020-03-09T{clock}Z"}


def period(clock: str, **volumes: float) -> dict[str, Any]:
    dimensions = [{"type": name, "volume": volume} for name, volume in volumes.items()]
    return {"start_date_time": f"2020-03-09T{clock}Z", "dimensions": dimensions}


def types(change: SessionUpdate) -> list[str]:
    return [event.type for event in change.events]


def test_a_pending_session_starts_nothing(example: Example) -> None:
    change = put(None, IDS, example("session_example_1_simple_start"))
    assert (change.events, change.dropped) == ([], None)


@pytest.mark.parametrize("status", ["PENDING", "RESERVATION"])
def test_a_session_is_started_once_when_it_becomes_active(active: dict[str, Any], status: str) -> None:
    # Given a session that waits
    waiting = put(None, IDS, active | {"status": status}).stored
    # When it becomes active, is updated, and falls back and rises again
    started = patch(waiting, IDS, at("10:20:00", status="ACTIVE", start_date_time="2020-03-09T10:19:58Z"))
    updated = patch(started.stored, IDS, at("10:30:00", kwh=3.5))
    fallen = patch(updated.stored, IDS, at("10:31:00", status="PENDING"))
    risen = patch(fallen.stored, IDS, at("10:32:00", status="ACTIVE"))
    # Then only the first tells it
    assert [types(change) for change in (started, updated, fallen, risen)] == [["session.started"], [], [], []]
    (event,) = started.events
    assert (event.source, event.subject) == ("ocpi/NL/STK", "session/NL/STK/101")
    assert to_datetime(event.time).isoformat() == "2020-03-09T10:20:00+00:00"
    assert event.data == {
        "session_id": "NL-STK-101",
        "token": "NL-TST-C12345678-S",
        "station": "LOC1",
        "started_at": "2020-03-09T10:19:58Z",
    }


def test_the_official_finished_session_only_ends(example: Example) -> None:
    # Given a session that we first hear of when it is over
    change = put(None, OcpiObjectId("BE", "BEC", "101"), example("session_example_2_short_finished"))
    # Then nobody is told to move a car that has left
    assert types(change) == ["session.ended"]
    assert change.events[0].data["session_id"] == "BE-BEC-101"


def test_both_official_patches_apply_onto_a_session(shared_data: Path, active: dict[str, Any]) -> None:
    # Given a session of their day with one charging period
    first = {"start_date_time": "2019-06-23T08:00:00Z", "dimensions": [{"type": "ENERGY", "volume": 1.2}]}
    body = active | {"last_updated": "2019-06-23T08:00:00Z", "charging_periods": [first]}
    stored = put(None, IDS, body).stored
    # When the official PATCH bodies come, verbatim, in the order of their time
    for name in ("session_patch_example_total_cost", "session_patch_example_charging_period"):
        change = patch(stored, IDS, (shared_data / "ocpi-2.2.1" / f"{name}.json").read_bytes())
        assert change.dropped is None
        stored = change.stored
    # Then the period is added, cost and energy are replaced, the rest is as it was
    assert [each["dimensions"][0]["volume"] for each in stored.session["charging_periods"]] == [1.2, 2200]
    assert stored.session["total_cost"] == {"excl_vat": 0.80, "incl_vat": 0.88}
    assert (stored.session["kwh"], stored.session["location_id"]) == (15.0, "LOC1")


def test_a_car_that_parks_after_charging_is_complete_once(active: dict[str, Any]) -> None:
    # Given a session that charges
    stored = put(None, IDS, active).stored
    charging = patch(stored, IDS, at("11:00:00", kwh=9.5, charging_periods=[period("10:17:09", ENERGY=9.5)]))
    # When parking periods are added, the second because the price changes
    cost = {"excl_vat": 4.0, "incl_vat": 4.4}
    parks = [period("11:10:00", PARKING_TIME=0.1), period("11:20:00", PARKING_TIME=0.0)]
    full = patch(charging.stored, IDS, at("11:21:00", total_cost=cost, charging_periods=parks))
    again = patch(full.stored, IDS, at("11:30:00", charging_periods=[period("11:30:00", PARKING_TIME=0.2)]))
    # Then it is told once, as of the first
    assert [types(change) for change in (charging, full, again)] == [[], ["charging.complete"], []]
    assert full.events[0].data == {
        "session_id": "NL-STK-101",
        "token": "NL-TST-C12345678-S",
        "station": "LOC1",
        "kind": "ended",
        "energy_kwh": 9.5,
        "completed_at": "2020-03-09T11:10:00Z",
        "cost": {"amount": 4.4, "currency": "EUR"},
    }


@pytest.mark.parametrize(
    ("kwh", "periods"),
    [
        (0.0, [period("10:17:09", PARKING_TIME=0.5)]),  # waits for its first energy
        (5.0, [period("10:17:09", PARKING_TIME=0.5), period("10:47:09", ENERGY=5)]),  # waited, and charges now
        (5.0, [period("10:17:09", ENERGY=5, TIME=0.7, PARKING_TIME=0.0)]),  # a peer that tells every dimension
        (5.0, [period("10:17:09", ENERGY=5), period("11:00:00", ENERGY=0, TIME=0, PARKING_TIME=0)]),  # a price changes
        (5.0, [period("10:17:09", ENERGY=5, TIME=0.5, PARKING_TIME=0.5)]),  # one period for all: who knows the order?
        (5.0, []),
    ],
)
def test_parking_that_is_not_the_end_of_charging_tells_nothing(
    active: dict[str, Any], kwh: float, periods: list[dict[str, Any]]
) -> None:
    change = put(None, IDS, active | {"kwh": kwh, "charging_periods": periods})
    assert types(change) == ["session.started"]


@pytest.mark.parametrize(
    ("levels", "kind"),
    [
        ([], "ended"),  # most peers tell none
        ([45], "ended"),  # a limit, or a station that gave up
        ([100], "full"),
        ([100, 45], "ended"),  # the newest counts
        ([45, 100], "full"),
    ],
)
def test_a_car_is_full_only_where_its_battery_says_so(active: dict[str, Any], levels: list[int], kind: str) -> None:
    # Given a session whose periods tell the battery's level, or don't
    charged = [period(f"10:2{n}:00", ENERGY=4, STATE_OF_CHARGE=level) for n, level in enumerate(levels)]
    periods = [period("10:17:09", ENERGY=4), *charged, period("11:00:00", PARKING_TIME=0.1)]

    # When the car parks
    (_, complete) = put(None, IDS, active | {"kwh": 9.0, "charging_periods": periods}).events

    # Then nothing is said that nobody knows
    assert complete.data["kind"] == kind


@pytest.mark.parametrize("status", ["COMPLETED", "INVALID"])
def test_after_the_end_nothing_more_is_told(active: dict[str, Any], status: str) -> None:
    # Given a session that ends with the very update that tells its parking
    stored = put(None, IDS, active).stored
    parked = [period("10:17:09", ENERGY=9), period("11:00:00", PARKING_TIME=1)]
    ended = patch(stored, IDS, at("12:00:00", status=status, kwh=9, charging_periods=parked))
    # When its peer brings it back to life
    revived = patch(ended.stored, IDS, at("12:05:00", status="ACTIVE"))
    # Then only its end was told: nobody is asked to move a car that left
    assert [types(change) for change in (ended, revived)] == [["session.ended"], []]


def test_older_updates_are_stale_and_equal_ones_repeats(active: dict[str, Any]) -> None:
    stored = put(None, IDS, active | at("11:00:00", kwh=5)).stored
    for update, body, reason in (
        (put, active | at("10:59:59.999", kwh=1), "stale"),
        (put, active | at("11:00:00", kwh=5), "repeat"),
        (put, active | at("11:00:00", kwh=5, status="PENDING"), "stale"),
        (patch, at("10:30:00", kwh=1), "stale"),
        (patch, at("11:00:00", kwh=5), "repeat"),
    ):
        change = update(stored, IDS, body)
        assert (change.stored, change.events, change.dropped) == (stored, [], reason)


def test_a_session_that_ends_within_the_second_of_its_last_reading_is_not_left_open(active: dict[str, Any]) -> None:
    # Given a peer that counts in seconds
    stored = put(None, IDS, active).stored
    reading = patch(stored, IDS, at("11:00:00", kwh=9))
    # When the end comes with the same last_updated, and the reading comes again
    ended = patch(reading.stored, IDS, at("11:00:00", status="COMPLETED"))
    again = put(ended.stored, IDS, active | at("11:00:00", kwh=9))
    # Then the end counts
    assert (types(ended), ended.stored.session["status"]) == (["session.ended"], "COMPLETED")
    assert again.dropped == "stale"


def test_a_repeat_derives_the_same_event_ids(active: dict[str, Any]) -> None:
    # Given an update whose outcome was lost before it was stored
    lost, again = (put(None, IDS, active), put(None, OcpiObjectId("nl", "stk", "101"), json.dumps(active).encode()))
    assert lost == again
    # And another session, or another instant, has other ids
    others = [
        put(None, IDS._replace(id="102"), active | {"id": "102"}),
        put(None, IDS, active | at("10:17:10")),
    ]
    assert len({change.events[0].id for change in (lost, *others)}) == 3


def test_a_patch_needs_a_session_and_its_time(active: dict[str, Any]) -> None:
    stored = put(None, IDS, active).stored
    with pytest.raises(UnknownSession):
        patch(None, IDS, at("11:00:00", kwh=5))
    with pytest.raises(OcpiInvalid) as refused:
        patch(stored, IDS, {"kwh": 5})
    assert refused.value.pointer == "/last_updated"


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"kwh": "5"}, "/kwh"),
        ({"status": "DONE"}, "/status"),
        ({"currency": None}, "/currency"),
        ({"id": "102"}, "/id"),
        ({"charging_periods": [{"dimensions": []}]}, "/charging_periods/0/dimensions"),
        ({"last_updated": "11:00"}, "/last_updated"),
    ],
)
def test_a_broken_patch_names_its_own_member(active: dict[str, Any], changes: dict[str, Any], pointer: str) -> None:
    # Given a session that already has charging periods
    stored = put(None, IDS, active | {"charging_periods": [period("10:17:09", ENERGY=1)] * 3}).stored
    with pytest.raises(OcpiInvalid) as refused:
        patch(stored, IDS, at("11:00:00") | changes)
    assert refused.value.pointer == pointer


@pytest.mark.parametrize(
    ("ids", "pointer"),
    [
        (OcpiObjectId("DE", "STK", "101"), "/country_code"),
        (OcpiObjectId("NL", "XXX", "101"), "/party_id"),
        (OcpiObjectId("NL", "STK", "1010"), "/id"),
        (OcpiObjectId("NLD", "STK", "101"), "/country_code"),
        (OcpiObjectId("NL", "S/K", "101"), "/party_id"),
        (OcpiObjectId("NL", "STK", ""), "/id"),
    ],
)
def test_a_body_must_have_the_ids_of_its_url(active: dict[str, Any], ids: OcpiObjectId, pointer: str) -> None:
    with pytest.raises(OcpiInvalid) as refused:
        put(None, ids, active)
    assert refused.value.pointer == pointer


def test_ids_know_no_case(active: dict[str, Any]) -> None:
    change = put(None, OcpiObjectId("nl", "Stk", "abc-1"), active | {"id": "ABC-1"})
    assert (change.events[0].subject, change.events[0].data["session_id"]) == ("session/NL/STK/ABC-1", "NL-STK-ABC-1")


def test_a_null_takes_an_optional_member_away(active: dict[str, Any]) -> None:
    stored = put(None, IDS, active).stored
    change = patch(stored, IDS, at("11:00:00", total_cost=None, charging_periods=None))
    assert "total_cost" not in change.stored.session


def test_periods_sent_again_are_kept_once_and_the_newest_are_kept(active: dict[str, Any]) -> None:
    # Given a peer that PATCHes all its periods each time, more than we keep
    periods = [period(f"{9 + n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}", ENERGY=1) for n in range(MAX_PERIODS + 2)]
    stored = put(None, IDS, active | {"charging_periods": periods[:2]}).stored
    change = patch(stored, IDS, at("11:00:00", charging_periods=periods[::-1]))
    # Then each start has one period, the oldest are gone, and the order is that of time
    starts = [each["start_date_time"] for each in change.stored.session["charging_periods"]]
    assert starts == [each["start_date_time"] for each in periods[2:]]


def test_the_caller_may_know_a_better_name_for_a_station(active: dict[str, Any]) -> None:
    names = {("LOC1", "3256"): "Gent Zuid, bay 3"}
    change = put(None, IDS, active, lambda location, evse: names[location, evse])
    assert change.events[0].data["station"] == "Gent Zuid, bay 3"


def test_what_is_stored_survives_a_database_as_json(active: dict[str, Any]) -> None:
    active |= {"charging_periods": [period("10:17:09.25", ENERGY=1)]}
    stored = put(None, IDS, active).stored
    again = msgspec.json.decode(msgspec.json.encode(stored), type=StoredSession)
    assert again == stored
    assert put(again, IDS, active).dropped == "repeat"


def test_nothing_of_a_driver_shows_in_a_repr(active: dict[str, Any]) -> None:
    change = put(None, IDS, active)
    assert "C12345678" not in repr(change) + repr(change.stored) + repr(change.events)


def test_every_event_fits_the_notification_types_that_hear_it(active: dict[str, Any]) -> None:
    # Given the events of a whole session
    parked = [period("10:17:09", ENERGY=9), period("11:00:00", PARKING_TIME=1)]
    full = put(None, IDS, active | {"kwh": 9, "charging_periods": parked})
    ended = patch(full.stored, IDS, at("12:00:00", status="COMPLETED"))
    events = full.events + ended.events
    assert [event.type for event in events] == ["session.started", "charging.complete", "session.ended"]
    # Then each converts to what its types need
    catalog = load_catalog(TEMPLATES)
    for event in events:
        model = catalog.model(event.type)
        assert model is not None
        msgspec.convert(event.data, model)


@pytest.mark.parametrize(
    ("cost", "priced", "told"),
    [
        ({"excl_vat": 2.0, "incl_vat": 2.42}, True, {"amount": 2.42, "currency": "EUR"}),
        ({"excl_vat": 2.0, "incl_vat": 2.42}, False, None),
        ({"excl_vat": 2.0}, True, None),
        ({"excl_vat": -2.0, "incl_vat": -2.42}, True, None),
    ],
)
def test_a_cost_is_told_where_it_is_a_total_that_drivers_pay(
    active: dict[str, Any], cost: dict[str, Any], priced: bool, told: dict[str, Any] | None
) -> None:
    full = {"kwh": 7.0, "total_cost": cost, "charging_periods": [period("11:00:00", PARKING_TIME=0.1)]}
    (_, complete) = put(None, IDS, active | full, priced=priced).events
    assert complete.data.get("cost") == told
