"""Cancel, acknowledge and opened over HTTP: what they do, and what they refuse."""

import json
from typing import Any

import pytest

from notifier.domain.clock import SECOND
from notifier.domain.deliveries import State
from notifier.domain.messages import Device
from notifier.domain.recipients import RecipientDetails
from notifier.store.core.staff import audit
from notifier.store.core.status import rendered as delivery
from notifier.store.people import recipients
from tests import everywhere
from tests.api.conftest import on_sqlite
from tests.api.server import Caller, add_key
from tests.named import EMAIL, PUSH
from tests.pipeline.steps import LATE_VAN, OFFER
from tests.samples import NOW


async def tell(api: Caller, type_: str, data: dict[str, Any]) -> None:
    """An event `e-1` of a service, decided."""
    event = {"specversion": "1.0", "id": "e-1", "source": "csms", "type": type_, "data": data}
    told = await api.post(json.dumps(event))
    assert told.status == 202
    await everywhere.decide(api.engine, [told.body["event"]])


async def call(api: Caller, path: str, **body: Any) -> Any:
    return await api.call("POST", path, json.dumps(body))


@pytest.fixture
async def people(api: Caller) -> None:
    """A driver with a phone, and two managers of a fleet."""
    driver = RecipientDetails(phone="+4915123456789", devices=[Device(value="token-1")])
    managers = {
        id_: RecipientDetails(kind="fleet_manager", email=f"{id_}@example.com", fleets=["acme"])
        for id_ in ("bea", "cleo")
    }
    await recipients.put(api.engine.database, {"ada": driver, **managers}, NOW)


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize(
    "asked", [{"type": "waitlist-your-turn", "about": "7781"}, {"event": {"source": "csms", "id": "e-1"}}]
)
async def test_a_cancellation_tells_what_it_stops_and_may_come_twice(api: Caller, asked: dict[str, Any]) -> None:
    await tell(api, "waitlist.your_turn", OFFER)
    waiting = {row.id for row in await api.rows(delivery) if row.state == State.PENDING}

    answers = [await call(api, "/v1/cancel", **asked) for _ in range(2)]

    for answer in answers:
        assert answer.status == 200
        assert answer.body["stopped"] == len(waiting) == 2
        assert {each["id"] for each in answer.body["deliveries"]} == waiting
        assert {each["channel"] for each in answer.body["deliveries"]} == {"push", "sms"}
    assert {(entry.actor, entry.action) for entry in await api.rows(audit)} == {("test", "cancelled")}


@pytest.mark.usefixtures("people")
@on_sqlite
async def test_an_acknowledgement_names_a_delivery_or_what_it_is_about(api: Caller) -> None:
    await tell(api, "vehicle.not_ready", LATE_VAN)
    (first,) = [row.id for row in await api.rows(delivery) if row.due_at == NOW and row.channel == EMAIL]

    for asked in ({"delivery": first}, {"type": "vehicle-not-ready", "about": "van-1"}):
        answer = await call(api, "/v1/acknowledge", **asked)
        assert answer.status == 200
        assert {each["recipient"] for each in answer.body["deliveries"]} == {"bea", "cleo"}


@pytest.mark.usefixtures("people")
@on_sqlite
async def test_an_opened_push_is_delivered_and_a_key_for_that_alone_is_enough(api: Caller) -> None:
    # Given a push, and the key of the app's service
    await tell(api, "waitlist.your_turn", OFFER)
    (push,) = [row for row in await api.rows(delivery) if row.channel == PUSH]
    key = await add_key(api.engine.database, "opened:write")
    api.clock.advance(SECOND)

    # When the app tells that it was opened, twice, and of one that nobody knows
    for reference in (push.id, push.id, "0" * 32):
        body = json.dumps({"reference": reference})
        answer = await api.call("POST", "/v1/opened", body, Authorization=f"Bearer {key}")
        assert (answer.status, answer.body) == (204, "")

    # Then it is delivered, and nothing else has changed
    states = {row.channel: row.state for row in await api.rows(delivery)}
    assert states == {"push": "delivered", "sms": "pending"}


@pytest.mark.usefixtures("people")
@on_sqlite
@pytest.mark.parametrize(
    ("path", "asked", "number", "pointer"),
    [
        ("/v1/cancel", {}, 42205, None),
        ("/v1/cancel", {"type": "idle-warning"}, 42205, None),
        ("/v1/cancel", {"type": "idle-warning", "about": "1", "event": {"source": "s", "id": "1"}}, 42205, None),
        ("/v1/cancel", {"type": "no-such", "about": "1"}, 42205, "/type"),
        ("/v1/cancel", {"type": "idle-warning", "about": ""}, 42205, "/about"),
        ("/v1/cancel", {"type": "idle-warning", "about": 1}, 42205, "/about"),
        ("/v1/cancel", {"event": {"source": "s"}}, 42205, "/event/id"),
        ("/v1/cancel", {"event": {"source": "csms", "id": "unknown"}}, 40401, "/event"),
        ("/v1/cancel", {"what": 1}, 42205, "/what"),
        ("/v1/acknowledge", {}, 42205, None),
        ("/v1/acknowledge", {"type": "idle-warning", "about": "1"}, 42205, "/type"),
        ("/v1/acknowledge", {"delivery": "0" * 32}, 40401, "/delivery"),
        ("/v1/acknowledge", {"delivery": "x"}, 42205, "/delivery"),
        ("/v1/opened", {"reference": "x"}, 42205, "/reference"),
        ("/v1/opened", {}, 42205, "/reference"),
    ],
)
async def test_what_does_not_fit_is_told_with_its_place_and_changes_nothing(
    api: Caller, path: str, asked: dict[str, Any], number: int, pointer: str | None
) -> None:
    answer = await call(api, path, **asked)

    assert answer.problem == (number, pointer)
    assert await api.rows(audit) == []


@pytest.mark.usefixtures("people")
async def test_who_is_on_call_is_set_and_read_in_order(api: Caller) -> None:
    path = "/v1/on-call/fleet:acme"
    for order in (["cleo", "bea"], ["bea"], []):
        assert (await api.call("PUT", path, json.dumps({"order": order}))).status == 204
        assert (await api.call("GET", path)).body == {"order": order}


@pytest.mark.usefixtures("people")
@on_sqlite
async def test_nobody_is_on_call_twice_or_for_what_is_not_theirs(api: Caller) -> None:
    path = "/v1/on-call/fleet:acme"
    assert (await api.call("PUT", path, b'{"order": ["bea", "ada"]}')).problem == (42205, "/order/1")
    assert (await api.call("PUT", path, b'{"order": ["bea", "bea"]}')).problem == (42205, "/order")
    assert (await api.call("PUT", path, b'{"people": []}')).problem == (42205, "/people")
    assert (await api.call("GET", path)).body == {"order": []}
    assert (await api.call("GET", "/v1/on-call/fleet:none")).problem == (40401, None)
