"""Several write what is known of one person: nobody's word is lost to somebody who didn't know of it."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.api.conftest import on_sqlite
from tests.api.server import Answer, Caller
from tests.api.test_recipients import ADA, get, put

MERGE = "application/merge-patch+json"
PREFERENCES = "/v1/recipients/ada/preferences"


async def patch(api: Caller, body: dict[str, Any], **headers: str) -> Answer:
    return await api.call("PATCH", "/v1/recipients/ada", json.dumps(body), Content_Type=MERGE, **headers)


@pytest.mark.parametrize(
    ("told", "after"),
    [
        ({}, {"everything": False, "switches": {"offers": {"email": False}}}),
        (
            {"locale": "de", "switches": {"charging": {"sms": True}}},
            {
                "everything": False,
                "switches": {"offers": {"email": False}, "charging": {"sms": True}},
                "locale": "de",
            },
        ),
        ({"everything": True}, {"switches": {"offers": {"email": False}}}),
    ],
)
async def test_what_a_document_does_not_name_of_preferences_stays(
    api: Caller, told: dict[str, Any], after: dict[str, Any]
) -> None:
    """Given a person who opted out
    When a line of an import, and then a whole recipient, tell some of their preferences or an empty document
    Then what is not named stays as the person chose it."""
    out = {"everything": False, "switches": {"offers": {"email": False}}}
    await put(api, "ada", ADA)
    for write in ("import", "put"):
        await api.call("PUT", PREFERENCES, json.dumps(out))

        if write == "import":
            line = json.dumps({"id": "ada", "name": "Ada", "preferences": told})
            answer = await api.call("POST", "/v1/recipients/import", line, Content_Type="application/x-ndjson")
            assert answer.body["written"] == 1
        else:
            await put(api, "ada", {"name": "Ada", "preferences": told})

        assert (await api.call("GET", PREFERENCES)).body == after


async def test_a_patch_changes_what_it_names_and_null_takes_it_away(api: Caller) -> None:
    await put(api, "ada", ADA)

    answer = await patch(
        api,
        {
            "name": None,
            "locale": "fr",
            "attributes": {"plan": None, "new": 1},
            "preferences": {"switches": None, "everything": False},
        },
    )

    after = ADA | {
        "name": None, "locale": "fr", "attributes": {"sessions": 12, "new": 1}, "preferences": {"everything": False},
    }  # fmt: skip
    assert answer.status == 200
    assert answer.body == (await api.call("GET", "/v1/recipients/ada")).body
    assert await get(api, "ada") == after


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"[]", (42203, None)),
        (b'{"nmae": "Ada"}', (42203, "/nmae")),
        (b'{"preferences": {"switches": {"charging": {"fax": true}}}}', (42203, "/preferences/switches")),
        (b'{"phone": "12"}', (42203, "/phone")),
        (b'{"devices": [{}]}', (42203, "/devices/0/value")),
        (b"{", (40001, None)),
    ],
)
@on_sqlite
async def test_a_patch_that_does_not_fit_changes_nothing(
    api: Caller, body: bytes, problem: tuple[int, str | None]
) -> None:
    await put(api, "ada", ADA)

    answer = await api.call("PATCH", "/v1/recipients/ada", body, Content_Type=MERGE)

    assert answer.problem == problem
    assert await get(api, "ada") == ADA


@on_sqlite
async def test_the_region_of_a_number_goes_with_it_and_one_that_was_told_stays(api: Caller) -> None:
    await put(api, "ada", ADA | {"region": "US-FL"})
    assert (await patch(api, {"phone": "+12025550143"})).body["region"] == "US-FL"
    await put(api, "ada", ADA)
    assert (await patch(api, {"phone": "+12025550143"})).body["region"] == "US"


@on_sqlite
async def test_nobody_is_made_by_a_patch(api: Caller) -> None:
    assert (await patch(api, {"name": "Ada"})).problem == (40401, None)


# Versions


DOCUMENTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "/v1/recipients/ada": ({"name": "Ada"}, {"name": "Ada L."}),
    PREFERENCES: ({"everything": False}, {"locale": "de"}),
    "/v1/tenants/fleet:acme": ({"channels": {"sms": False}}, {"channels": {"push": False}}),
    "/v1/segments/gold": (
        {"name": "Gold", "all": [{"field": "attribute.plan", "operator": "eq", "value": "gold"}]},
        {"name": "Silver", "all": []},
    ),
    "/v1/on-call/fleet:acme": ({"order": ["ada", "bea"]}, {"order": ["bea", "ada"]}),
}


@pytest.fixture
async def people(api: Caller) -> Caller:
    """Two of a fleet."""
    for id_ in ("ada", "bea"):
        await put(api, id_, {"kind": "fleet_manager", "fleets": ["acme"]})
    return api


@pytest.mark.parametrize("path", DOCUMENTS)
async def test_a_whole_document_is_written_over_the_version_that_its_writer_read_and_no_other(
    people: Caller, path: str
) -> None:
    """Given two who read the same version of a document
    When both write it back with what they changed, and name the version
    Then the first one's stands, and the second is told that there is another."""
    first, second = (json.dumps(each) for each in DOCUMENTS[path])
    assert (await people.call("PUT", path, first)).status == 204
    read = await people.call("GET", path)
    version = read.headers["ETag"]

    assert (await people.call("PUT", path, second, If_Match=version)).status == 204
    late = await people.call("PUT", path, first, If_Match=version)

    assert (late.status, late.problem) == (412, (41201, None))
    now = await people.call("GET", path)
    assert now.headers["ETag"] != version
    assert now.body != read.body
    for fits in (f'"another", {now.headers["ETag"]}', "*"):
        assert (await people.call("PUT", path, second, If_Match=fits)).status == 204
    assert (await people.call("PUT", path, second, If_Match="W/" + now.headers["ETag"])).status == 412
    assert (await people.call("PUT", path, second, If_None_Match="*")).status == 412
    assert (await people.call("GET", path)).headers["ETag"] == now.headers["ETag"]


