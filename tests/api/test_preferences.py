"""Preferences over HTTP: written whole or changed by members, with a history of who did; and what tenants preset."""

import json
from typing import Any
from urllib.parse import quote

import pytest

from notifier.domain.keys import make_key
from notifier.store.console import keys
from notifier.store.core.effects import effect
from notifier.store.core.schema import preference_change, recipient, tenant
from notifier.store.core.staff import audit
from tests.api.conftest import on_sqlite
from tests.api.server import EVERYTHING, Answer, Caller
from tests.samples import NOW

FULL: dict[str, Any] = {
    "everything": False,
    "locale": "fr",
    "time_zone": "Europe/Paris",
    "channels": {"sms": False},
    "categories": {"offers": True},
    "switches": {"charging": {"sms": True, "push": False}},
    "quiet_hours": {"from": "22:00", "until": "07:00"},
    "digests": {"operations": "hourly"},
}


async def change(api: Caller, method: str, body: Any, id_: str = "ada") -> Answer:
    return await api.call(method, f"/v1/recipients/{quote(id_, safe='')}/preferences", json.dumps(body))


async def chosen(api: Caller, id_: str = "ada") -> Any:
    answer = await api.call("GET", f"/v1/recipients/{quote(id_, safe='')}/preferences")
    assert answer.status == 200
    return answer.body


async def history(api: Caller, more: str = "") -> list[dict[str, Any]]:
    answer = await api.call("GET", f"/v1/recipients/ada/preferences/history{more}")
    assert answer.status == 200
    changes: list[dict[str, Any]] = answer.body["changes"]
    return changes


@pytest.fixture
async def ada(api: Caller) -> None:
    await api.call("PUT", "/v1/recipients/ada", b'{"name": "Ada"}')


async def test_what_is_put_is_what_is_got_and_the_recipient_shows_it(api: Caller, ada: None) -> None:
    assert await chosen(api) == {}

    assert (await change(api, "PUT", FULL)).status == 204

    assert await chosen(api) == FULL
    assert (await api.call("GET", "/v1/recipients/ada")).body["preferences"] == FULL


async def test_a_patch_changes_what_it_names_and_null_takes_away(api: Caller, ada: None) -> None:
    await change(api, "PUT", FULL)

    answer = await change(
        api,
        "PATCH",
        {"everything": None, "locale": "de_at", "switches": {"charging": {"sms": None}, "payments": {"email": False}}},
    )

    expected = FULL | {"locale": "de-AT", "switches": {"charging": {"push": False}, "payments": {"email": False}}}
    del expected["everything"]
    assert (answer.status, answer.body) == (200, expected)
    assert await chosen(api) == expected


async def test_what_is_switched_off_for_a_person_is_counted_and_what_services_know_of_them_is_not(
    api: Caller, ada: None
) -> None:
    # Given somebody whom a service knows, and who hears no offers
    await api.call("PUT", "/v1/recipients/bob", b'{"preferences": {"categories": {"offers": false}}}')

    # When an app switches charging off for each
    for id_ in ("ada", "bob", "bob"):
        await change(api, "PATCH", {"categories": {"charging": False}}, id_)

    # Then that alone is counted
    counted = await api.rows(effect)
    assert sorted((each.variant, each.channel, each.what) for each in counted) == [("charging", "", "switched_off")] * 2


async def test_every_change_is_in_the_history_with_who_made_it_and_what_changes_nothing_is_not(
    api: Caller, ada: None
) -> None:
    # Given two services, of which the second repeats what the first one did
    await change(api, "PUT", {"channels": {"sms": False}})
    api.clock.advance(1000)
    text, key = make_key("app", EVERYTHING, 0)
    await keys.add(api.engine.database, key)
    api.key = text
    await change(api, "PATCH", {"channels": {"sms": False}})
    await change(api, "PATCH", {"channels": None})
    api.clock.advance(1000)
    await api.call("PUT", "/v1/recipients/ada", b'{"preferences": {"categories": {"offers": false}}}')

    # Then the history tells three changes, newest first
    told = [(each["actor"], each["preferences"]) for each in await history(api)]
    assert told == [
        ("app", {"categories": {"offers": False}}),
        ("app", {}),
        ("test", {"channels": {"sms": False}}),
    ]
    assert (await history(api, "?limit=1"))[0]["at"] == "2026-03-09T17:40:02Z"


async def test_the_import_is_a_change_of_whoever_imports(api: Caller, ada: None) -> None:
    lines = [{"id": "ada", "preferences": {"channels": {"push": False}}}, {"id": "bob"}]

    await api.call("POST", "/v1/recipients/import", "\n".join(map(json.dumps, lines)))
    await api.call("POST", "/v1/recipients/import", b'{"id": "ada", "name": "Ada"}')

    assert await chosen(api) == {"channels": {"push": False}}
    assert [(row.recipient_id, row.actor) for row in await api.rows(preference_change)] == [("ada", "test")]


