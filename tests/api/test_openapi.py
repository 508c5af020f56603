"""The OpenAPI document: sound in itself, complete, and true to what the routes take and answer."""

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import msgspec
import openapi_spec_validator
import pytest

from notifier.api.app import ENDPOINTS
from notifier.api.endpoints import Endpoint, SignatureScheme, TokenScheme
from notifier.api.openapi import document
from notifier.api.outbound import OutboundMessage, outbound
from notifier.domain.catalog import Catalog
from notifier.domain.keys import SCOPES
from notifier.domain.problems import TITLES
from notifier.domain.standard_webhooks import signed_headers
from tests.api.conftest import on_sqlite
from tests.api.server import Answer, Caller
from tests.samples import CATALOG, EVENT, encoded

Json = dict[str, Any]
TRIAL = {"event": {"type": EVENT["type"], "data": {**EVENT["data"], "driver_id": "ada"}}, "recipient": "ada"}
DOCUMENT = document(ENDPOINTS, outbound(), CATALOG, "1.2.3")
OPERATIONS = {
    (method.upper(), path): told for path, methods in DOCUMENT["paths"].items() for method, told in methods.items()
}


def every(value: Any) -> Iterator[Json]:
    """Every object in the document."""
    if isinstance(value, dict):
        yield value
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from every(each)


def resolve(reference: str) -> Any:
    found: Any = DOCUMENT
    for part in reference.removeprefix("#/").split("/"):
        found = found[part.replace("~1", "/").replace("~0", "~")]
    return found


def fits(value: Any, schema: Json) -> None:
    """Raise where a value is not what a schema of the document says."""
    jsonschema.Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(value)


def test_it_says_what_every_openapi_document_must() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    assert DOCUMENT["info"]["version"] == "1.2.3"
    assert json.loads(json.dumps(DOCUMENT)) == DOCUMENT


def test_who_wrote_the_standards_validator_finds_no_fault() -> None:
    openapi_spec_validator.validate(DOCUMENT)


