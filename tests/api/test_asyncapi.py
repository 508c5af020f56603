"""The AsyncAPI document: sound by the standard's own parser, complete, and true to what is taken and sent."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from notifier.api import asyncapi
from notifier.api.app import ENDPOINTS
from notifier.api.openapi import document
from notifier.api.outbound import outbound
from notifier.changes.views import ChangesBatch
from notifier.channels.webhook.bodies import encode
from notifier.domain.catalog import Catalog
from tests.api.conftest import on_sqlite
from tests.api.server import Caller
from tests.api.test_openapi import DOCUMENT as OPENAPI
from tests.channels.webhook.samples import webhook
from tests.conftest import absent
from tests.fetched import fetched
from tests.samples import CATALOG

Json = dict[str, Any]
HERE = Path(__file__).parent
PARSER = ("@asyncapi/parser@3.6.6",)
NOT_THE_NEWEST = "asyncapi-latest-version"
"""The one thing that the parser remarks: 3.0.0 is what more tools read."""

DOCUMENT = asyncapi.document(OPENAPI, outbound(), CATALOG, "https://notify.example.com")


def fits(value: Any, schema: Json) -> None:
    """Raise where a value is not what a schema of the document says."""
    jsonschema.Draft7Validator({**schema, "components": DOCUMENT["components"]}).validate(value)


@pytest.fixture(scope="module")
def parser(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program that parses a document."""
    npm = shutil.which("npm") or absent("needs npm")
    tools = fetched(PARSER, npm, "install", "--silent", "--no-fund", "--no-audit", "--prefix", "{}")
    folder = tmp_path_factory.mktemp("asyncapi")
    (folder / "node_modules").symlink_to(tools / "node_modules")
    return Path(shutil.copy(HERE / "check_asyncapi.mjs", folder))


def parsed(parser: Path, document: Json) -> Json:
    """What the standard's parser says of a document."""
    node = shutil.which("node") or absent("needs node")
    file = parser.with_name("asyncapi.json")
    file.write_text(json.dumps(document))
    told: Json = json.loads(subprocess.run([node, parser, file], check=True, capture_output=True).stdout)
    return told


@pytest.mark.timeout(300)  # the parser is fetched once
def test_who_wrote_the_standards_parser_finds_no_fault(parser: Path) -> None:
    told = parsed(parser, DOCUMENT)

    assert [each for each in told["found"] if each[0] != NOT_THE_NEWEST] == []
    assert told["messages"] == len(CATALOG.event_types) + len(outbound())


@pytest.mark.timeout(300)
def test_an_event_may_have_any_name_and_the_service_a_path(parser: Path) -> None:
    # Given events whose names no reference can hold
    kind = CATALOG.types["payment-failed"]
    names = ["Zahlung fehlgeschlagen/1", "Zahlung fehlgeschlagen_1", "платёж"]
    catalog = Catalog([msgspec.structs.replace(kind, id=str(place), event=name) for place, name in enumerate(names)])

    told = parsed(
        parser,
        asyncapi.document(document(ENDPOINTS, [], catalog, "1.2.3"), [], catalog, "http://example.com:8080/notifier"),
    )

    assert [each for each in told["found"] if each[0] != NOT_THE_NEWEST] == []


def test_each_event_type_is_a_message_with_examples_that_fit_and_who_would_hear() -> None:
    messages = DOCUMENT["components"]["messages"]

    for event in CATALOG.event_types:
        told = messages[event]
        assert told["examples"]
        for example in told["examples"]:
            assert example["payload"]["type"] == event
            fits(example["payload"], told["payload"])
        for kind in CATALOG.listeners.get(event, []):
            assert f"“{kind.name}”: It is for " in told["description"]


def test_a_webhook_is_what_is_told_of_it() -> None:
    told = DOCUMENT["components"]["messages"]["notification"]

    fits(json.loads(encode(webhook())), told["payload"])
    for example in told["examples"]:
        fits(example["payload"], told["payload"])
        assert example["payload"]["data"].keys() == json.loads(encode(webhook()))["data"].keys()


def test_a_batch_of_changes_is_what_is_told_of_it() -> None:
    told = DOCUMENT["components"]["messages"]["changes"]

    for example in told["examples"]:
        fits(example["payload"], told["payload"])
        # and what is sent has these members and no others
        sent = msgspec.to_builtins(msgspec.convert(example["payload"], ChangesBatch))
        assert sent == example["payload"]


def test_messages_to_endpoints_are_the_webhooks_of_the_openapi_document() -> None:
    for name, told in OPENAPI["webhooks"].items():
        message, body = DOCUMENT["components"]["messages"][name], told["post"]["requestBody"]["content"]
        assert message["payload"] == body["application/json"]["schema"]
        assert message["headers"]["required"] == [each["name"] for each in told["post"]["parameters"]]
        assert [each["payload"] for each in message["examples"]] == [
            each["value"] for each in body["application/json"]["examples"].values()
        ]


def test_it_has_the_schemas_of_the_openapi_document_and_none_without_use() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    encoded = json.dumps(DOCUMENT)

    for name, schema in schemas.items():
        assert f'"#/components/schemas/{name}"' in encoded
        assert OPENAPI["components"]["schemas"][name] == schema


@on_sqlite
async def test_it_is_served_to_anybody(api: Caller) -> None:
    answer = await api.call("GET", "/asyncapi.json", Authorization="")

    assert answer.body["components"] == DOCUMENT["components"]
    assert answer.body["channels"] == DOCUMENT["channels"]
