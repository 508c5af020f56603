"""OCPI 2.2.1 as peers speak it: the official examples verbatim, and what a peer may get wrong."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from multidict import CIMultiDict

from notifier.store.core.schema import charging_session, event
from tests.api.conftest import on_sqlite
from tests.api.server import Answer, Caller, add_key

Json = dict[str, Any]
SESSIONS = "/ocpi/2.2.1/sessions"
CDRS = "/ocpi/2.2.1/cdrs"


@pytest.fixture
def verbatim(shared_data: Path) -> Callable[[str], bytes]:
    """Reads an official example as it is."""
    return lambda name: (shared_data / "ocpi-2.2.1" / f"{name}.json").read_bytes()


@pytest.fixture
def started(verbatim: Callable[[str], bytes]) -> Json:
    """A session that has just started, older than the two PATCH examples."""
    simple: Json = json.loads(verbatim("session_example_1_simple_start"))
    return simple | {
        "start_date_time": "2019-06-23T08:00:00Z",
        "last_updated": "2019-06-23T08:00:00Z",
        "status": "ACTIVE",
    }


def url(session: Json) -> str:
    return f"{SESSIONS}/{session['country_code']}/{session['party_id']}/{session['id']}"


async def put(api: Caller, session: Json, at: str | None = None) -> Answer:
    return await api.call("PUT", at or url(session), json.dumps(session))


async def told(api: Caller) -> list[str]:
    """The types of the events that came of it, in order of time."""
    return [row.type for row in sorted(await api.rows(event), key=lambda row: (row.occurred_at, row.type))]


async def kept(api: Caller) -> Json:
    """The one session that is kept."""
    (row,) = await api.rows(charging_session)
    session: Json = json.loads(row.state)["session"]
    return session


def is_success(answer: Answer, message: str = "") -> bool:
    """OCPI's envelope (§4.1.7) around nothing."""
    assert answer.body.pop("timestamp") == "2026-03-09T17:40:00Z"
    assert answer.body.pop("status_message", "") == message
    return answer.status in (200, 201) and answer.body == {"status_code": 1000}


@pytest.mark.parametrize(
    ("name", "at", "events"),
    [
        ("session_example_1_simple_start", "NL/STK/101", []),
        ("session_example_2_short_finished", "BE/BEC/101", ["session.ended"]),
        ("session_example_2_short_finished", "be/bec/101", ["session.ended"]),
    ],
)
async def test_the_official_sessions_are_taken_as_they_are(
    api: Caller, verbatim: Callable[[str], bytes], name: str, at: str, events: list[str]
) -> None:
    answer = await api.call("PUT", f"{SESSIONS}/{at}", verbatim(name), Content_Type="application/json")

    assert is_success(answer)
    assert await told(api) == events
    assert (await kept(api))["last_updated"] == json.loads(verbatim(name))["last_updated"]


async def test_the_official_cdr_is_taken_as_it_is_and_is_a_receipt(
    api: Caller, verbatim: Callable[[str], bytes]
) -> None:
    answer = await api.call("POST", CDRS, verbatim("cdr_example"))

    (row,) = await api.rows(event)
    receipt = json.loads(row.data)
    assert answer.status == 201
    assert answer.headers["Location"].startswith(CDRS)
    assert is_success(answer)
    assert (row.type, row.source, row.subject) == ("session.receipt", "ocpi/BE/BEC", "cdr/BE/BEC/12345")
    assert (receipt["total"], receipt["token"]) == ({"amount": 4.4, "currency": "EUR"}, "DE8ACC12E46L89")


async def test_the_official_patches_apply_one_after_the_other(
    api: Caller, verbatim: Callable[[str], bytes], started: Json
) -> None:
    # Given a session that was PUT
    assert is_success(await put(api, started))

    # When the two examples come in the order of their times
    for name in ("session_patch_example_total_cost", "session_patch_example_charging_period"):
        assert is_success(await api.call("PATCH", url(started), verbatim(name)))

    # Then what they say is changed, and all else is as it was
    now = await kept(api)
    assert (now["kwh"], now["total_cost"]) == (15.0, {"excl_vat": 0.8, "incl_vat": 0.88})
    assert [period["start_date_time"] for period in now["charging_periods"]] == ["2019-06-23T08:16:02Z"]
    assert (now["status"], now["cdr_token"]["contract_id"]) == ("ACTIVE", "NL-TST-C12345678-S")
    assert await told(api) == ["session.started"]


