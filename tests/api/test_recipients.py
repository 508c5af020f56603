"""Recipients over HTTP: written whole, read as written, and refused with the place where they don't fit."""

import json
from typing import Any
from urllib.parse import quote

import pytest

from notifier.store.core.schema import device, membership, recipient
from tests.api.conftest import on_sqlite
from tests.api.server import Caller

ADA: dict[str, Any] = {
    "kind": "driver",
    "name": "Ada",
    "email": "ada@example.com",
    "phone": "+4915123456789",
    "locale": "de-AT",
    "time_zone": "Europe/Vienna",
    "devices": [
        {"kind": "token", "value": "token-1", "platform": "android", "last_seen": 1_773_078_000_000},
        {"kind": "fid", "value": "fid-1", "platform": "ios", "last_seen": 0},
    ],
    "tokens": ["NL-TST-C1", "NL-TST-C2"],
    "fleets": ["acme"],
    "sites": ["gent"],
    "teams": ["csms"],
    "addresses": {},
    "region": "DE",
    "tenants": ["fleet:acme"],
    "attributes": {"plan": "gold", "sessions": 12},
    "preferences": {"switches": {"charging": {"sms": False, "push": True}}},
}
NOBODY: dict[str, Any] = {
    "kind": "driver", "name": None, "email": None, "phone": None, "locale": "en", "time_zone": "UTC", "devices": [],
    "addresses": {}, "tokens": [], "fleets": [], "sites": [], "teams": [], "region": None, "tenants": [],
    "attributes": {}, "preferences": {},
}  # fmt: skip


async def put(api: Caller, id_: str, details: dict[str, Any]) -> None:
    answer = await api.call("PUT", f"/v1/recipients/{quote(id_, safe='')}", json.dumps(details))
    assert (answer.status, answer.body) == (204, "")


async def get(api: Caller, id_: str) -> dict[str, Any]:
    answer = await api.call("GET", f"/v1/recipients/{quote(id_, safe='')}")
    assert answer.status == 200
    held: dict[str, Any] = answer.body
    held["devices"].sort(key=lambda each: each["value"], reverse=True)
    return held


async def test_what_is_put_is_what_is_got(api: Caller) -> None:
    await put(api, "ada", ADA)

    assert await get(api, "ada") == ADA


async def test_what_is_got_can_be_put_back_as_it_is(api: Caller) -> None:
    await put(api, "ada", ADA)
    before = await get(api, "ada")

    await put(api, "ada", before)

    assert await get(api, "ada") == before


async def test_a_put_is_the_whole_recipient(api: Caller) -> None:
    # Given a recipient with everything
    await put(api, "ada", ADA)

    # When it is put again with nothing, then nothing of it is left but what others write too
    await put(api, "ada", {})
    assert await get(api, "ada") == NOBODY | {"preferences": ADA["preferences"], "devices": ADA["devices"]}

    # When it says that there are no devices, then there are none
    await put(api, "ada", {"devices": []})
    assert await get(api, "ada") == NOBODY | {"preferences": ADA["preferences"]}
    assert await api.rows(device) == []
    assert [row.audience for row in await api.rows(membership)] == ["driver:ada"]


async def test_a_put_changes_nobody_else(api: Caller) -> None:
    await put(api, "ada", ADA)
    await put(api, "bob", NOBODY | {"name": "Bob"})

    await put(api, "bob", NOBODY)

    assert await get(api, "ada") == ADA


async def test_addresses_are_kept_in_their_canonical_form(api: Caller) -> None:
    await put(api, "ada", {"email": "ada@EXAMPLE.com", "phone": "+49 151 23456789", "locale": "de_at"})

    held = await get(api, "ada")
    assert (held["email"], held["phone"], held["locale"]) == ("ada@example.com", "+4915123456789", "de-AT")


async def test_a_device_belongs_to_who_registered_it_last(api: Caller) -> None:
    await put(api, "ada", {"devices": [{"value": "shared"}, {"value": "own"}]})

    await put(api, "bob", {"devices": [{"value": "shared"}]})

    assert [each["value"] for each in (await get(api, "ada"))["devices"]] == ["own"]
    assert [each["value"] for each in (await get(api, "bob"))["devices"]] == ["shared"]


