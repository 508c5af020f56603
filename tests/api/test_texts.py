"""Every text and number that comes in by HTTP, walked: what no database may keep is refused, and all three databases
answer alike."""

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from notifier.api.app import ENDPOINTS
from notifier.api.endpoints import Endpoint
from notifier.domain.recipients import RecipientDetails
from notifier.store.people import recipients
from tests.api.conftest import in_one_piece
from tests.api.server import Answer, Caller
from tests.samples import EVENT, NOW

Json = dict[str, Any]
Place = tuple[str | int, ...]

REFUSED = ("\x00", "a\x00b", "\x07", "a\ud800b")
ODD = (*REFUSED, "", "x" * 5_000, "😀" * 1_000, "\ufeffa", "a\u200bb", "a\nb", "a ", "'\"\\%_", "null", "-1", "9" * 400)
NUMBERS = (-1, 2**31, 2**63, 2**64, 10**400, -(10**30), 1e308)
ASKED = [(endpoint, field.encode_name) for endpoint in ENDPOINTS if endpoint.query
         for field in msgspec.structs.fields(endpoint.query) if not endpoint.signed_by]  # fmt: skip
CHOSEN = {"categories": {"offers": True}, "locale": "de", "quiet_hours": {"from": "22:00", "until": "07:00"}}
ADA: Json = {
    "name": "Ada", "email": "ada@example.com", "phone": "+4915123456789", "locale": "de", "time_zone": "UTC",
    "devices": [{"value": "t", "last_seen": 1}], "tokens": ["T"], "fleets": ["acme"], "sites": ["gent"],
    "tenants": ["network"], "region": "DE", "attributes": {"plan": "gold", "sessions": 3}, "preferences": CHOSEN,
}  # fmt: skip
SEGMENT = {"name": "Gold", "all": [{"field": "attribute.plan", "operator": "eq", "value": "gold"},
                                   {"field": "attribute.sessions", "operator": "gte", "value": 3}]}  # fmt: skip
CONSENT = {"category": "offers", "channel": "all", "granted": True, "wording": "1", "source": "app"}
ID = "0" * 32
BODIES: dict[tuple[str, str], Json] = {
    ("POST", "/v1/events"): {**EVENT, "subject": "s", "time": "2026-03-09T17:40:00Z"},
    ("PUT", "/v1/recipients/ada"): ADA,
    ("POST", "/v1/recipients/import"): {"id": "eve", **ADA},
    ("PUT", "/v1/recipients/ada/preferences"): CHOSEN,
    ("PATCH", "/v1/recipients/ada/preferences"): CHOSEN,
    ("POST", "/v1/recipients/ada/consents"): CONSENT,
    ("PUT", "/v1/tenants/network"): {"categories": {"offers": True}, "locked": {"offers": ["sms"]}},
    ("PUT", "/v1/segments/gold"): SEGMENT,
    ("PUT", "/v1/on-call/site:gent"): {"order": ["ada"]},
    ("POST", "/v1/cancel"): {"event": {"source": "billing", "id": "1"}},
    ("POST", "/v1/acknowledge"): {"type": "charger-fault", "about": "gent"},
    ("POST", "/v1/opened"): {"reference": ID},
    ("POST", "/v1/dead/redrive"): {"ids": [ID]},
    ("POST", "/v1/dead/discard"): {"ids": [ID]},
    ("POST", "/v1/texts/station-available/publish"): {"revision": 1, "why": "shorter"},
    ("PUT", "/v1/experiments/tone"): {
        "type": "charging-interrupted", "why": "shorter", "weights": {"control": 5_000, "late": 5_000}, "gain": 0.05,
        "arms": {"control": {}, "late": {"later": "1 min", "version": 1, "channels": ["push"]}}, "share": 100,
        "longest": "28 d", "revision": 1,
    },
    ("POST", "/v1/experiments/tone/end"): {"why": "enough", "winner": "late"},
    ("POST", "/v1/simulate"): {"event": {"type": EVENT["type"], "data": EVENT["data"]}, "at": "10:00"},
}  # fmt: skip

KEYED = [each for each in ENDPOINTS if "{" in each.path and each.scope]

_told: dict[tuple[str, ...], tuple[int, int]] = {}


def alike(answer: Answer, *case: str) -> int:
    """The status of an answer, which is no fault, and the same as on the databases before."""
    assert answer.status < 500, (case, answer.body)
    number = answer.body["code"] if isinstance(answer.body, dict) and "code" in answer.body else 0
    assert _told.setdefault(tuple(map(ascii, case)), (answer.status, number)) == (answer.status, number), case
    return answer.status