@pytest.mark.parametrize("path", ["/v1/recipients/new", "/v1/segments/new", "/v1/tenants/host:new"])
@on_sqlite
async def test_what_must_not_be_there_yet_is_written_once(api: Caller, path: str) -> None:
    body = json.dumps({"name": "New"} if "tenants" not in path else {})

    assert (await api.call("PUT", path, body, If_Match="*")).status == 412
    assert (await api.call("PUT", path, body, If_None_Match="*")).status == 204
    assert (await api.call("PUT", path, body, If_None_Match="*")).status == 412


FIRST_WRITES = 5  # pairs of them: without the lock nineteen of twenty pairs were both taken


@pytest.mark.parametrize("path", ["/v1/recipients/new", "/v1/segments/new", "/v1/tenants/host:new"])
async def test_of_two_who_write_what_must_not_be_there_yet_at_once_one_is_told(api: Caller, path: str) -> None:
    """Given two who both found that there is no such document
    When both write it at once, on condition that it isn't there
    Then one has written it, and the other one is told that it is there."""
    body = json.dumps({"name": "New"} if "tenants" not in path else {})
    for number in range(FIRST_WRITES):
        both = (api.call("PUT", f"{path}{number}", body, If_None_Match="*") for _ in range(2))

        assert sorted(answer.status for answer in await asyncio.gather(*both)) == [204, 412]


@on_sqlite
async def test_a_patch_and_a_removal_name_a_version_too(people: Caller) -> None:
    assert (await patch(people, {"name": "Ada"}, If_Match='"old"')).status == 412
    answer = await people.call("PATCH", PREFERENCES, b'{"locale": "de"}', Content_Type=MERGE, If_Match='"old"')
    assert answer.status == 412
    await people.call("PUT", "/v1/segments/gold", json.dumps(DOCUMENTS["/v1/segments/gold"][0]))
    assert (await people.call("DELETE", "/v1/segments/gold", If_Match='"old"')).status == 412
    assert (await people.call("GET", "/v1/segments/gold")).status == 200


# Devices


async def test_devices_are_registered_refreshed_and_forgotten_one_by_one(api: Caller) -> None:
    """Given one service that writes people and another that writes their devices
    When both go on with their work, in any order
    Then neither takes anything away of what the other one wrote."""
    path = "/v1/recipients/ada/devices"
    await put(api, "ada", {"name": "Ada"})

    assert (await api.call("PUT", f"{path}/f:1_-2", b'{"platform": "ios", "last_seen": 5}')).status == 204
    assert (await api.call("PUT", f"{path}/t2")).status == 204
    await put(api, "ada", {"name": "Ada L."})
    assert (await api.call("PUT", f"{path}/f:1_-2", b"{}")).status == 204

    devices = sorted((await api.call("GET", path)).body["devices"], key=lambda each: str(each["value"]))
    now = api.clock.now()
    assert devices == [
        {"kind": "token", "value": "f:1_-2", "platform": "ios", "last_seen": now},
        {"kind": "token", "value": "t2", "platform": "android", "last_seen": now},
    ]
    for _ in range(2):
        assert (await api.call("DELETE", f"{path}/t2")).status == 204
    assert [each["value"] for each in (await api.call("GET", path)).body["devices"]] == ["f:1_-2"]
    assert (await get(api, "ada"))["name"] == "Ada L."


@on_sqlite
async def test_a_device_belongs_to_whoever_registered_it_last_and_nobody_elses_can_be_forgotten(api: Caller) -> None:
    for id_ in ("ada", "bea"):
        await put(api, id_, {})
        await api.call("PUT", f"/v1/recipients/{id_}/devices/shared", b"{}")

    await api.call("DELETE", "/v1/recipients/ada/devices/shared")

    assert (await api.call("GET", "/v1/recipients/ada/devices")).body == {"devices": []}
    assert len((await api.call("GET", "/v1/recipients/bea/devices")).body["devices"]) == 1


@on_sqlite
async def test_of_more_devices_than_anybody_has_the_ones_not_used_for_longest_are_forgotten(api: Caller) -> None:
    await put(api, "ada", {"devices": [{"value": f"d{number}", "last_seen": number} for number in range(20)]})

    await api.call("PUT", "/v1/recipients/ada/devices/new", b"{}")

    held = {each["value"] for each in (await api.call("GET", "/v1/recipients/ada/devices")).body["devices"]}
    assert held == {"new", *(f"d{number}" for number in range(1, 20))}


@on_sqlite
async def test_no_path_of_devices_makes_a_person(api: Caller) -> None:
    """What isn't there is said; nothing is written under a name that nobody meant."""
    await put(api, "ada", {})
    calls: list[Callable[[], Any]] = [
        lambda: api.call("PUT", "/v1/recipients/ada/devices", b"{}"),
        lambda: api.call("PUT", "/v1/recipients/nobody/devices/t", b"{}"),
        lambda: api.call("GET", "/v1/recipients/nobody/devices"),
        lambda: api.call("PUT", "/v1/recipients/ada/devices/t", b'{"os": "ios"}'),
        lambda: api.call("PUT", "/v1/recipients/ada/devices/a%20b", b"{}"),
    ]

    assert [(await call()).status for call in calls] == [405, 404, 404, 422, 422]
    assert (await api.call("GET", "/v1/recipients/ada/devices")).body == {"devices": []}
    assert (await api.call("GET", "/v1/recipients/nobody")).status == 404