@pytest.mark.parametrize("id_", ["import", "Ä€😀", "a%2Fb", "...", "x" * 100, "a?b#c;d=e&f+g", "'\"\\"])
async def test_any_word_may_be_an_id(api: Caller, id_: str) -> None:
    await put(api, id_, {"name": "Ada"})

    assert (await get(api, id_))["name"] == "Ada"
    assert [row.id for row in await api.rows(recipient)] == [id_]


async def test_ids_are_told_apart_by_case_and_accent(api: Caller) -> None:
    for id_ in ("ada", "Ada", "adá", "a\u0301da"):
        await put(api, id_, {"name": id_.encode().hex()})

    for id_ in ("ada", "Ada", "adá", "a\u0301da"):
        assert (await get(api, id_))["name"] == id_.encode().hex()


@pytest.mark.parametrize(
    "id_", ["%00", "a%20b", "a%09b", "x" * 101, "%C2%A0", "%E2%80%A8", "..", "a%E2%80%8Bb", "%EF%BB%BFa"]
)
@pytest.mark.parametrize("method", ["PUT", "GET"])
@on_sqlite
async def test_what_is_no_word_is_no_id(api: Caller, method: str, id_: str) -> None:
    answer = await api.call(method, f"/v1/recipients/{id_}", b"{}" if method == "PUT" else None)

    assert answer.problem == (42203, None)
    assert await api.rows(recipient) == []


async def test_nobody_is_found_under_an_id_that_was_never_put(api: Caller) -> None:
    assert (await api.call("GET", "/v1/recipients/nobody")).problem == (40401, None)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", (40001, None)),
        (b"{", (40001, None)),
        (b'{"name": "\xff"}', (40001, None)),
        (b"[" * 10_000, (42203, None)),
        (b'{"name":' + b"[" * 10_000, (42203, "/name")),
        (b"[]", (42203, None)),
        (b'{"nmae": "Ada"}', (42203, "/nmae")),
        (b'{"id": "ada"}', (42203, "/id")),
        (b'{"kind": "admin"}', (42203, "/kind")),
        (b'{"name": "Ada\\nLovelace"}', (42203, "/name")),
        (b'{"name": "Ada\\u0000"}', (42203, "/name")),
        (b'{"email": "ada"}', (42203, "/email")),
        (b'{"email": "ada@example.com\\r\\nBcc: eve@example.com"}', (42203, "/email")),
        (b'{"phone": "0151 23456789"}', (42203, "/phone")),
        (b'{"locale": "german"}', (42203, "/locale")),
        (b'{"time_zone": "Berlin"}', (42203, "/time_zone")),
        (b'{"devices": [{"value": "t"}, {"platform": "ios"}]}', (42203, "/devices/1/value")),
        (b'{"devices": [{"value": "t", "os": "ios"}]}', (42203, "/devices/0/os")),
        (b'{"devices": [{"value": "t", "last_seen": 1e30}]}', (42203, "/devices/0/last_seen")),
        (b'{"tokens": ["a", ""]}', (42203, "/tokens/1")),
        (b'{"preferences": {"switches": {"charging": {"fax": true}}}}', (42203, "/preferences/switches")),
        (b'{"name": "Ada"}' + b" " * 65_536, (41301, None)),
    ],
)
@on_sqlite
async def test_what_does_not_fit_is_told_with_its_place_and_changes_nothing(
    api: Caller, body: bytes, problem: tuple[int, str | None]
) -> None:
    await put(api, "ada", ADA)

    answer = await api.call("PUT", "/v1/recipients/ada", body)

    assert answer.problem == problem
    assert await get(api, "ada") == ADA


@pytest.mark.parametrize(
    "details", [{"email": "c4n4ry"}, {"phone": "+c4n4ry"}, {"locale": "c4n4ry"}, {"kind": "c4n4ry"}]
)
@on_sqlite
async def test_no_answer_repeats_what_it_refuses(api: Caller, details: dict[str, Any]) -> None:
    answer = await api.call("PUT", "/v1/recipients/ada", json.dumps(details))

    assert answer.status == 422
    assert "c4n4ry" not in str(answer)
