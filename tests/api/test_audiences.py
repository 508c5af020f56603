"""Topics and segments over HTTP."""

import json
from typing import Any
from urllib.parse import quote

import pytest

from tests.api.conftest import on_sqlite
from tests.api.server import Caller

STATION = "/v1/topics/station:BE*BEC*E1/subscribers"
GOLD: dict[str, Any] = {
    "name": "Gold",
    "all": [{"field": "attribute.plan", "operator": "eq", "value": "gold"}],
    "any": [{"field": "country", "operator": "in", "value": ["BE", "NL"]}],
}


async def add(api: Caller, id_: str, **details: Any) -> None:
    answer = await api.call("PUT", f"/v1/recipients/{quote(id_, safe='')}", json.dumps(details))
    assert answer.status == 204


async def test_subscribing_is_once_and_ends(api: Caller) -> None:
    await add(api, "a:b")

    for method in ("PUT", "PUT", "DELETE", "DELETE"):
        assert (await api.call(method, f"{STATION}/a%3Ab")).status == 204
        told = await api.call("GET", STATION)
        assert told.body == {"subscribers": ["a:b"] if method == "PUT" else [], "next": None}


async def test_subscribers_are_listed_page_by_page(api: Caller) -> None:
    for number in range(5):
        await add(api, f"p{number}")
        await api.call("PUT", f"{STATION}/p{number}")

    found: list[str] = []
    cursor = ""
    while True:
        page = (await api.call("GET", f"{STATION}?limit=2{cursor}")).body
        found += page["subscribers"]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"

    assert found == [f"p{number}" for number in range(5)]


@on_sqlite
@pytest.mark.parametrize(
    ("method", "path", "problem"),
    [
        ("PUT", f"{STATION}/nobody", (40401, None)),
        ("PUT", f"{STATION}/a%20b", (42205, "/recipient")),
        ("PUT", "/v1/topics/a%20b/subscribers/ada", (42205, "/topic")),
        ("GET", f"{STATION}?limit=0", (42205, "/limit")),
        ("GET", f"{STATION}?page=2", (42205, "/page")),
        ("GET", "/v1/segments/none", (40401, None)),
        ("POST", "/v1/segments/none/count", (40401, None)),
        ("GET", "/v1/segments/a%20b", (42205, "/id")),
    ],
)
async def test_what_is_not_there_or_does_not_fit_is_told(
    api: Caller, method: str, path: str, problem: tuple[int, str | None]
) -> None:
    assert (await api.call(method, path, b"" if method in ("PUT", "POST") else None)).problem == problem


async def test_a_segment_is_written_read_listed_counted_and_removed(api: Caller) -> None:
    # Given a segment, and recipients of whom one belongs
    assert (await api.call("PUT", "/v1/segments/gold", json.dumps(GOLD))).status == 204
    await add(api, "ada", region="BE", attributes={"plan": "gold"})
    await add(api, "bob", region="BE", attributes={"plan": "free"})
    await add(api, "eve", region="DE", attributes={"plan": "gold"})

    # Then it is as it was written, and has one
    assert (await api.call("GET", "/v1/segments/gold")).body == GOLD
    assert (await api.call("GET", "/v1/segments")).body == {"segments": [GOLD | {"id": "gold"}], "next": None}
    assert (await api.call("POST", "/v1/segments/gold/count")).body == {"recipients": 1}

    # And removed it is no more
    assert (await api.call("DELETE", "/v1/segments/gold")).status == 204
    assert (await api.call("GET", "/v1/segments/gold")).problem == (40401, None)
    assert (await api.call("DELETE", "/v1/segments/gold")).status == 204


@on_sqlite
async def test_a_segment_that_does_not_fit_is_told_with_its_place_and_without_its_value(api: Caller) -> None:
    wrong = {"name": "x", "all": [{"field": "c4n4ry", "operator": "eq", "value": "c4n4ry"}]}

    answer = await api.call("PUT", "/v1/segments/x", json.dumps(wrong))

    assert answer.problem == (42206, "/all/0/field")
    assert "c4n4ry" not in str(answer.body)
    assert (await api.call("GET", "/v1/segments")).body["segments"] == []
