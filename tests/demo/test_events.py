"""What a network tells along sessions: every type, in an order that makes sense, with data that the types take."""

from collections import Counter
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from notifier.demo.acn import POWER_KW, ChargingSession, generate, read_acn
from notifier.demo.events import GRACE, LINGER, WARNING, TimedEvent, events
from notifier.demo.people import checksum, people, token_of
from notifier.domain.catalog_files import load_catalog

TEMPLATES = Path(__file__).parents[2] / "templates"


def driver_of(session: ChargingSession) -> str:
    return f"driver-{checksum(session.id) % 90 + 1}"


def told(sessions: list[ChargingSession]) -> list[TimedEvent]:
    return [event for session in sessions for event in events(session, driver_of)]


def of(session: ChargingSession) -> dict[str, TimedEvent]:
    return {event.type: event for event in events(session, driver_of)}


WAITED_FOR = {"waitlist.your_turn", "station.available", "port.free"}
"""Events that only come where somebody waits for a station, which sessions don't tell."""


@pytest.fixture
def quiet() -> ChargingSession:
    """A session of a known driver in which nothing goes wrong, and whose car is left standing."""
    return next(
        session
        for session in generate(300, 1)
        if of(session).keys()
        == {"session.started", "charging.complete", "idle.warning", "session.ended", "session.receipt"}
    )


@pytest.mark.parametrize("seed", range(8))
def test_three_hundred_sessions_tell_every_type_that_sessions_set_off_and_what_cancels_it(seed: int) -> None:
    catalog = load_catalog(TEMPLATES)
    asked_for = {kind.event for kind in catalog.types.values() if kind.audience in ("team", "subscribers", "segment")}
    heard = {kind.event for kind in catalog.types.values()} - asked_for - WAITED_FOR
    assert Counter(event.type for event in told(list(generate(300, seed)))).keys() >= heard
    many = Counter(event.type for event in told(list(generate(1000, seed))))
    assert many.keys() >= {"session.ended", "charging.resumed", "station.online", "payment.succeeded"}


def test_every_event_has_the_data_that_its_types_take(shared_data: Path) -> None:
    # Given the events of all real sessions and as many generated ones
    catalog = load_catalog(TEMPLATES)
    real = read_acn(shared_data / "acn" / "jpl_2021-05-01_2021-08-31.csv.gz")
    for event in told([*real, *generate(3000, 1)]):
        # Then each converts, and tells nothing that its type has no field for beyond what cancelling events carry
        model = catalog.model(event.type)
        assert model is not None, event.type
        msgspec.convert(event.data, model)
        if event.type in catalog.listeners:
            assert event.data.keys() <= set(model.__struct_fields__)
        assert event.subject.split("/")[0] in ("session", "station", "account", "vehicle")


def test_events_are_the_same_each_time_in_order_and_have_ids_of_their_own() -> None:
    sessions = list(generate(1000, 5))
    every = told(sessions)
    assert every == told(sessions)
    assert len({event.id for event in every}) == len(every)
    assert len({event.source for event in every}) == 1
    for session in sessions:
        assert (each := events(session, driver_of)) == sorted(each)
    sorted(every)  # times may be equal: data is never compared


def test_a_quiet_session_goes_its_way(quiet: ChargingSession) -> None:
    # Given a car that charges at full power from its arrival
    full = quiet.arrival + timedelta(seconds=round(quiet.delivered_kwh / POWER_KW * 3600))
    course = of(quiet)
    # Then each is told at its time
    assert course["session.started"].at == quiet.arrival
    assert course["charging.complete"].at == full
    assert course["idle.warning"].at == full + GRACE - WARNING
    assert course["session.ended"].at == quiet.departure
    assert quiet.departure < course["session.receipt"].at < quiet.departure + timedelta(minutes=5)
    # And the receipt adds up
    receipt = course["session.receipt"].data
    fee = receipt.get("idle_fee", {"amount": 0})["amount"]
    assert receipt["total"]["amount"] == pytest.approx(quiet.delivered_kwh * 0.22 + fee, abs=0.01)


def test_who_leaves_at_once_is_told_no_more_than_start_end_and_receipt(quiet: ChargingSession) -> None:
    complete = of(quiet)["charging.complete"].at
    for leaves, types in (
        (complete + LINGER - timedelta(seconds=1), {"session.started", "session.ended", "session.receipt"}),
        (complete + LINGER, {"session.started", "charging.complete", "session.ended", "session.receipt"}),
        (complete + GRACE - WARNING, {"session.started", "charging.complete", "session.ended", "session.receipt"}),
    ):
        assert of(quiet._replace(departure=leaves)).keys() == types


def test_the_idle_fee_starts_after_the_grace_and_has_a_maximum(quiet: ChargingSession) -> None:
    complete = of(quiet)["charging.complete"].at
    for minutes, fee in ((60, None), (90, 3.0), (60 * 24, 10.0)):
        receipt = of(quiet._replace(departure=complete + timedelta(minutes=minutes)))["session.receipt"].data
        assert receipt.get("idle_fee", {}).get("amount") == fee


def test_a_driver_who_got_what_they_asked_for_reached_their_limit(quiet: ChargingSession) -> None:
    for requested, kind in ((quiet.delivered_kwh, "limit_reached"), (quiet.delivered_kwh + 1, "full")):
        assert of(quiet._replace(requested_kwh=requested))["charging.complete"].data["kind"] == kind


def test_charging_that_does_not_resume_never_completes() -> None:
    interrupted = [of(session) for session in generate(3000, 1) if "charging.interrupted" in of(session)]
    assert {"charging.resumed" in course for course in interrupted} == {True, False}
    for course in interrupted:
        assert ("charging.complete" in course) == ("charging.resumed" in course)
        assert course["charging.interrupted"].at < course["session.ended"].at
        if "charging.resumed" in course:
            assert course["charging.interrupted"].at < course["charging.resumed"].at < course["charging.complete"].at


def test_an_unclaimed_session_names_a_token_that_nobody_has() -> None:
    known = {token for _, details in people(200, 1) for token in details.get("tokens", [])}
    unclaimed = [session for session in generate(300, 1) if not session.claimed]
    assert unclaimed
    for event in told(unclaimed):
        assert "driver_id" not in event.data
        assert event.data.get("token") not in known
        assert not event.type.startswith("payment.")


def test_a_driver_is_named_by_id_or_by_a_token_of_theirs() -> None:
    tokens = {id_: details.get("tokens", []) for id_, details in people(200, 1)}
    seen = Counter[str]()
    for session in generate(300, 1):
        data = of(session)["session.started"].data
        if session.claimed:
            driver = driver_of(session)
            assert data.get("driver_id", driver) == driver
            assert data.get("token", token_of(driver)) in tokens[driver]
            seen.update(data.keys() & {"driver_id", "token"})
    assert seen["driver_id"] > seen["token"] > 0


def test_a_payment_that_failed_succeeds_or_blocks_the_account_a_day_later() -> None:
    ends = Counter[str]()
    for session in generate(3000, 1):
        match [event for event in events(session, driver_of) if event.type.startswith("payment.")]:
            case []:
                continue
            case [first, last]:
                assert (first.data["attempt"], first.data["blocked"]) == (1, False)
                assert last.at - first.at > timedelta(hours=23)
                assert last.type == "payment.succeeded" or (last.data["attempt"], last.data["blocked"]) == (2, True)
                ends[last.type] += 1
            case others:
                pytest.fail(f"{len(others)} payment events of one session")
    assert ends.keys() == {"payment.failed", "payment.succeeded"}