async def test_a_session_from_start_to_end_is_told_once_each(api: Caller, started: Json) -> None:
    # Given a session that charges, parks and ends, of which every report comes twice
    parking = [{"start_date_time": "2019-06-23T09:00:00Z", "dimensions": [{"type": "PARKING_TIME", "volume": 0.1}]}]
    for changes in (
        {},
        {"kwh": 15, "last_updated": "2019-06-23T08:30:00Z"},
        {"charging_periods": parking, "last_updated": "2019-06-23T09:05:00Z"},
        {"status": "COMPLETED", "end_date_time": "2019-06-23T10:00:00Z", "last_updated": "2019-06-23T10:00:00Z"},
    ):
        started |= changes
        assert is_success(await put(api, started))
        assert is_success(await put(api, started), "repeat: nothing changed")

    # Then each thing that happened is one event
    assert await told(api) == ["session.started", "charging.complete", "session.ended"]


async def test_what_is_older_than_what_is_known_is_dropped(api: Caller, started: Json) -> None:
    newest = started | {"kwh": 15.0, "last_updated": "2019-06-23T09:00:00Z"}
    assert is_success(await put(api, newest))

    assert is_success(await put(api, started | {"status": "COMPLETED"}), "stale: nothing changed")

    assert (await kept(api))["kwh"] == 15.0
    assert await told(api) == ["session.started"]


async def test_a_cdr_that_comes_again_is_one_receipt(api: Caller, verbatim: Callable[[str], bytes]) -> None:
    first = await api.call("POST", CDRS, verbatim("cdr_example"))
    second = await api.call("POST", CDRS, verbatim("cdr_example"))

    assert (second.status, second.headers["Location"]) == (201, first.headers["Location"])
    assert await told(api) == ["session.receipt"]


async def test_another_bill_under_the_same_id_and_time_is_a_conflict(
    api: Caller, verbatim: Callable[[str], bytes]
) -> None:
    cdr = json.loads(verbatim("cdr_example"))
    await api.call("POST", CDRS, json.dumps(cdr))

    answer = await api.call("POST", CDRS, json.dumps(cdr | {"total_energy": 99.0}))

    assert answer.problem == (40901, "/id")
    (row,) = await api.rows(event)
    assert json.loads(row.data)["energy_kwh"] == 15.342


async def test_a_credit_is_taken_and_is_no_receipt(api: Caller, verbatim: Callable[[str], bytes]) -> None:
    answer = await api.call("POST", CDRS, json.dumps(json.loads(verbatim("cdr_example")) | {"credit": True}))

    assert answer.status == 201
    assert is_success(answer, "no receipt: the CDR is a credit")
    assert await told(api) == []


async def test_a_credit_cdr_stops_the_receipt_before_and_says_so(api: Caller, verbatim: Callable[[str], bytes]) -> None:
    # Given a CDR, and the credit CDR that takes it back
    cdr = json.loads(verbatim("cdr_example"))
    later = {"last_updated": "2015-07-01T00:00:00Z"}
    credit = cdr | later | {"id": "12345-C", "credit": True, "credit_reference_id": "12345"}

    # When both are posted
    assert is_success(await api.call("POST", CDRS, json.dumps(cdr)))
    answer = await api.call("POST", CDRS, json.dumps(credit))

    # Then the answer says what becomes of the receipt
    said = "no receipt: the CDR is a credit; the one before is stopped if it has not gone out"
    assert is_success(answer, said)
    assert await told(api) == ["session.receipt", "receipt.withdrawn"]


