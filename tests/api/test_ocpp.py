"""What stations say by OCPP, over HTTP."""

import json
from typing import Any

import pytest

from notifier.domain.stations import EvseStatus
from notifier.store.core.schema import charging_session, event
from notifier.store.stations import locations
from tests.api.server import Answer, Caller, add_key
from tests.ocpp.conftest import answered, reading, start, status, stop
from tests.ocpp.test_sessions import WHOLE, WHOLE_201
from tests.places import PLACE, place

GENT = {
    "name": "Gent Zuid", "address": "Woodrow Wilsonplein 4", "city": "Gent", "country": "BEL",
    "time_zone": "Europe/Brussels", "latitude": 51.0456, "longitude": 3.7311,
    "ports": [
        {"uid": "1", "ocpp": {"station": "CS-1", "port": 1}, "connectors": [{"standard": "IEC_62196_T2"}]},
        {"uid": "2", "ocpp": {"station": "CS-1", "port": 2}},
    ],
}  # fmt: skip


async def post(api: Caller, frames: Any, station: str = "/CS-1") -> Answer:
    return await api.call("POST", f"/v1/ocpp{station}", json.dumps(frames))


async def put(api: Caller, id_: str = "gent-zuid", **others: Any) -> Answer:
    return await api.call("PUT", f"/v1/stations/{id_}", json.dumps(GENT | others))


async def statuses(api: Caller) -> list[str]:
    """What the ports of the station in Gent say."""
    found = await locations.get(api.engine.database, "gent-zuid")
    assert found is not None
    return [each.evse.status for _, each in sorted(found.evses.items())]


@pytest.mark.parametrize("frames", [WHOLE, WHOLE_201], ids=["1.6", "2.0.1"])
async def test_frames_become_statuses_and_events_that_name_the_place(api: Caller, frames: list[Any]) -> None:
    # Given
    assert (await put(api)).status == 200
    # When
    response = await post(api, frames)
    # Then
    assert (response.status, response.body["taken"], response.body["refused"]) == (202, len(frames), 0)
    told = sorted(await api.rows(event), key=lambda row: row.occurred_at)
    assert [row.type for row in told] == ["session.started", "charging.complete", "session.ended"]
    data = json.loads(told[1].data)
    assert data["station"] in ("Gent Zuid, 1", "Gent Zuid, 2")
    assert data["time_zone"] == "Europe/Brussels"


async def test_each_frame_is_answered_by_itself(api: Caller) -> None:
    # Given
    await put(api)
    # When
    response = await post(api, [status("Charging"), [4, "1", "GenericError", "", {}], [2, "x"], start()])
    # Then
    assert response.body["results"] == [
        {"status": "taken", "ports": 1, "events": 0},
        {"status": "taken", "ports": 0, "events": 0},
        {"status": "refused", "index": 2, "problem": response.body["results"][2]["problem"]},
        {"status": "taken", "ports": 2, "events": 1},
    ]
    assert response.body["results"][2]["problem"]["code"] == 42209
    assert await statuses(api) == [EvseStatus.CHARGING, EvseStatus.UNKNOWN]


async def test_one_frame_alone_is_taken_or_answered_with_its_problem(api: Caller) -> None:
    assert (await post(api, start())).body["results"] == [{"status": "taken", "ports": 0, "events": 1}]
    assert (await post(api, start(idTag=7))).problem == (42209, "/3/idTag")


async def test_the_same_frames_again_change_nothing(api: Caller) -> None:
    # Given
    await put(api)
    await post(api, WHOLE)
    before = [await api.rows(event), [row.state for row in await api.rows(charging_session)]]
    # When
    await post(api, WHOLE)
    await post(api, WHOLE[::-1])
    # Then
    assert [await api.rows(event), [row.state for row in await api.rows(charging_session)]] == before


