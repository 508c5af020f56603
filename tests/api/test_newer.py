"""A process of the release before, which meets what a newer one has written of a channel that only that one knows."""

import json
import re
from typing import Any

import pytest

from notifier.api.app import ENDPOINTS
from notifier.api.endpoints import Endpoint
from notifier.channels.inbox.spec import SPEC as INBOX
from notifier.store.core.schema import tenant
from tests import newer
from tests.api.server import Caller
from tests.channels.webhook.samples import SECRET
from tests.newer import EVENT, IDS, PIGEON
from tests.samples import LINKS, NOW

ADA = "/v1/recipients/ada"
URL = "https://hooks.example/in"
WEBHOOK = {"webhook": {"url": URL, "secret": SECRET}}
QUERIES = {"/v1/explain": f"?event={EVENT}", "/v1/events": f"?event={EVENT}", "/v1/replay": "?day=2026-03-09"}
READERS = [each for each in ENDPOINTS if each.method == "GET" and not each.path.endswith("/stream")]


def path(endpoint: Endpoint) -> str:
    """A path of the endpoint that leads to what the newer release has written."""
    token = {
        "/u/": LINKS.unsubscribe_url("ada", "charging", INBOX.channel),
        "/p/": LINKS.preference_url("ada", NOW),
        "/ma": LINKS.map_url("ada", NOW),
        "/c/": LINKS.click_url(IDS["failed"], "https://app.example.com"),
    }.get(endpoint.path[:3], "")
    named = {
        "id": IDS["failed"] if endpoint.path.startswith(("/v1/dead", "/v1/deliveries")) else "ada", "name": "network",
        "number": "40401", "version": "0", "type": "charging-complete",
        "token": token.rpartition("/")[2], "topic": "station:gent-3", "audience": "site:gent",
    }  # fmt: skip
    filled = re.sub(r"{(\w+)(:\w+)?}", lambda match: named[match[1]], endpoint.path)
    return filled + QUERIES.get(endpoint.path, "")


@pytest.fixture
async def api(api: Caller) -> Caller:
    await newer.write(api.engine.database)
    return api


async def test_every_route_reads_it_and_what_has_a_channel_shows_the_name(api: Caller) -> None:
    app = {"Authorization": f"Bearer {LINKS.app_token(INBOX.channel, 'ada', NOW)}"}
    showing = set()

    for endpoint in READERS:
        answer = await api.call("GET", path(endpoint), **(app if endpoint.path.startswith("/v1/inbox") else {}))
        assert answer.status in (200, 302, 404), endpoint.path
        assert newer.LOFT["ring"] not in json.dumps(answer.body), endpoint.path
        if PIGEON in json.dumps(answer.body):
            showing.add(endpoint.path)

    assert showing >= {
        "/v1/dead", "/v1/dead/{id}", "/v1/explain", "/v1/events", "/v1/deliveries", "/v1/deliveries/{id}", "/v1/ledger",
        *(f"/v1/recipients/{{id}}/{part}" for part in ("preferences/history", "consents", "export")),
    }  # fmt: skip


async def test_every_delivery_is_explained_by_its_channels_own_name(api: Caller) -> None:
    for state, id_ in IDS.items():
        answer = await api.call("GET", f"/v1/explain?delivery={id_}")

        told = {each["id"]: each for each in answer.body["decisions"][0]["deliveries"]}
        assert (told[id_]["channel"], told[id_]["state"]) == (PIGEON, state)
        assert any(f"by {PIGEON}" in each["words"] for each in answer.body["decisions"][0]["timeline"])


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("PUT", {"addresses": WEBHOOK}),
        ("PUT", {"addresses": {}}),
        ("PUT", {"name": "Ada"}),
        ("PATCH", {"addresses": WEBHOOK}),
        ("PATCH", {"addresses": None}),
        ("PATCH", {"name": "Ada"}),
    ],
)
async def test_a_write_of_addresses_keeps_that_of_the_other_channel(
    api: Caller, method: str, body: dict[str, Any]
) -> None:
    answer = await api.call(method, ADA, json.dumps(body))

    assert answer.status in (200, 204)
    given = (body.get("addresses") or {}).keys()
    assert await newer.held(api.engine.database, "addresses") == {
        PIGEON: newer.LOFT, **dict.fromkeys(given, WEBHOOK["webhook"]),
    }  # fmt: skip