def places(value: Any, place: Place = ()) -> Iterator[Place]:
    """Where texts and numbers stand in a document."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, each in inside:
        yield from places(each, (*place, name))
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        yield place


def put(value: Any, place: Place, odd: Any) -> Any:
    """A document with something else in one place."""
    if not place:
        return odd
    changed = value.copy()
    changed[place[0]] = put(value[place[0]], place[1:], odd)
    return changed


def refused(answer: Answer) -> bool:
    """Whether a body was refused, or its only line was."""
    return answer.status in (400, 422) or (isinstance(answer.body, dict) and answer.body.get("refused") == 1)


@pytest.fixture
async def known(api: Caller) -> Caller:
    await recipients.put(api.engine.database, {"ada": msgspec.convert(ADA, RecipientDetails)}, NOW)
    return api


@pytest.mark.parametrize(("endpoint", "name"), ASKED, ids=lambda each: getattr(each, "path", each))
async def test_every_parameter(known: Caller, endpoint: Endpoint, name: str) -> None:
    path = endpoint.path.replace("{id}", "ada").replace("{topic}", "t")

    for odd in ODD:
        value = quote(odd, safe="", errors="surrogatepass")
        answer = await known.call(endpoint.method, f"{path}?{name}={value}")
        assert alike(answer, path, name, odd) == 422 or odd not in REFUSED, odd
    for octets in ("%FE", "%C3%28", "a%FF"):
        assert (await known.call(endpoint.method, f"{path}?{name}={octets}")).problem == (42205, f"/{name}")
        assert (await known.call(endpoint.method, f"{path}?{octets}=1")).problem == (42205, "/query")


@pytest.mark.parametrize("endpoint", KEYED, ids=lambda each: f"{each.method} {each.path}")
async def test_every_part_of_a_path(known: Caller, endpoint: Endpoint) -> None:
    body = None if endpoint.method in ("GET", "DELETE") else b"{}"
    for octets in ("%FE", "x%FF"):
        path = "/".join(octets if part.startswith("{") else part for part in endpoint.path.split("/"))
        assert (await known.call(endpoint.method, path, body)).problem == (42205, "/path")
    for odd in ODD[4:]:
        part = quote(odd, safe="")
        path = "/".join(part if step.startswith("{") else step for step in endpoint.path.split("/"))
        alike(await known.call(endpoint.method, path, body), endpoint.method, endpoint.path, odd)


@in_one_piece  # of two faults in one body buckets may tell the other one
@pytest.mark.parametrize(("method", "path"), BODIES)
async def test_every_member_of_a_body(known: Caller, method: str, path: str) -> None:
    document = BODIES[method, path]
    kind = "application/cloudevents+json" if path == "/v1/events" else "application/json"

    for place in places(document):
        for odd in (*ODD, *NUMBERS):
            body = json.dumps(put(document, place, odd)).encode()
            answer = await known.call(method, path, body, Content_Type=kind)
            alike(answer, method, path, *map(str, place), repr(odd)[:40])
            if odd in REFUSED:
                assert refused(answer), (place, odd)
        for token in ("NaN", "1e999", "Infinity"):
            body = json.dumps(put(document, place, "!")).replace('"!"', token).encode()
            assert refused(await known.call(method, path, body, Content_Type=kind)), (place, token)


@pytest.mark.parametrize("name", ["session_example_1_simple_start", "cdr_example"])
async def test_every_member_of_an_ocpi_object(api: Caller, shared_data: Any, name: str) -> None:
    document = json.loads((shared_data / "ocpi-2.2.1" / f"{name}.json").read_bytes())
    put_it: Callable[[bytes], Any] = (
        (lambda body: api.call("POST", "/ocpi/2.2.1/cdrs", body))
        if name == "cdr_example"
        else (lambda body: api.call("PUT", "/ocpi/2.2.1/sessions/NL/STK/101", body))
    )

    for place in places(document):
        for odd in (*ODD, *NUMBERS):
            answer = await put_it(json.dumps(put(document, place, odd)).encode())
            alike(answer, name, *map(str, place), repr(odd)[:40])


@pytest.mark.parametrize("name", ["ce-id", "ce-source", "ce-type", "ce-subject", "ce-time"])
async def test_every_header_of_an_event(api: Caller, name: str) -> None:
    attributes = {f"ce-{each}": value for each, value in EVENT.items() if each != "data"}

    for odd in ODD:
        value = quote(odd, safe="", errors="surrogatepass")[:4_000]
        headers = {**attributes, name: value}
        answer = await api.post(json.dumps(EVENT["data"]), "application/json", **headers)
        status = alike(answer, name, odd)
        assert status >= 400 or odd not in ("\x00", "a\x00b", "\x07"), odd
