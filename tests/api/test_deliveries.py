"""What became of my event: lists of deliveries, one delivery, over every database."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from notifier.domain.ids import is_id
from tests import everywhere
from tests.api.conftest import on_sqlite
from tests.api.server import Answer, Caller, add_key
from tests.samples import EVENT, NOW, encoded
from tests.states import become_there

PEOPLE = ("ada", "bo", "cem", "dana")


async def report(api: Caller, source: str, id_: str, whom: str = "ada", data: dict[str, Any] | None = None) -> str:
    """The id of an event that is accepted and decided, a second after the one before; of an account of its own unless
    its data are given."""
    api.clock.advance(1000)
    own = {**EVENT["data"], "driver_id": whom, "account_id": f"{source} {id_}"}
    answer = await api.post(encoded(source=source, id=id_, data=data or own))
    event: str = answer.body["event"]
    await everywhere.decide(api.engine, [event])
    return event


async def people(api: Caller) -> None:
    for name in PEOPLE:
        await api.call("PUT", f"/v1/recipients/{name}", json.dumps({"email": f"{name}@example.com"}))


async def read(api: Caller, key: str | None = None, **query: Any) -> Answer:
    return await api.call(
        "GET", f"/v1/deliveries?{urlencode(query)}", Authorization=f"Bearer {api.key if key is None else key}"
    )


async def listed(api: Caller, key: str | None = None, **query: Any) -> list[dict[str, Any]]:
    """All deliveries that a query finds, page by page."""
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await read(api, key, **query, **cursor)).body
        found += page["deliveries"]
        if page["next"] is None:
            return found
        cursor = {"cursor": page["next"]}


async def test_a_producer_learns_what_became_of_its_event(api: Caller) -> None:
    # Given an event for Ada, who has a mailbox only, that the provider has refused once
    await people(api)
    event = await report(api, "csms/berlin", "a/17 ü")
    (mail,) = [each for each in await listed(api) if each["channel"] == "email"]
    await become_there(
        api.engine.database, [mail["id"]], state="pending", attempts=1, due_at=NOW + 60_000, code="451 4.7.1"
    )

    # When its producer asks by the name that it gave
    found = {each["channel"]: each for each in await listed(api, source="csms/berlin", id="a/17 ü")}

    # Then each channel is told, in words, with what its provider said, and no address
    assert found["email"] == {
        "id": mail["id"],
        "event": {
            "id": event,
            "type": "payment.failed",
            "test": False,
            "source": "csms/berlin",
            "source_id": "a/17 ü",
        },
        "type": "payment-failed",
        "recipient": "ada",
        "channel": "email",
        "state": "pending",
        "reason": None,
        "why": "waiting to be sent",
        "created_at": "2026-03-09T17:40:01Z",
        "at": mail["at"],
        "due_at": "2026-03-09T17:41:00Z",
        "attempts": 1,
        "code": "451 4.7.1",
        "meaning": found["email"]["meaning"],
        "digest": None,
        "redrive_of": None,
    }
    assert "example.com" not in json.dumps(found)
    assert found.keys() == {each["channel"] for each in await listed(api, event=event)}


async def test_one_delivery_is_told_with_its_attempts(api: Caller) -> None:
    await people(api)
    await report(api, "csms", "1")
    (mail,) = [each for each in await listed(api) if each["channel"] == "email"]
    tried = {"started_at": NOW, "answer": "rejected", "provider": "smtp-1", "code": "550 5.1.1"}
    await become_there(api.engine.database, [mail["id"]], state="failed", reason="address_gone", attempts=1, **tried)

    told = (await api.call("GET", f"/v1/deliveries/{mail['id']}")).body

    assert (told["state"], told["reason"], told["due_at"]) == ("failed", "address_gone", None)
    assert "could not be sent: the device, number or mailbox doesn't exist" in told["why"]
    assert [(each["number"], each["provider"], each["code"]) for each in told["attempts"]] == [
        (1, "smtp-1", "550 5.1.1")
    ]
    for missing in ("0" * 32, "nothing", mail["event"]["id"]):
        assert (await api.call("GET", f"/v1/deliveries/{missing}")).problem == (40401, None)


async def test_a_list_is_narrowed_by_each_filter_and_by_several(api: Caller) -> None:
    # Given one event for each of four people
    await people(api)
    events = {whom: await report(api, "csms", whom, whom) for whom in PEOPLE}
    every = await listed(api)
    (mail,) = [each["id"] for each in every if each["channel"] == "email" and each["recipient"] == "bo"]
    await become_there(api.engine.database, [mail], state="failed", reason="address_gone")
    every = await listed(api)
    assert [each["created_at"] for each in every] == sorted((each["created_at"] for each in every), reverse=True)
    assert {each["recipient"] for each in every} == set(PEOPLE)

    # When each filter is asked for, alone and with another, in pages of two, then exactly what fits it is told
    second = every[-1]["created_at"]
    for query, fits in (
        ({"recipient": "bo"}, lambda each: each["recipient"] == "bo"),
        ({"recipient": "nobody"}, lambda _: False),
        ({"event": events["cem"]}, lambda each: each["event"]["id"] == events["cem"]),
        ({"event": "0" * 32}, lambda _: False),
        ({"source": "csms", "id": "nothing"}, lambda _: False),
        ({"type": "payment-failed"}, lambda _: True),
        ({"type": "idle-warning"}, lambda _: False),
        ({"state": "failed"}, lambda each: each["id"] == mail),
        ({"channel": "sms"}, lambda each: each["channel"] == "sms"),
        ({"since": second}, lambda _: True),
        ({"until": second}, lambda _: False),
        ({"since": "2026-03-09T18:40:02+01:00"}, lambda each: each["created_at"] >= "2026-03-09T17:40:02Z"),
        ({"recipient": "bo", "state": "failed"}, lambda each: each["id"] == mail),
        ({"recipient": "bo", "event": events["cem"]}, lambda _: False),
        ({"event": events["bo"], "channel": "email"}, lambda each: each["id"] == mail),
        ({"event": events["bo"], "state": "failed"}, lambda each: each["id"] == mail),
        ({"type": "payment-failed", "channel": "email", "state": "failed"}, lambda each: each["id"] == mail),
    ):
        assert await listed(api, **query, limit=2) == [each for each in every if fits(each)], query


@on_sqlite
async def test_a_query_that_does_not_fit_is_told_where(api: Caller) -> None:
    for query, pointer in (
        ({"source": "csms"}, "/id"),
        ({"id": "1"}, "/source"),
        ({"event": "0" * 32, "source": "csms", "id": "1"}, "/event"),
        ({"event": "nothing"}, "/event"),
        ({"state": "lost"}, "/state"),
        ({"channel": "pigeon"}, "/channel"),
        ({"since": "yesterday"}, "/since"),
        ({"since": "2026-03-09T17:40:00"}, "/since"),
        ({"limit": 0}, "/limit"),
        ({"limit": 501}, "/limit"),
        ({"cursor": "mine"}, "/cursor"),
        ({"address": "ada@example.com"}, "/address"),
    ):
        assert (await read(api, **query)).problem == (42205, pointer), query


@pytest.mark.parametrize("looked_at", [1, 3])
@on_sqlite
async def test_a_page_may_be_short_and_the_next_goes_on(
    api: Caller, looked_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given pages that look through few deliveries, several of which are of one instant
    monkeypatch.setattr("notifier.store.core.paging.LOOKED_AT", looked_at)
    await people(api)
    for number in range(6):
        await report(api, "csms", str(number), PEOPLE[number % 2])
    every = await listed(api)

    # When a rare thing is looked for, then it is found in the end, once
    assert await listed(api, type="payment-failed") == every
    assert await listed(api, channel="email") == [each for each in every if each["channel"] == "email"]
    assert await listed(api, event=every[0]["event"]["id"]) == every[:1] + [
        each for each in every[1:] if each["event"]["id"] == every[0]["event"]["id"]
    ]
    assert all(is_id(each["id"]) for each in every)


@on_sqlite
async def test_a_key_with_the_scope_is_enough(api: Caller) -> None:
    key = await add_key(api.engine.database, "deliveries:read")

    assert (await read(api, key)).body == {"deliveries": [], "next": None}


async def test_an_event_is_told_with_whom_it_meant_and_what_came_of_it(api: Caller) -> None:
    # Given an event about Ada, and one about nobody who is known
    await people(api)
    event = await report(api, "csms/berlin", "a/17 ü")
    await report(api, "csms/berlin", "18", "eva")

    # When their producer asks for each by the names that it gave
    told = (await api.call("GET", f"/v1/events?{urlencode({'source': 'csms/berlin', 'id': 'a/17 ü'})}")).body
    nobody = (await api.call("GET", f"/v1/events?{urlencode({'source': 'csms/berlin', 'id': '18'})}")).body

    # Then it learns who is told and on which channel, or why nobody is; and no words, and nothing that she chose
    (decision,) = told["decisions"]
    assert (told["event"]["id"], told["state"], decision["recipient"]) == (event, "decided", "ada")
    answers = {each["channel"]: each for each in decision["answers"]}
    assert (answers["email"]["answer"], answers["email"]["why"]) == ("pending", "to be sent immediately")
    assert decision["deliveries"] == sorted(await listed(api, event=event), key=decision["deliveries"].index)
    assert nobody["decisions"][0]["answers"][0]["reason"] == "unknown_recipient"
    for private in ("example.com", "standing", "content", "rules"):
        assert private not in json.dumps(told)


async def test_an_event_that_waits_is_told_so(api: Caller) -> None:
    event = (await api.post(encoded())).body["event"]

    told = (await api.call("GET", f"/v1/events?event={event}")).body

    assert (told["state"], told["decisions"], told["why_not"]) == ("waits", [], ["The event waits to be decided."])


@on_sqlite
async def test_an_event_has_to_be_named_in_one_way(api: Caller) -> None:
    for query, pointer in (
        ("", "/event"),
        ("source=csms", "/id"),
        ("id=1", "/source"),
        (f"event={'0' * 32}&source=csms&id=1", "/event"),
        (f"event={'0' * 32}&cursor=x", "/cursor"),
    ):
        assert (await api.call("GET", f"/v1/events?{query}")).problem == (42205, pointer), query
    for missing in (f"event={'0' * 32}", "source=csms&id=1"):
        assert (await api.call("GET", f"/v1/events?{missing}")).problem == (40401, None)