async def test_an_id_with_a_slash_is_an_id(api: Caller, started: Json) -> None:
    session = started | {"id": "2019/06/23"}

    assert is_success(await put(api, session, f"{SESSIONS}/NL/STK/2019%2F06%2F23"))

    assert (await kept(api))["id"] == "2019/06/23"


async def test_a_peer_authenticates_with_its_token_in_base64_and_may_do_nothing_else(
    api: Caller, verbatim: Callable[[str], bytes]
) -> None:
    key = await add_key(api.engine.database, "ocpi")
    token = f"Token {base64.b64encode(key.encode()).decode()}"

    assert (await api.call("POST", CDRS, verbatim("cdr_example"), Authorization=token)).status == 201
    assert (await api.post(b"{}", Authorization=token)).problem == (40301, None)


@pytest.mark.parametrize("written", ["{}\n", " {}", "{}"])
async def test_a_token_is_good_with_the_line_end_that_a_shell_put_into_its_base64(
    api: Caller, verbatim: Callable[[str], bytes], written: str
) -> None:
    key = await add_key(api.engine.database, "ocpi")
    token = f"Token {base64.b64encode(written.format(key).encode()).decode()}"

    assert (await api.call("POST", CDRS, verbatim("cdr_example"), Authorization=token)).status == 201


async def test_a_peer_writes_its_own_sessions_and_cdrs_and_nobody_elses(
    api: Caller, verbatim: Callable[[str], bytes], started: Json
) -> None:
    # Given the key of one party, and that of another
    cdr = json.loads(verbatim("cdr_example"))
    own = {"Authorization": f"Bearer {await add_key(api.engine.database, 'ocpi', parties=('NL*STK', 'BE*BEC'))}"}
    strange = {"Authorization": f"Bearer {await add_key(api.engine.database, 'ocpi', parties=('NL*XYZ',))}"}

    # When the other writes what isn't its own, in whichever case, then OCPI's status says so and nothing is taken
    for at in (url(started), url(started).lower()):
        for method in ("PUT", "PATCH"):
            refused = await api.call(method, at, json.dumps(started), **strange)
            assert (refused.problem, refused.body["status_code"]) == ((40401, None), 2001)
    refused = await api.call("POST", CDRS, json.dumps(cdr), **strange)
    assert (refused.problem, refused.body["status_code"]) == ((42204, "/party_id"), 2001)
    refused = await api.call("POST", CDRS, json.dumps(cdr | {"credit": True}), **strange)
    assert refused.problem == (42204, "/party_id")
    assert await told(api) == []

    # And its own party's is taken, in whichever case
    assert is_success(await api.call("PUT", url(started).lower(), json.dumps(started), **own))
    assert is_success(await api.call("POST", CDRS, json.dumps(cdr | {"country_code": "be"}), **own))


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"status": "CHARGING"}, "/status"),
        ({"kwh": "15"}, "/kwh"),
        ({"kwh": None}, "/kwh"),
        ({"last_updated": "2019-06-23T08:00:00+02:00"}, "/last_updated"),
        ({"currency": "Euro"}, "/currency"),
        ({"id": "102"}, "/id"),
        ({"country_code": "DE"}, "/country_code"),
        ({"cdr_token": {"uid": "1"}}, "/cdr_token/country_code"),
        (
            {"charging_periods": [{"start_date_time": "2019-06-23T08:16:02Z", "dimensions": []}]},
            "/charging_periods/0/dimensions",
        ),
        ({"total_cost": {"incl_vat": 1}}, "/total_cost"),
        ({"location_id": "x" * 37}, "/location_id"),
    ],
)
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@on_sqlite
async def test_a_session_that_does_not_fit_is_told_with_its_field_and_changes_nothing(
    api: Caller, started: Json, method: str, changes: Json, pointer: str
) -> None:
    # Given a session that is known
    await put(api, started)
    before = await kept(api)

    # When an update comes with one member wrong
    later = {"last_updated": "2019-06-23T09:00:00Z"} | changes
    body = (started | later) if method == "PUT" else later
    answer = await api.call(method, url(started), json.dumps(body))

    # Then the member is named, in OCPI's words too, and nothing is changed
    assert answer.problem == (42204, pointer)
    assert answer.body["status_code"] == 2001
    assert await kept(api) == before
    assert await told(api) == ["session.started"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b'{"kwh": NaN}', b"null"])
