"""Where the demo's stations stand, and what their ports say."""

import msgspec

from notifier.demo.acn import STATIONS, generate
from notifier.demo.places import PLACES, PORTS, place_of, stations
from notifier.demo.ports import SAYS
from notifier.demo.sessions import events
from notifier.ocpp.statuses import WORDS
from notifier.pipeline.station_details import StationDetails


def test_each_port_has_a_place_of_a_few() -> None:
    # When
    where = place_of(STATIONS)
    # Then
    assert where.keys() == set(STATIONS)
    assert {list(where.values()).count(place) for place in PLACES} == {PORTS}


def test_places_are_put_as_the_api_takes_them() -> None:
    # When
    found = [msgspec.convert(each, StationDetails) for each in stations(place_of(STATIONS)).values()]
    # Then
    assert sorted(port.uid for each in found for port in each.ports) == sorted(STATIONS)


def test_whoever_comes_and_goes_is_seen_on_the_map() -> None:
    # Given
    told = [event for session in generate(20, 7) for event in events(session, lambda _: "driver-1")]
    # Then
    assert {"session.started", "session.ended"} <= {event.type for event in told} & SAYS.keys()
    assert all("station" in event.data for event in told if event.type in SAYS)
    assert set(SAYS.values()) <= WORDS.keys()
