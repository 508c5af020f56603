"""`GET /v1/changes`: what became of deliveries, for services that ask."""

import asyncio
import json
from typing import Any

import pytest

from notifier.changes import waiting
from notifier.domain.clock import DAY
from notifier.domain.recipients import RecipientDetails
from notifier.domain.retention import Part
from notifier.metrics import REGISTRY
from notifier.pipeline.retention import remove
from notifier.store.core.status import rendered as delivery
from notifier.store.people import recipients
from tests import everywhere
from tests.api.conftest import on_sqlite
from tests.api.server import Caller, add_key
from tests.pipeline.steps import OFFER
from tests.samples import NOW

PEOPLE = ("ada", "bea", "cleo", "dan", "eve")


@pytest.fixture
async def people(api: Caller) -> None:
    """Drivers whom no channel reaches."""
    await recipients.put(api.engine.database, {id_: RecipientDetails() for id_ in PEOPLE}, NOW)


async def tell(api: Caller, driver: str, id_: str, source: str = "csms") -> None:
    """An offer to a driver, decided: it ends at once, for nothing reaches them."""
    data = {**OFFER, "driver_id": driver, "offer_id": id_}
    event = {"specversion": "1.0", "id": id_, "source": source, "type": "waitlist.your_turn", "data": data}
    told = await api.post(json.dumps(event))
    assert told.status == 202
    await everywhere.decide(api.engine, [told.body["event"]])


async def changes(api: Caller, **asked: Any) -> Any:
    query = "&".join(f"{name}={value}" for name, value in asked.items())
    return await api.call("GET", f"/v1/changes?{query}")


@pytest.mark.usefixtures("people")
async def test_every_change_is_read_once_by_who_goes_on_where_it_was(api: Caller) -> None:
    # Given what became of some deliveries, and a reader that has come to the end
    for number, person in enumerate(PEOPLE):
        await tell(api, person, f"e-{number}")
    whole = (await changes(api)).body
    found: list[Any] = []
    page = {"next": None, "more": True}
    while page["more"]:
        page = (await changes(api, limit=2, **({"after": page["next"]} if page["next"] else {}))).body
        found += page["changes"]

    # Then it has each delivery's, with what it is about
    assert sorted(each["id"] for each in found) == sorted(each["id"] for each in whole["changes"])
    ended = {row.id: row for row in await api.rows(delivery)}
    assert {each["delivery"] for each in found} == ended.keys()
    for each in found:
        row = ended[each["delivery"]]
        assert (each["state"], each["reason"]) == (row.state, row.reason) == ("suppressed", "no_address")
        assert (each["type"], each["channel"], each["recipient"]) == (row.type, row.channel, row.recipient_id)
        assert each["event"]["source"] == "csms"
        assert each["event"]["source_id"] == f"e-{PEOPLE.index(row.recipient_id)}"

    # And where it goes on, only what is new
    assert (await changes(api, after=page["next"])).body["changes"] == []
    await tell(api, "ada", "e-9")
    new = (await changes(api, after=page["next"])).body["changes"]
    assert {each["event"]["source_id"] for each in new} == {"e-9"}


@pytest.mark.usefixtures("people")
async def test_from_now_on_begins_behind_all_that_was(api: Caller) -> None:
    await tell(api, "ada", "e-1")

    begin = (await changes(api, after="now")).body
    await tell(api, "bea", "e-2")
    answer = (await changes(api, after=begin["next"])).body

    assert begin["changes"] == []
    assert {each["event"]["source_id"] for each in answer["changes"]} == {"e-2"}


@pytest.mark.usefixtures("people")
async def test_who_waits_is_answered_with_the_first_change(api: Caller) -> None:
    begin = (await changes(api, after="now")).body["next"]
    asked = asyncio.ensure_future(changes(api, after=begin, wait=30))

    await tell(api, "ada", "e-1")
    answer = await asyncio.wait_for(asked, 20)

    assert {each["event"]["source_id"] for each in answer.body["changes"]} == {"e-1"}
    again = (await changes(api, after=answer.body["next"], wait=1)).body
    assert (again["changes"], again["more"]) == ([], False)


@on_sqlite
async def test_what_a_caller_wishes_to_wait_for_is_no_latency(api: Caller) -> None:
    labels = {"route": "/v1/changes", "method": "GET", "status": "2xx"}

    def told(what: str) -> float:
        return REGISTRY.get_sample_value(f"notifier_http_request_seconds_{what}", labels) or 0.0

    number, seconds = told("count"), told("sum")
    await changes(api, wait=2)

    assert told("count") == number + 1
    assert told("sum") < seconds + 2


@on_sqlite
async def test_where_too_many_wait_another_is_told_when_to_ask_again(
    api: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "MOST", 0)

    answer = await changes(api, wait=30)

    assert answer.problem == (42903, None)
    assert answer.headers["Retry-After"] == "5"
    assert (await changes(api)).status == 200


@on_sqlite
async def test_who_leaves_while_it_waits_is_waited_for_no_more(api: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "MOST", 1)
    for _ in range(3):
        # Given the only place, and one who gives up in the middle of it
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await changes(api, wait=30)

        # Then it is free for another, as soon as the server knows
        async with asyncio.timeout(10):
            while (await changes(api, wait=1)).status == 429:
                pass


@pytest.mark.usefixtures("people")
@on_sqlite
async def test_a_key_sees_what_its_bounds_cover_and_asks_for_less(api: Caller) -> None:
    await tell(api, "ada", "e-1", "csms/gent")
    await tell(api, "bea", "e-2", "billing")

    async def seen(query: str = "", **bounds: Any) -> set[str]:
        api.key = await add_key(api.engine.database, "changes:read", **bounds)
        answer = await api.call("GET", f"/v1/changes?{query}")
        return {each["event"]["source_id"] for each in answer.body["changes"]}

    assert await seen() == {"e-1", "e-2"}
    assert await seen(sources=("csms/*",)) == {"e-1"}
    assert await seen(types=("session.started",)) == set()
    assert await seen("types=waitlist.your_turn,session.started&states=suppressed,failed") == {"e-1", "e-2"}
    assert await seen("types=session.started", types=("waitlist.your_turn",)) == set()
    assert await seen("states=delivered") == set()


@pytest.mark.usefixtures("people")
async def test_a_cursor_from_before_what_is_kept_is_told_the_way_out(api: Caller) -> None:
    # Given a cursor, and changes behind it that retention has removed
    begin = (await changes(api, after="now")).body["next"]
    for number, person in enumerate(PEOPLE):
        await tell(api, person, f"e-{number}")
    api.clock.advance(8 * DAY)
    gone = 0
    async for part, step in remove(api.engine.database, api.engine.catalog, api.clock.now()):
        gone += step.number if part == Part.CHANGES else 0

    answer = await changes(api, after=begin)

    assert gone > 0
    assert answer.problem == (41001, "/after")
    assert (await changes(api)).body["changes"] == []


@on_sqlite
@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("after=x", "/after"), ("after=WzFd!", "/after"), ("after=WzAs", "/after"), ("after=WzEsMV0", "/after"),
        ("after=Wy0xXQ", "/after"), ("states=sending", "/states"), ("limit=0", "/limit"), ("types=%00", None),
        ("wait=31", "/wait"), ("wait=-1", "/wait"),
    ],
)  # fmt: skip
async def test_a_parameter_that_does_not_fit_is_named(api: Caller, query: str, pointer: str | None) -> None:
    answer = await api.call("GET", f"/v1/changes?{query}")

    assert answer.status == 422
    assert pointer is None or answer.problem == (42205, pointer)