def test_every_reference_leads_somewhere_and_every_schema_is_one() -> None:
    references = {found["$ref"] for found in every(DOCUMENT) if "$ref" in found}

    assert references
    for reference in references:
        assert resolve(reference)
    for schema in DOCUMENT["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_every_schema_is_of_use() -> None:
    references = {found["$ref"].rpartition("/")[2] for found in every(DOCUMENT) if "$ref" in found}
    schemas = set(DOCUMENT["components"]["schemas"])

    assert schemas == references


def test_every_pattern_is_one_for_ecmascript_go_and_re2_too() -> None:
    # Python's own escapes mean something else to ECMAScript; Go and RE2 know no look-around and no \\u.
    for found in every(DOCUMENT):
        if "pattern" in found and isinstance(found["pattern"], str):
            assert not re.search(r"\\[AZzhHNu]|\(\?", found["pattern"])


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: f"{endpoint.method} {endpoint.path}")
def test_every_endpoint_is_told_with_its_scope_its_parameters_and_its_problems(endpoint: Endpoint) -> None:
    path = re.sub(r":\w+}", "}", endpoint.path)

    told = OPERATIONS[endpoint.method, path]

    assert told["summary"]
    assert told["description"]
    scheme = endpoint.signed_by
    by_name: dict[str, list[str]] = {scheme.name: []} if isinstance(scheme, SignatureScheme | TokenScheme) else {}
    schemes = {"key": [endpoint.scope]} if endpoint.scope else by_name
    assert told["security"] == ([schemes] if schemes else [])
    asked = [field.name for field in msgspec.structs.fields(endpoint.query)] if endpoint.query else []
    sent = [field.encode_name for field in msgspec.structs.fields(endpoint.headers)] if endpoint.headers else []
    conditions = ["If-Match", "If-None-Match"] if 41201 in endpoint.problems else []
    needed = (
        [field.name for field in msgspec.structs.fields(endpoint.query) if field.required] if endpoint.query else []
    )
    required = [each["name"] for each in told.get("parameters", []) if each["in"] == "query" and "required" in each]
    assert required == needed
    named = [each["name"] for each in told.get("parameters", [])]
    assert named == [*re.findall(r"{(\w+)}", path), *asked, *sent, *conditions]
    assert ("requestBody" in told) == bool(endpoint.takes)
    assert all(response["description"] for response in told["responses"].values())
    expected = {str(number // 100) for number in endpoint.problems} | {str(status) for status in endpoint.gives}
    # An address that is no text is refused before a handler sees it; a body that is coded, cut off, slow or large, too.
    expected |= {"401", "403", "422"} if endpoint.scope else set()
    expected |= {"404"} if "{" in path else set()
    expected |= {"400", "408", "413", "415"} if endpoint.takes else set()
    assert expected <= set(told["responses"])


def test_nothing_else_is_told_and_every_name_is_its_own() -> None:
    webhooks = [told["post"] for told in DOCUMENT["webhooks"].values()]
    names = [told["operationId"] for told in [*OPERATIONS.values(), *webhooks]]

    assert len(OPERATIONS) == len(ENDPOINTS)
    assert len(webhooks) == len(outbound())
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("message", outbound(), ids=lambda message: message.name)
def test_every_message_to_endpoints_of_others_is_a_webhook_that_is_signed(message: OutboundMessage) -> None:
    told = DOCUMENT["webhooks"][message.name]["post"]

    # Then its example is of the type that encodes what is sent, member by member, and it needs no key of the receiver
    body = told["requestBody"]["content"]["application/json"]
    for example in body["examples"].values():
        fits(example["value"], body["schema"])
        assert msgspec.to_builtins(msgspec.convert(example["value"], message.body)) == example["value"]
    named = [each["name"] for each in told["parameters"] if each["in"] == "header" and each["required"]]
    assert named == list(signed_headers([b"secret"], "id", 0, b""))
    assert told["security"] == []
    assert list(told["responses"]) == ["2XX", "410"]


def test_every_problem_that_a_route_may_answer_is_told_somewhere() -> None:
    told = {
        int(number)
        for found in every(DOCUMENT)
        for number in re.findall(r"\b\d{5}\b", str(found.get("description", "")))
    }

    # What no route answers: addresses and methods that aren't there, and what the console and the shell tell of texts.
    # Apps' tokens are a channel's, and there may be no such channel.
    assert set(TITLES) - told <= {40103, 40401, 40501, 40902, 42207}


def test_the_schemes_and_the_scopes_are_those_in_use() -> None:
    used = [each for told in OPERATIONS.values() for each in told["security"]]

    assert {scope for each in used for scope in each.get("key", [])} == set(SCOPES)
    assert {scheme for each in used for scheme in each} == set(DOCUMENT["components"]["securitySchemes"])


@pytest.mark.parametrize("kind", CATALOG.types.values(), ids=lambda kind: kind.id)
def test_every_sample_of_a_type_fits_the_schema_of_its_event(kind: Any) -> None:
    for sample in kind.samples:
        fits(sample.data, {"$ref": f"#/components/schemas/event.{kind.event}"})


@pytest.mark.parametrize("name", ["CloudEvent", "TrialEvent"])
def test_an_event_is_told_by_its_type(name: str) -> None:
    # Given what an event of whatever type is
    union = DOCUMENT["components"]["schemas"][name]

    # Then its type leads to a schema of its own, whose data is what the type takes
    assert union["discriminator"]["propertyName"] == "type"
    mapping = union["discriminator"]["mapping"]
    assert list(mapping) == CATALOG.event_types
    assert [{"$ref": each} for each in mapping.values()] == union["oneOf"]
    for event, reference in mapping.items():
        told = resolve(reference)
        assert told["properties"]["type"]["enum"] == [event]
        assert told["properties"]["data"] == {"$ref": f"#/components/schemas/event.{event}"}
        assert {"type", "data"} <= set(told["required"])


def test_an_event_may_have_any_name() -> None:
    # Given events whose names no schema can have, and of which two come to the same name
    kind = CATALOG.types["payment-failed"]
    names = ["Zahlung fehlgeschlagen/1", "Zahlung fehlgeschlagen_1", "платёж"]
    kinds = [msgspec.structs.replace(kind, id=str(place), event=name) for place, name in enumerate(names)]

    # When they are told
    told = document(ENDPOINTS, outbound(), Catalog(kinds), "1.2.3")

    # Then each leads to a schema of its own
    openapi_spec_validator.validate(told)
    mapping = told["components"]["schemas"]["CloudEvent"]["discriminator"]["mapping"]
    assert set(names) <= set(mapping)
    assert len(set(mapping.values())) == len(mapping)


def test_every_member_of_the_data_says_what_it_is_and_all_data_have_an_example() -> None:
    for event in CATALOG.event_types:
        schema = DOCUMENT["components"]["schemas"][f"event.{event}"]
        assert {name: told["description"] for name, told in schema["properties"].items()} == {
            name: field.about for name, field in CATALOG.fields(event).items()
        }
        assert schema["examples"]
        for example in schema["examples"]:
            fits(example, schema)


def test_data_that_name_nobody_do_not_fit() -> None:
    told = {name: value for name, value in EVENT["data"].items() if name != "driver_id"}
    schema = {"$ref": f"#/components/schemas/event.{EVENT['type']}"}

    fits({**told, "driver_id": "ada"}, schema)
    fits({**told, "token": "NL-TNM-1"}, schema)
    for nobody in ({}, {"driver_id": None}, {"driver_id": None, "token": None}):
        with pytest.raises(jsonschema.ValidationError):
            fits(told | nobody, schema)


@on_sqlite
async def test_every_example_of_a_body_fits_its_schema_and_is_taken(api: Caller) -> None:
    # Given the examples of each media type in which events come in
    content = OPERATIONS["POST", "/v1/events"]["requestBody"]["content"]
    types = {f"{kind.id}-{number + 1}": kind.event for kind in CATALOG.types.values() for number in range(9)}
    assert {name for name, told in content.items() if told["examples"]} == {
        "application/cloudevents+json", "application/cloudevents-batch+json", "application/json"
    }  # fmt: skip

    for media, told in content.items():
        for name, example in told["examples"].items():
            # When one is sent as it is, with the attributes as headers where only data are told
            fits(example["value"], told["schema"])
            headers = {"ce_specversion": "1.0", "ce_id": name, "ce_source": "binary", "ce_type": types.get(name, "")}
            sent = headers if media == "application/json" else {}
            answer = await api.post(json.dumps(example["value"]), media, **sent)

            # Then it is taken
            assert answer.status == 202, (name, answer.body)
            assert answer.body.get("refused", 0) == 0


def test_the_headers_of_binary_mode_are_told() -> None:
    parameters = OPERATIONS["POST", "/v1/events"]["parameters"]

    assert [(each["name"], each["in"]) for each in parameters] == [
        (f"ce-{name}", "header")
        for name in ("specversion", "id", "source", "type", "subject", "time", "traceparent", "tracestate")
    ]


def test_nothing_in_it_may_be_anything() -> None:
    # A member whose schema is empty takes whatever comes: a client made of the document could tell nobody what to send.
    empty = [
        f"{name}.{member}"
        for name, schema in DOCUMENT["components"]["schemas"].items()
        for member, told in schema.get("properties", {}).items()
        if not told
    ]

    assert empty == []


def test_what_may_be_left_out_has_no_default() -> None:
    # Makers of clients take a member that has one for one that is always there, and so must be given.
    assert [found for found in every(DOCUMENT) if "default" in found] == []


def body_schema(method: str, path: str, media: str) -> Json:
    schema: Json = OPERATIONS[method, path]["requestBody"]["content"][media]["schema"]
    return schema


def test_what_is_taken_fits_what_is_told() -> None:
    fits(EVENT, body_schema("POST", "/v1/events", "application/cloudevents+json"))
    fits([EVENT], body_schema("POST", "/v1/events", "application/cloudevents-batch+json"))
    fits({"name": "Ada"}, body_schema("PUT", "/v1/recipients/{id}", "application/json"))
    session = "/ocpi/2.2.1/sessions/{country_code}/{party_id}/{session_id}"
    fits({"kwh": 1, "last_updated": "2019-06-23T08:16:02Z"}, body_schema("PATCH", session, "application/json"))


@pytest.mark.parametrize("body", [{**EVENT, "id": "a\nb"}, {**EVENT, "id": ""}, {**EVENT, "specversion": "1"}, {}])
def test_what_is_refused_does_not(body: Json) -> None:
    with pytest.raises(jsonschema.ValidationError):
        fits(body, body_schema("POST", "/v1/events", "application/cloudevents+json"))


ADA = "/v1/recipients/ada"
CONSENT = b'{"category": "offers", "channel": "all", "granted": true, "wording": "1", "source": "app"}'


@on_sqlite
async def test_answers_are_what_is_told(api: Caller) -> None:
    # Given one call of every kind that answers with JSON
    await api.call("PUT", "/v1/recipients/ada", b'{"email": "ada@example.com", "devices": [{"value": "t"}]}')
    calls: list[tuple[str, str, Answer]] = [
        ("POST", "/v1/events", await api.post(encoded())),
        ("POST", "/v1/events", await api.post(b"[%b, {}]" % encoded(), "application/cloudevents-batch+json")),
        ("POST", "/v1/events", await api.post(b"{}")),
        ("POST", "/v1/events", await api.post(b"{}", Authorization="")),
        ("GET", "/v1/recipients/{id}", await api.call("GET", "/v1/recipients/ada")),
        ("POST", "/v1/recipients/import", await api.call("POST", "/v1/recipients/import", b'{"id": "bob"}\n{}')),
        ("PUT", "/v1/recipients/{id}/preferences", await api.call("PUT", f"{ADA}/preferences", b'{"locale": "xxxx"}')),
        (
            "PATCH",
            "/v1/recipients/{id}/preferences",
            await api.call("PATCH", f"{ADA}/preferences", b'{"locale": "de"}'),
        ),
        ("GET", "/v1/recipients/{id}/preferences", await api.call("GET", f"{ADA}/preferences")),
        ("GET", "/v1/recipients/{id}/preferences/history", await api.call("GET", f"{ADA}/preferences/history")),
        ("POST", "/v1/recipients/{id}/consents", await api.call("POST", f"{ADA}/consents", CONSENT)),
        ("GET", "/v1/recipients/{id}/consents", await api.call("GET", f"{ADA}/consents")),
        ("GET", "/v1/recipients/{id}/export", await api.call("GET", f"{ADA}/export")),
        ("PUT", "/v1/tenants/{name}", await api.call("PUT", "/v1/tenants/acme", b"{}")),
        ("GET", "/v1/tenants/{name}", await api.call("GET", "/v1/tenants/network")),
        ("GET", "/v1/dead", await api.call("GET", "/v1/dead")),
        ("GET", "/v1/dead", await api.call("GET", "/v1/dead?limit=0")),
        ("POST", "/v1/dead/redrive", await api.call("POST", "/v1/dead/redrive", b'{"ids": ["%b"]}' % (b"0" * 32))),
        ("GET", "/v1/explain", await api.call("GET", "/v1/explain?source=billing&id=attempt-7")),
        ("POST", "/v1/simulate", await api.call("POST", "/v1/simulate", json.dumps(TRIAL))),
        ("GET", "/v1/replay", await api.call("GET", "/v1/replay?day=2026-03-09")),
        ("GET", "/v1/texts/{type}", await api.call("GET", "/v1/texts/charging-complete")),
        ("POST", "/v1/texts/{type}/check", await api.call("POST", "/v1/texts/charging-complete/check", b"{}")),
        ("GET", "/v1/ledger", await api.call("GET", "/v1/ledger")),
        ("GET", "/healthz", await api.call("GET", "/healthz")),
        ("GET", "/problems/{number}", await api.call("GET", "/problems/40401")),
        ("POST", "/ocpi/2.2.1/cdrs", await api.call("POST", "/ocpi/2.2.1/cdrs", b"{}")),
    ]

    # Then each answer is documented, and fits
    for method, path, answer in calls:
        told = OPERATIONS[method, path]["responses"][str(answer.status)]
        media = answer.headers["Content-Type"].partition(";")[0]
        fits(answer.body, told["content"][media]["schema"])


@on_sqlite
async def test_the_document_is_served(api: Caller) -> None:
    answer = await api.call("GET", "/openapi.json", Authorization="")

    assert (answer.body["paths"], answer.body["webhooks"]) == (DOCUMENT["paths"], DOCUMENT["webhooks"])


@on_sqlite
async def test_the_page_tells_every_operation_and_runs_nothing(api: Caller) -> None:
    answer = await api.call("GET", "/docs", Authorization="")

    assert answer.headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    told = [told["operationId"] for told in OPERATIONS.values()]
    for name in [*told, *DOCUMENT["webhooks"], *DOCUMENT["components"]["schemas"]]:
        assert f'id="{name}"' in answer.body
    for event in CATALOG.event_types:
        assert f'id="event-{event}"' in answer.body
    assert "<li>It is for the driver named by driver_id or token.</li>" in answer.body
    assert "<script" not in answer.body
    assert not re.search(r"\bsrc=|<link|@import|url\(", answer.body)


@on_sqlite
async def test_metrics_tell_what_was_accepted_and_refused(api: Caller) -> None:
    await api.post(encoded())
    await api.post(encoded(type="no.such"))

    text = (await api.call("GET", "/metrics")).body

    assert re.search(r'^notifier_events_accepted_total{type="payment.failed"} [1-9]', text, re.MULTILINE)
    assert re.search(r'^notifier_events_refused_total{code="42201"} [1-9]', text, re.MULTILINE)
    assert re.search(r"^notifier_events_undecided 1\.0$", text, re.MULTILINE)