async def test_an_import_keeps_it_too(api: Caller) -> None:
    answer = await api.call("POST", "/v1/recipients/import", json.dumps({"id": "ada", "addresses": WEBHOOK}))

    assert answer.body["written"] == 1
    assert await newer.held(api.engine.database, "addresses") == {PIGEON: newer.LOFT, **WEBHOOK}


async def test_what_is_shown_of_a_person_can_be_put_back(api: Caller) -> None:
    seen = (await api.call("GET", ADA)).body

    assert (await api.call("PUT", ADA, json.dumps(seen))).status == 204

    assert await newer.held(api.engine.database, "addresses") == {PIGEON: newer.LOFT}
    assert await newer.held(api.engine.database, "preferences") == newer.CHOSEN


@pytest.mark.parametrize(
    ("method", "path", "body", "after"),
    [
        ("PUT", f"{ADA}/preferences", {}, newer.CHOSEN),
        (
            "PUT", f"{ADA}/preferences", {"channels": {"sms": False}},
            {**newer.CHOSEN, "channels": {PIGEON: False, "sms": False}},
        ),
        ("PATCH", f"{ADA}/preferences", {"everything": False}, {**newer.CHOSEN, "everything": False}),
        (
            "PATCH", ADA, {"preferences": {"switches": {"charging": {"sms": True}}}},
            {**newer.CHOSEN, "switches": {"charging": {PIGEON: True, "sms": True}}},
        ),
        ("PUT", ADA, {"preferences": {"locale": "de"}}, {**newer.CHOSEN, "locale": "de"}),
    ],
)  # fmt: skip
async def test_a_write_of_choices_keeps_those_of_the_other_channel(
    api: Caller, method: str, path: str, body: dict[str, Any], after: dict[str, Any]
) -> None:
    answer = await api.call(method, path, json.dumps(body))

    assert answer.status in (200, 204), answer.body
    assert await newer.held(api.engine.database, "preferences") == after


async def test_a_write_of_presets_keeps_those_of_the_other_channel(api: Caller) -> None:
    answer = await api.call("PUT", "/v1/tenants/network", json.dumps({"locked": {"billing": ["sms"]}}))

    assert answer.status == 204
    (row,) = await api.rows(tenant)
    assert json.loads(row.defaults) == {**newer.PRESET, "locked": {"charging": [PIGEON], "billing": ["sms"]}}


@pytest.mark.parametrize("path", [f"{ADA}/preferences", "/v1/tenants/network"])
async def test_a_name_that_is_no_channel_is_refused_as_ever(api: Caller, path: str) -> None:
    answer = await api.call("PUT", path, json.dumps({"channels": {"sms": False, PIGEON: False}}))

    assert answer.status == 422


async def test_dead_letters_are_not_redriven_and_can_be_discarded(api: Caller) -> None:
    ids = json.dumps({"ids": [IDS["failed"], IDS["undelivered"]]})

    redriven = await api.call("POST", "/v1/dead/redrive", ids)
    discarded = await api.call("POST", "/v1/dead/discard", ids)

    assert {(each["status"], each["reason"]) for each in redriven.body["results"]} == {("refused", "channel_gone")}
    assert {each["status"] for each in discarded.body["results"]} == {"discarded"}
    assert len(await newer.rows(api.engine.database)) == len(IDS)


async def test_what_it_is_about_can_be_cancelled(api: Caller) -> None:
    answer = await api.call("POST", "/v1/cancel", json.dumps({"event": {"source": "csms", "id": "17"}}))

    assert answer.status == 200