@pytest.mark.parametrize("id_", ["preferences", "import", "Ä€😀", "history", "..."])
@on_sqlite
async def test_ids_that_are_words_of_the_paths_have_preferences_too(api: Caller, id_: str) -> None:
    await api.call("PUT", f"/v1/recipients/{quote(id_, safe='')}", b"{}")

    assert (await change(api, "PUT", FULL, id_)).status == 204

    assert await chosen(api, id_) == FULL
    assert (await api.call("GET", f"/v1/recipients/{quote(id_, safe='')}/preferences/history")).status == 200
    assert [row.id for row in await api.rows(recipient)] == [id_]


@on_sqlite
async def test_what_hangs_on_a_recipient_is_never_taken_for_another_recipient(api: Caller, ada: None) -> None:
    assert (await api.call("DELETE", "/v1/recipients/ada/preferences")).problem == (40501, None)
    assert (await api.call("PUT", "/v1/recipients/ada/consents", b"{}")).problem == (40501, None)
    assert [row.id for row in await api.rows(recipient)] == ["ada"]


@pytest.mark.parametrize(
    ("method", "body", "problem"),
    [
        ("PUT", b"{", (40001, None)),
        ("PUT", b"[]", (42203, None)),
        ("PATCH", b"[]", (42203, None)),
        ("PATCH", b"null", (42203, None)),
        ("PUT", b'{"chanels": {}}', (42203, "/chanels")),
        ("PATCH", b'{"chanels": {}}', (42203, "/chanels")),
        ("PATCH", b'{"channels": {"fax": true}}', (42203, "/channels")),
        ("PATCH", b'{"channels": {"sms": "no"}}', (42203, "/channels")),
        ("PATCH", b'{"locale": "german"}', (42203, "/locale")),
        ("PUT", b'{"time_zone": "Berlin"}', (42203, "/time_zone")),
        ("PATCH", b'{"quiet_hours": {"from": "25:00"}}', (42203, "/quiet_hours/from")),
        ("PATCH", b'{"quiet_hours": {"until": null}}', (42203, "/quiet_hours/until")),
        ("PATCH", b'{"categories": {"a b": true}}', (42203, "/categories")),
        ("PATCH", b"{" + b'"a": {' * 9_000, (40001, None)),
        ("PUT", b"{}" + b" " * 65_536, (41301, None)),
    ],
)
@on_sqlite
async def test_what_does_not_fit_is_told_with_its_place_and_changes_nothing(
    api: Caller, ada: None, method: str, body: bytes, problem: tuple[int, str | None]
) -> None:
    await change(api, "PUT", FULL)

    answer = await api.call(method, "/v1/recipients/ada/preferences", body)

    assert answer.problem == problem
    assert await chosen(api) == FULL
    assert len(await history(api)) == 1


@on_sqlite
async def test_patches_can_not_grow_a_document_without_end(api: Caller, ada: None) -> None:
    first = await change(api, "PATCH", {"categories": {f"a{number}": True for number in range(200)}})
    second = await change(api, "PATCH", {"categories": {"one-more": True}})

    assert (first.status, second.problem) == (200, (42203, "/categories"))


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "preferences"), ("PUT", "preferences"), ("PATCH", "preferences"), ("GET", "preferences/history"),
     ("GET", "consents"), ("GET", "export")],
)  # fmt: skip
@on_sqlite
async def test_nobody_has_any_who_was_never_put(api: Caller, method: str, path: str) -> None:
    assert (await api.call(method, f"/v1/recipients/nobody/{path}", b"{}")).problem == (40401, None)


PRESETS = {
    "categories": {"offers": False},
    "locked": {"security": [], "charging": ["push"]},
    "quiet_hours": {"from": "21:00", "until": "08:00"},
}


@pytest.mark.parametrize("name", ["network", "fleet:acme", "host:mall/7", "fleet:Ä€😀"])
async def test_what_a_tenant_presets_is_put_whole_read_back_and_audited(api: Caller, name: str) -> None:
    path = f"/v1/tenants/{quote(name, safe='')}"
    assert (await api.call("GET", path)).problem == (40401, None)

    assert (await api.call("PUT", path, b'{"digests": {"operations": "daily"}}')).status == 204
    assert (await api.call("PUT", path, json.dumps(PRESETS))).status == 204

    assert (await api.call("GET", path)).body == PRESETS
    assert [row.name for row in await api.rows(tenant)] == [name]
    told = [(row.actor, row.action, row.subject, row.at) for row in await api.rows(audit)]
    assert told == [("test", "tenant.put", name, NOW)] * 2


@pytest.mark.parametrize("name", ["acme", "fleet", "network2", "driver:ada", "fleet:a%20b", "fleet:" + "x" * 100, ""])
@on_sqlite
async def test_nothing_else_is_a_tenant(api: Caller, name: str) -> None:
    answer = await api.call("PUT", f"/v1/tenants/{name}", b"{}")

    assert answer.problem == (42205, None)
    assert await api.rows(tenant) == []


@on_sqlite
async def test_presets_that_do_not_fit_are_told_with_their_place(api: Caller) -> None:
    answer = await api.call("PUT", "/v1/tenants/network", b'{"locked": {"security": ["fax"]}}')

    assert answer.problem == (42205, "/locked/0")
