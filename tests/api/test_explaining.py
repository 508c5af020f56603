"""Why, why not and what if over HTTP: for keys with the scope, by pages, and with nothing written or logged."""

import json
from typing import Any

import pytest
from structlog.testing import capture_logs

from notifier.store.core.schema import metadata
from tests import everywhere
from tests.api.conftest import on_sqlite
from tests.api.server import Answer, Caller, add_key
from tests.samples import EVENT, encoded

ADA = b'{"name": "Ada", "email": "ada@example.com", "time_zone": "Europe/Berlin", "devices": [{"value": "token-1"}]}'
TRIAL: dict[str, Any] = {"event": {"type": "payment.failed", "data": {**EVENT["data"], "driver_id": "ada"}}}


async def happen(api: Caller) -> str:
    """The id of an event about Ada that is decided."""
    await api.call("PUT", "/v1/recipients/ada", ADA)
    event: str = (await api.post(encoded(data=TRIAL["event"]["data"]))).body["event"]
    await everywhere.decide(api.engine, [event])
    return event


async def simulate(api: Caller, **members: Any) -> Answer:
    return await api.call("POST", "/v1/simulate", json.dumps({**TRIAL, **members}))


async def test_an_event_is_explained_by_our_id_and_by_its_sources(api: Caller) -> None:
    event = await happen(api)

    by_id = await api.call("GET", f"/v1/explain?event={event}")
    by_source = await api.call("GET", "/v1/explain?source=billing&id=attempt-7&recipient=ada")

    assert (by_id.status, by_source.body) == (200, by_id.body)
    (told,) = by_id.body["decisions"]
    assert (told["recipient"], told["type"], told["time_zone"]) == ("ada", "payment-failed", "Europe/Berlin")
    assert {answer["channel"]: answer["words"] for answer in told["answers"]}["email"] == "to be sent immediately"
    assert by_id.body["event"]["source_id"] == "attempt-7"
    for delivery in told["deliveries"]:
        by_delivery = await api.call("GET", f"/v1/explain?delivery={delivery['id']}")
        assert by_delivery.body["decisions"] == by_id.body["decisions"]


async def test_somebody_who_was_not_told_learns_why_not(api: Caller) -> None:
    event = await happen(api)
    await api.call("PUT", "/v1/recipients/cem", b"{}")

    told = (await api.call("GET", f"/v1/explain?event={event}&recipient=cem")).body

    assert told["decisions"] == []
    assert told["why_not"] == ["Payment failed: this event is about driver ada; cem is in none of its audiences."]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("", "/event"),
        ("event=x", "/event"),
        ("source=billing", "/id"),
        ("id=1", "/source"),
        (f"event={'0' * 32}&source=s&id=1", "/event"),
        (f"event={'0' * 32}&delivery={'0' * 32}", "/event"),
        (f"delivery={'0' * 32}&recipient=ada", "/recipient"),
        (f"event={'0' * 32}&limit=0", "/limit"),
        (f"event={'0' * 32}&cursor=x", "/cursor"),
        (f"event={'0' * 32}&all=1", "/all"),
    ],
)
@on_sqlite
async def test_a_question_that_does_not_fit_is_a_problem(api: Caller, query: str, pointer: str) -> None:
    assert (await api.call("GET", f"/v1/explain?{query}")).problem == (42205, pointer)


@on_sqlite
async def test_what_is_not_there_is_not_found(api: Caller) -> None:
    for named in (f"event={'0' * 32}", f"delivery={'0' * 32}", "source=s&id=%F0%9F%98%80"):
        assert (await api.call("GET", f"/v1/explain?{named}")).problem == (40401, None)


async def test_a_simulation_answers_with_words_and_writes_nothing(api: Caller) -> None:
    await api.call("PUT", "/v1/recipients/ada", ADA)
    before = [await api.rows(table) for table in metadata.sorted_tables]

    told = (await simulate(api, recipient="ada", at="23:10")).body

    (fate,) = told["fates"]
    assert (fate["recipient"], fate["local_time"], told["at"]) == ("ada", "Monday 23:10", "2026-03-09T22:10:00Z")
    contents = {answer["channel"]: answer["content"] for answer in fate["answers"]}
    assert "20.90" in str(contents["email"])
    assert [await api.rows(table) for table in metadata.sorted_tables] == before


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("{", (40001, None)),
        ("{}", (42205, "/event")),
        ('{"event": {"type": "no.such"}}', (42201, "/event/type")),
        ('{"event": {"type": "payment.failed"}}', (42202, "/event/data/account_id")),
        ('{"event": {"type": "payment.failed"}, "when": 1}', (42205, "/when")),
        ('{"event": {"type": "payment.failed", "time": "2026-03-09T22:10:00"}}', (42205, "/event/time")),
        (" " * (128 * 1024 + 1), (41301, None)),
    ],
)
@on_sqlite
async def test_a_trial_that_does_not_fit_is_a_problem(api: Caller, body: str, problem: tuple[int, str | None]) -> None:
    assert (await api.call("POST", "/v1/simulate", body)).problem == problem


@on_sqlite
async def test_only_a_key_with_the_scope_may_ask_and_nothing_personal_is_logged(api: Caller) -> None:
    event = await happen(api)
    other = f"Bearer {await add_key(api.engine.database, 'ledger:read', 'events:write', 'recipients:read')}"

    with capture_logs() as logs:
        refused = await api.call("GET", f"/v1/explain?event={event}", Authorization=other)
        await api.call("GET", f"/v1/explain?event={event}")
        await simulate(api, recipient="ada")

    assert refused.problem == (40301, None)
    for private in ("ada@", "token-1", "20.9", "Ada"):
        assert private not in str(logs)


async def test_a_past_day_is_decided_again_and_nothing_is_written(api: Caller) -> None:
    # Given a day on which one event was decided
    await happen(api)
    before = {table.name: await api.rows(table) for table in metadata.sorted_tables if table.name != "api_key"}

    that_day = (await api.call("GET", "/v1/replay?day=2026-03-09")).body
    next_day = (await api.call("GET", "/v1/replay?day=2026-03-10&time_zone=Asia/Tokyo")).body
    another = (await api.call("GET", "/v1/replay?day=2026-03-08")).body
    behind = (await api.call("GET", f"/v1/replay?day=2026-03-09&cursor={'f' * 32}")).body

    # Then by the same types the same comes of it, and the day is that of its time zone
    assert (that_day["events"], that_day["decisions"], that_day["differ"], that_day["next"]) == (1, 1, 0, None)
    assert (next_day["events"], another["events"], behind["events"]) == (1, 0, 0)
    assert {name: await api.rows(metadata.tables[name]) for name in before} == before


@on_sqlite
@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("", "/day"), ("day=2026-02-30", "/day"), ("day=0001-01-01", "/day"), ("day=9999-12-31", "/day"),
        ("day=2026-03-09&time_zone=Nowhere", "/time_zone"), ("day=2026-03-09&time_zone=../etc/passwd", "/time_zone"),
        ("day=2026-03-09&cursor=x", "/cursor"), ("day=2026-03-09&templates=x", "/templates"),
    ],
)  # fmt: skip
async def test_a_day_that_cannot_be_decided_again_is_refused(api: Caller, query: str, pointer: str) -> None:
    assert (await api.call("GET", f"/v1/replay?{query}")).problem == (42205, pointer)