async def test_frames_of_many_stations_come_in_one_batch(api: Caller) -> None:
    # Given
    frames = [start(), answered(), reading("9000", "99"), stop()]
    batch = [{"station": f"CS-{n}", "received_at": "now", "frame": frame} for n in range(20) for frame in frames]
    # When
    response = await post(api, [*batch, {"station": "", "frame": start()}, 7], "")
    # Then
    assert (response.body["taken"], response.body["refused"]) == (80, 2)
    assert [each["problem"].get("pointer") for each in response.body["results"][-2:]] == ["/station", None]
    assert len(await api.rows(event)) == 40
    assert len(await api.rows(charging_session)) == 20


async def test_more_than_a_thousand_frames_are_too_many(api: Caller) -> None:
    assert (await post(api, [start()] * 1001)).problem == (41301, None)
    assert (await post(api, {"station": 1}, "")).status == 422
    assert (await api.call("POST", "/v1/ocpp", "[")).problem[0] == 40001


async def test_a_key_speaks_for_the_stations_and_types_that_it_is_bound_to(api: Caller) -> None:
    # Given
    api.key = await add_key(api.engine.database, "stations:write", sources=("ocpp/CS-1",))
    # Then
    assert (await post(api, start())).status == 202
    assert (await post(api, start(), "/CS-2")).problem == (40303, "/station")
    api.key = await add_key(api.engine.database, "stations:write", types=("session.started",))
    assert (await post(api, start())).problem[0] == 40303
    api.key = await add_key(api.engine.database, "events:write")
    assert (await post(api, start())).problem[0] == 40301


async def test_a_station_that_is_put_again_keeps_what_its_ports_said(api: Caller) -> None:
    # Given
    await put(api)
    await post(api, status("Available"))
    before = await locations.get(api.engine.database, "gent-zuid")
    # When
    again = await put(api)
    # Then
    assert again.body == {"id": "gent-zuid", "ports": ["gent-zuid-1", "gent-zuid-2"]}
    assert await locations.get(api.engine.database, "gent-zuid") == before
    await put(api, ports=GENT["ports"][:1])  # type: ignore[index]
    assert await statuses(api) == [EvseStatus.AVAILABLE, EvseStatus.REMOVED]
    await put(api)
    assert await statuses(api) == [EvseStatus.AVAILABLE, EvseStatus.UNKNOWN]


async def test_a_status_may_be_put_with_the_station(api: Caller) -> None:
    ports = [{"uid": "1", "status": "AVAILABLE"}]
    assert (await put(api, ports=ports)).status == 200
    assert await statuses(api) == [EvseStatus.AVAILABLE]


async def test_a_station_that_is_deleted_is_hidden_with_its_ports(api: Caller) -> None:
    # Given
    await put(api)
    # When
    gone = await api.call("DELETE", "/v1/stations/gent-zuid")
    # Then
    assert gone.status == 204
    assert await statuses(api) == [EvseStatus.REMOVED, EvseStatus.REMOVED]
    assert (await api.call("DELETE", "/v1/stations/nowhere")).problem[0] == 40401


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"latitude": 91}, "/latitude"), ({"name": ""}, "/name"), ({"time_zone": "Mars/Olympus"}, "/time_zone"),
        ({"ports": [{"uid": "1"}, {"uid": "1"}]}, ""), ({"ports": [{"uid": "1", "status": "FREE"}]}, "/ports/0/status"),
        ({"colour": "green"}, "/colour"),
    ],
)  # fmt: skip
async def test_what_is_no_station_is_refused_by_name(api: Caller, wrong: dict[str, Any], pointer: str) -> None:
    answer = await put(api, **wrong)
    assert answer.problem[0] == 42205
    assert (answer.problem[1] or "") == pointer


async def test_a_station_that_a_peer_put_is_the_peers(api: Caller) -> None:
    # Given
    await locations.update(api.engine.database, PLACE, lambda _: place())
    # Then
    assert (await put(api, PLACE)).problem[0] == 40902
    assert (await api.call("DELETE", f"/v1/stations/{PLACE}")).problem[0] == 40902
