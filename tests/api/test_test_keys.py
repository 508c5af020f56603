"""Test keys over HTTP: what they report is another event, they are told of tests alone, and nobody else is told of
those."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa

from notifier.domain.deliveries import State
from notifier.domain.keys import SCOPES, TEST_SCOPES
from notifier.store.core.schema import delivery, event
from notifier.store.core.status import rendered
from tests import everywhere
from tests.api.conftest import on_sqlite
from tests.api.server import Answer, Caller, add_key
from tests.api.test_deliveries import listed
from tests.samples import EVENT, encoded


@pytest.fixture
async def tester(api: Caller) -> str:
    """A test key, and people whom events can be about."""
    for name in ("ada", "bo"):
        await api.call("PUT", f"/v1/recipients/{name}", json.dumps({"email": f"{name}@example.com"}))
    return await add_key(api.engine.database, *TEST_SCOPES, test=True)


async def call(api: Caller, key: str, method: str, path: str, body: Any = None, **query: str) -> Answer:
    given = None if body is None else json.dumps(body)
    asked = f"?{urlencode(query)}" if query else ""
    return await api.call(method, f"{path}{asked}", given, Authorization=f"Bearer {key}")


async def report(api: Caller, key: str, id_: str, whom: str = "ada", attempt: int = 1, **attributes: Any) -> Answer:
    data = {**EVENT["data"], "driver_id": whom, "account_id": "A", "attempt": attempt}
    answer = await api.post(encoded(id=id_, **{"data": data} | attributes), Authorization=f"Bearer {key}")
    if answer.status == 202:
        await everywhere.decide(api.engine, [answer.body["event"]])
    return answer


async def test_what_a_test_key_reports_is_another_event_than_the_real_one(api: Caller, tester: str) -> None:
    # Given an event of a test key, which repeats it
    first, again = await report(api, tester, "1"), await report(api, tester, "1")
    assert (first.status, first.body) == (202, again.body)

    # When the same, and then another of its names, is reported really
    real = await report(api, api.key, "1")
    other = await report(api, tester, "1", attempt=2)

    # Then both are there, each under its own id, and a test can be contradicted by a test alone
    assert (real.status, real.body["event"] != first.body["event"]) == (202, True)
    assert other.problem == (40901, "/id")
    assert {row.type for row in await api.rows(event)} == {"payment.failed", "test:payment.failed"}
    made = [(row.type, row.lane) for row in await api.rows(delivery) if row.recipient_id == "ada"]
    assert {lane for type_, lane in made if type_ == "test:payment-failed"} == {"bulk"}
    assert len({type_ for type_, _ in made}) == 2


async def test_a_test_key_is_told_of_tests_and_no_other_key_is(api: Caller, tester: str) -> None:
    # Given the same event as a test and really, and another that is really there
    tests = (await report(api, tester, "1")).body["event"]
    real = (await report(api, api.key, "1")).body["event"]
    await report(api, api.key, "2", "bo")

    # When each key lists all there is
    own, others = await listed(api, tester), await listed(api)

    # Then it has what it may, by its plain name
    assert {each["event"]["id"] for each in own} == {tests}
    assert {(each["type"], each["event"]["type"], each["event"]["test"]) for each in own} == {
        ("payment-failed", "payment.failed", True)
    }
    assert len(others) == 2 * len(own)
    assert not any(each["event"]["test"] for each in others)

    # And so it is by each filter, and each single thing
    for query in ({"type": "payment-failed"}, {"recipient": "ada"}, {"source": "billing", "id": "1"}):
        assert await listed(api, tester, **query) == own, query
        assert [each for each in await listed(api, **query) if each["event"]["id"] == tests] == []
    for key, mine, foreign in ((tester, tests, real), (api.key, real, tests)):
        by_name = await call(api, key, "GET", "/v1/events", source="billing", id="1")
        assert (by_name.body["event"]["id"], by_name.body["event"]["type"]) == (mine, "payment.failed")
        assert {made["type"] for made in by_name.body["decisions"]} == {"payment-failed"}
        assert (await call(api, key, "GET", "/v1/events", event=foreign)).problem == (40401, None)
        for each in (own, others)[key == tester]:
            assert (await call(api, key, "GET", f"/v1/deliveries/{each['id']}")).problem == (40401, None)
    assert (await call(api, api.key, "GET", "/v1/explain", event=tests)).problem == (40401, None)
    assert (await call(api, api.key, "GET", "/v1/explain", event=real)).status == 200


async def test_changes_and_subscriptions_are_apart(api: Caller, tester: str) -> None:
    # Given nobody known, so that each delivery ends at once
    for key, id_ in ((tester, "t"), (api.key, "r")):
        await report(api, key, id_, "nobody")

    # Then each is told what became of its own
    for key, id_ in ((tester, "t"), (api.key, "r")):
        found = (await call(api, key, "GET", "/v1/changes", types="payment.failed")).body["changes"]
        assert [(each["event"]["source_id"], each["event"]["test"], each["type"]) for each in found] == [
            (id_, id_ == "t", "payment-failed")
        ]

    # And neither sees or changes what the other has subscribed
    path, body = "/v1/subscriptions/", {"url": "https://csms.example/changes", "types": ["payment.failed"]}
    assert (await call(api, tester, "PUT", f"{path}t", body)).status == 201
    assert (await call(api, api.key, "PUT", f"{path}r", body)).status == 201
    for key, own, foreign in ((tester, "t", "r"), (api.key, "r", "t")):
        seen = (await call(api, key, "GET", "/v1/subscriptions")).body["subscriptions"]
        assert [each["id"] for each in seen] == [own]
        assert (await call(api, key, "PUT", f"{path}{foreign}", body)).problem == (40303, None)
        assert (await call(api, key, "POST", f"{path}{foreign}/pause")).problem == (40303, None)
        assert (await call(api, key, "DELETE", f"{path}{foreign}")).status == 204
        assert (await call(api, key, "GET", f"{path}{own}")).status == 200


async def test_a_test_key_stops_tests_alone(api: Caller, tester: str) -> None:
    # Given the same of two accounts as a test and really
    for key in (tester, api.key):
        await report(api, key, "1")

    async def pending() -> set[str]:
        query = sa.select(rendered.c.type).where(rendered.c.state == State.PENDING)
        return {row.type for row in await everywhere.read(api.engine.database, query, rendered)}

    # When a test key cancels, by what it is about and by its name
    for named in ({"type": "payment-failed", "about": "A"}, {"event": {"source": "billing", "id": "1"}}):
        stopped = await call(api, tester, "POST", "/v1/cancel", named)

        # Then it has stopped the test, which it knows by its plain name
        assert {each["type"] for each in stopped.body["deliveries"]} == {"payment-failed"}
        tests = [row.id for row in await api.rows(delivery) if row.type == "test:payment-failed"]
        assert {each["id"] for each in stopped.body["deliveries"]} <= set(tests)
        assert "payment-failed" in await pending()

    # And a real key has no name for a test
    for key in (tester, api.key):
        named = {"type": "test:payment-failed", "about": "A"}
        assert (await call(api, key, "POST", "/v1/cancel", named)).problem == (42205, "/type")
        assert (await report(api, key, "3", type="test:payment.failed")).problem == (42201, "/type")


@on_sqlite
async def test_a_test_key_keeps_within_its_sources_and_types(api: Caller) -> None:
    bounds: dict[str, Any] = {"sources": ("billing",), "types": ("payment.failed",)}
    key = await add_key(api.engine.database, *TEST_SCOPES, test=True, **bounds)

    assert (await report(api, key, "1")).status == 202
    assert (await report(api, key, "1", source="csms")).problem == (40303, "/source")
    assert (await report(api, key, "1", type="payment.recovered", data={"account_id": "A"})).problem in (
        (40303, "/type"), (42201, "/type")
    )  # fmt: skip
    assert {each["event"]["source_id"] for each in await listed(api, key)} == {"1"}


@on_sqlite
async def test_a_test_key_may_do_nothing_about_real_people(api: Caller, tester: str) -> None:
    told = await call(api, tester, "PUT", "/v1/recipients/eve", {"email": "eve@example.com"})

    assert told.problem == (40301, None)
    assert set(TEST_SCOPES) < set(SCOPES)
