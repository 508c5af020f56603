"""An endpoint over HTTP: written, shown without what proves who we are, and kept where what was shown is put back."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import sqlalchemy as sa

from notifier.people.export import export_recipient
from notifier.runtime.settings import Settings
from notifier.store.core.database import Database
from notifier.store.core.schema import recipient
from notifier.store.people import erasures
from tests.api.conftest import on_sqlite
from tests.api.server import Caller, application
from tests.channels.webhook.samples import OLD_SECRET, SECRET
from tests.samples import NOW

URL = "https://hooks.example/in"
WHOLE = {"kind": "site_operator", "sites": ["gent-zuid"], "addresses": {"webhook": {"url": URL, "secret": SECRET}}}
PATH = "/v1/recipients/ops"


@pytest.fixture
async def api(database: Database, valkey: str) -> AsyncIterator[Caller]:
    async with application(database, valkey, settings=Settings(channels={"webhook_nets": "127.0.0.0/8"})) as caller:
        yield caller


async def held(api: Caller) -> dict[str, Any]:
    """What the store has."""
    async with api.engine.database.engine.connect() as connection:
        found = (await connection.execute(sa.select(recipient.c.addresses))).scalar_one()
    decoded: dict[str, Any] = json.loads(found or "{}")
    return decoded


async def test_nobody_is_shown_a_secret_and_what_is_shown_can_be_put_back(api: Caller) -> None:
    # Given
    assert (await api.call("PUT", PATH, json.dumps(WHOLE))).status == 204

    # When it is read
    answer = await api.call("GET", PATH)

    # Then it is shown without the secret
    assert answer.body["addresses"] == {"webhook": {"url": URL}}
    assert SECRET not in json.dumps(answer.body)

    # And when it is put back as it was shown, over the version that was seen, then the secret is what it was
    again = await api.call("PUT", PATH, json.dumps(answer.body | {"name": "Gent"}), If_Match=answer.headers["ETag"])
    assert again.status == 204
    assert await held(api) == {"webhook": {"url": URL, "secret": SECRET}}


async def test_a_secret_that_was_changed_is_another_version(api: Caller) -> None:
    # Given somebody who has read it
    await api.call("PUT", PATH, json.dumps(WHOLE))
    seen = (await api.call("GET", PATH)).headers["ETag"]

    # When the secret is replaced meanwhile
    patch = {"addresses": {"webhook": {"secret": OLD_SECRET, "previous_secret": SECRET}}}
    answer = await api.call("PATCH", PATH, json.dumps(patch), If_Match=seen)
    assert (answer.status, answer.body["addresses"]) == (200, {"webhook": {"url": URL}})

    # Then they see the same, and write over it no more
    assert answer.headers["ETag"] != seen
    assert (await api.call("PUT", PATH, json.dumps(WHOLE), If_Match=seen)).problem == (41201, None)
    assert (await held(api))["webhook"] == {"url": URL, "secret": OLD_SECRET, "previous_secret": SECRET}

    # And the old one is taken away by name, without anybody knowing the new one
    await api.call("PATCH", PATH, json.dumps({"addresses": {"webhook": {"previous_secret": None}}}))
    assert (await held(api))["webhook"] == {"url": URL, "secret": OLD_SECRET}


async def test_a_put_with_a_null_ends_a_rotation(api: Caller) -> None:
    # Given an endpoint whose secret is being replaced
    webhook = {"url": URL, "secret": OLD_SECRET, "previous_secret": SECRET}
    await api.call("PUT", PATH, json.dumps(WHOLE | {"addresses": {"webhook": webhook}}))

    # When the old secret is taken away by whoever knows neither
    ended = WHOLE | {"addresses": {"webhook": {"url": URL, "previous_secret": None}}}
    assert (await api.call("PUT", PATH, json.dumps(ended))).status == 204

    # Then the new one alone is kept
    assert await held(api) == {"webhook": {"url": URL, "secret": OLD_SECRET}}


@pytest.mark.parametrize("empty", [{"addresses": {}}, {"addresses": {"webhook": None}}])
async def test_an_endpoint_is_taken_away(api: Caller, empty: dict[str, Any]) -> None:
    await api.call("PUT", PATH, json.dumps(WHOLE))
    # What says nothing of it leaves it alone
    await api.call("PUT", PATH, json.dumps({"name": "Gent"}))
    assert "webhook" in await held(api)

    await api.call("PUT", PATH, json.dumps(empty))

    assert await held(api) == {}


@pytest.mark.parametrize(
    ("endpoint", "place"),
    [
        ({"url": "https://127.1/", "secret": SECRET}, "url"),
        ({"url": "https://10.0.0.1/", "secret": SECRET}, "url"),
        ({"secret": SECRET}, "url"),
        ({"url": URL}, "secret"),
        ({"url": URL, "secret": "canary-secret"}, "secret"),
        ({"url": URL, "secret": SECRET, "format": "discord"}, "format"),
        ({"url": URL, "secret": SECRET, "header": "x"}, "header"),
    ],
)
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@on_sqlite
async def test_what_does_not_fit_is_told_with_its_place(
    api: Caller, method: str, endpoint: dict[str, Any], place: str
) -> None:
    await api.call("PUT", PATH, "{}")

    answer = await api.call(method, PATH, json.dumps({"addresses": {"webhook": endpoint}}))

    assert answer.problem == (42203, f"/addresses/webhook/{place}")
    assert "canary" not in json.dumps(answer.body)
    assert await held(api) == {}


@on_sqlite
async def test_a_permitted_network_is_taken_at_the_edge(api: Caller) -> None:
    inside = {"addresses": {"webhook": {"url": "http://127.0.0.1:8025/hook", "secret": SECRET}}}
    assert (await api.call("PUT", PATH, json.dumps(inside))).status == 204


@on_sqlite
async def test_a_line_of_the_import_is_whole(api: Caller) -> None:
    lines = [
        {"id": "good", "addresses": {"webhook": {"url": URL, "secret": SECRET}}},
        {"id": "bad", "addresses": {"webhook": {"url": "https://127.1/", "secret": SECRET}}},
        {"id": "half", "addresses": {"webhook": {"url": URL}}},
    ]
    answer = await api.call("POST", "/v1/recipients/import", "\n".join(map(json.dumps, lines)))

    assert (answer.body["written"], answer.body["refused"]) == (1, 2)
    assert [each["problem"]["pointer"] for each in answer.body["refusals"]] == [
        "/addresses/webhook/url", "/addresses/webhook/secret",
    ]  # fmt: skip


async def test_an_export_has_the_endpoint_without_its_secret_and_an_erasure_takes_it_away(api: Caller) -> None:
    # Given
    await api.call("PUT", PATH, json.dumps(WHOLE))

    # When
    pieces = await export_recipient(api.engine.database, "ops")
    assert pieces is not None
    exported = b"".join([piece async for piece in pieces]).decode()

    # Then
    assert json.loads(exported)["recipient"]["addresses"] == {"webhook": {"url": URL}}
    assert SECRET not in exported

    # And when they are erased
    await erasures.begin(api.engine.database, ["ops"], "test", NOW)
    assert await api.rows(recipient) == []


@on_sqlite
async def test_the_documents_name_an_endpoints_members(api: Caller) -> None:
    document = (await api.call("GET", "/openapi.json")).body
    assert set(document["components"]["schemas"]["WebhookEndpoint"]["properties"]) == {
        "url", "format", "secret", "previous_secret",
    }  # fmt: skip