@pytest.mark.parametrize("request_", ["PUT", "PATCH", "POST"])
@on_sqlite
async def test_a_body_that_is_no_object_changes_nothing(api: Caller, started: Json, request_: str, body: bytes) -> None:
    await put(api, started)
    before = await kept(api)

    answer = await api.call(request_, CDRS if request_ == "POST" else url(started), body)

    assert answer.problem[0] == 42204
    assert await kept(api) == before


@on_sqlite
async def test_a_patch_needs_its_time_and_a_session_that_is_known(api: Caller, started: Json) -> None:
    unknown = await api.call("PATCH", url(started), b'{"kwh": 15, "last_updated": "2019-06-23T09:00:00Z"}')
    await put(api, started)
    timeless = await api.call("PATCH", url(started), b'{"kwh": 15}')

    assert (unknown.problem, unknown.body["status_code"]) == ((40401, None), 2003)
    assert (timeless.problem, timeless.body["status_code"]) == ((42204, "/last_updated"), 2001)


@pytest.mark.parametrize(
    "member", ["id", "cdr_token", "cdr_location", "total_cost", "charging_periods", "last_updated"]
)
@on_sqlite
async def test_a_cdr_without_what_a_receipt_needs_is_told_so(
    api: Caller, verbatim: Callable[[str], bytes], member: str
) -> None:
    cdr = json.loads(verbatim("cdr_example"))
    del cdr[member]

    answer = await api.call("POST", CDRS, json.dumps(cdr))

    assert answer.problem == (42204, f"/{member}")
    assert await told(api) == []


@pytest.mark.parametrize("at", ["N/STK/101", "NL/STKX/101", "NL/STK/%00", "NL/STK/" + "x" * 40, "%C3%9CL/STK/101"])
@on_sqlite
async def test_a_url_that_names_no_session_is_refused(api: Caller, started: Json, at: str) -> None:
    answer = await put(api, started, f"{SESSIONS}/{at}")

    assert answer.problem[0] == 42204
    assert await api.rows(charging_session) == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", f"{SESSIONS}/NL/STK/101", 200),
        ("PUT", f"{SESSIONS}/NL/STK/102", 422),
        ("PATCH", f"{SESSIONS}/NL/STK/101", 404),
        ("POST", CDRS, 422),
        ("DELETE", CDRS, 405),
        ("GET", "/ocpi/2.1.1/nothing", 404),
    ],
)
@on_sqlite
async def test_an_answer_has_the_ids_of_its_request(
    api: Caller, started: Json, method: str, path: str, status: int
) -> None:
    # Given a request with the ids by which its peer, and all hubs on the way, find it again (§4.2)
    ids = {"X_Request_ID": "12af-request", "X_Correlation_ID": "f11a-flow"}

    # When it is answered, whatever the answer is
    answer = await api.call(method, path, json.dumps(started | {"last_updated": "2019-06-23T08:00:00Z"}), **ids)

    # Then the answer has both, once
    assert answer.status == status
    assert {name: CIMultiDict(answer.headers).getall(name) for name in ("X-Request-ID", "X-Correlation-ID")} == {
        "X-Request-ID": ["12af-request"], "X-Correlation-ID": ["f11a-flow"],
    }  # fmt: skip


@on_sqlite
async def test_only_ids_that_came_are_told_and_no_more_than_those_of_ocpi(api: Caller) -> None:
    wrong = await api.call("POST", CDRS, b"{}", Authorization="Token nonsense", X_Request_ID="12af")
    elsewhere = await api.call("GET", "/healthz", X_Correlation_ID="f11a")

    assert (wrong.status, wrong.headers["X-Request-ID"]) == (401, "12af")
    assert "X-Correlation-ID" not in wrong.headers
    assert "X-Correlation-ID" not in elsewhere.headers
