"""What a body may be: official examples pass, and each broken member is named."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from notifier.ocpi.objects import Cdr, OcpiInvalid, OcpiSession, Price, check, plain, read

Example = Callable[[str], dict[str, Any]]

STARTED = "session_example_1_simple_start"
FINISHED = "session_example_2_short_finished"
CDR = "cdr_example"

COMMON = ["country_code", "party_id", "id", "start_date_time", "cdr_token", "auth_method", "currency", "last_updated"]
REQUIRED_OF_SESSION = [*COMMON, "kwh", "location_id", "evse_uid", "connector_id", "status"]
REQUIRED_OF_CDR = [
    *COMMON,
    "end_date_time",
    "cdr_location",
    "charging_periods",
    "total_cost",
    "total_energy",
    "total_time",
]


def pointer_of(value: object, kind: type[Any]) -> str:
    with pytest.raises(OcpiInvalid) as refused:
        check(value, kind)
    return refused.value.pointer


def put_in(value: Any, pointer: str, member: object) -> Any:
    *steps, last = [int(step) if step.isdigit() else step for step in pointer.strip("/").split("/")]
    place = value
    for step in steps:
        place = place[step]
    place[last] = member
    return value


@pytest.mark.parametrize(("name", "kind"), [(STARTED, OcpiSession), (FINISHED, OcpiSession), (CDR, Cdr)])
def test_an_official_example_is_taken_and_keeps_its_meaning_when_stored(
    shared_data: Path, name: str, kind: type[Any]
) -> None:
    # Given an example as its authors wrote it
    body = (shared_data / "ocpi-2.2.1" / f"{name}.json").read_bytes()
    # When it is read, stored as JSON and read again
    first = check(read(body), kind)
    again = check(json.loads(json.dumps(plain(first))), kind)
    # Then nothing that we use has changed
    assert again == first
    assert str(first.last_updated) == json.loads(body)["last_updated"]


@pytest.mark.parametrize("member", REQUIRED_OF_SESSION)
def test_a_session_without_a_required_member_is_refused_by_its_name(example: Example, member: str) -> None:
    session = example(FINISHED)
    del session[member]
    assert pointer_of(session, OcpiSession) == f"/{member}"


@pytest.mark.parametrize("member", REQUIRED_OF_CDR)
def test_a_cdr_without_a_required_member_is_refused_by_its_name(example: Example, member: str) -> None:
    cdr = example(CDR)
    del cdr[member]
    assert pointer_of(cdr, Cdr) == f"/{member}"


@pytest.mark.parametrize("member", REQUIRED_OF_SESSION)
@pytest.mark.parametrize("wrong", [None, True, [], "\ud800", math.nan])
def test_a_member_of_the_wrong_type_is_refused_by_its_name(example: Example, member: str, wrong: object) -> None:
    assert pointer_of(example(FINISHED) | {member: wrong}, OcpiSession) == f"/{member}"


@pytest.mark.parametrize(
    ("pointer", "wrong"),
    [
        ("/country_code", "NLD"),
        ("/country_code", "N1"),
        ("/party_id", "ST"),
        ("/id", "x" * 37),
        ("/id", "101\n"),
        ("/id", ""),
        ("/id", "caf\u00e9"),
        ("/kwh", math.inf),
        ("/kwh", 10**400),
        ("/kwh", 1e10),
        ("/kwh", "41.12"),
        ("/currency", "eur"),
        ("/currency", "EUR\n"),
        ("/status", "active"),
        ("/meter_id", "a\u2028b"),
        ("/total_cost/excl_vat", "8.50"),
        ("/total_cost/incl_vat", -math.inf),
        ("/cdr_token/contract_id", "\udfff"),
        ("/cdr_token/uid", 123),
        ("/charging_periods/2/start_date_time", "2015-06-29"),
        ("/charging_periods/1/dimensions", []),
        ("/charging_periods/1/dimensions/0/volume", math.nan),
        ("/charging_periods/0/dimensions/1/type", 7),
    ],
)
def test_a_member_deep_inside_is_refused_by_its_place(example: Example, pointer: str, wrong: object) -> None:
    assert pointer_of(put_in(example(FINISHED), pointer, wrong), OcpiSession) == pointer


@pytest.mark.parametrize(
    "written",
    [
        "2015-06-29T20:39:09",
        "2015-06-29T20:39:09.0Z",
        "2015-06-29T20:39:09.000",
        "2015-06-29T20:39:09.000000000Z",
    ],
)
def test_a_time_without_a_zone_is_utc_and_a_fraction_is_fine(example: Example, written: str) -> None:
    session = check(example(FINISHED) | {"last_updated": written}, OcpiSession)
    assert str(session.last_updated) == "2015-06-29T20:39:09Z"


@pytest.mark.parametrize(
    "written",
    [
        "2015-06-29T20:39:09+00:00",
        "2015-06-29T22:39:09+02:00",
        "2015-06-29 20:39:09Z",
        "2015-06-29t20:39:09z",
        "2015-02-30T20:39:09Z",
        "2015-06-29T24:00:01Z",
        "2015-06-29T20:39Z",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "\u0662015-06-29T20:39:09Z",
        "now",
        1435610349,
    ],
)
def test_a_time_in_another_form_is_refused(example: Example, written: object) -> None:
    assert pointer_of(example(FINISHED) | {"last_updated": written}, OcpiSession) == "/last_updated"


@pytest.mark.parametrize(
    ("value", "pointer"),
    [({"\ud800": 1}, ""), ({"a/b": [{}, {"\ud800": 1}]}, "/a~1b/1"), ({"a": 1, "b": ["x", "\udc00"]}, "/b/1")],
)
def test_a_lone_surrogate_is_found_wherever_it_stands(example: Example, value: dict[str, Any], pointer: str) -> None:
    # Given a session that msgspec refuses for a lone surrogate, and others before it in places that we ignore
    assert pointer_of(value | example(FINISHED) | {"status": "\ud800"}, OcpiSession) == pointer


def test_unknown_members_and_values_of_enumerations_that_decide_nothing_are_ignored(example: Example) -> None:
    # Given a session of some later OCPI
    session = example(FINISHED) | {"soc": 80, "auth_method": "PLUG_AND_CHARGE"}
    put_in(session, "/cdr_token/type", "EMAID")
    put_in(session, "/charging_periods/0/dimensions/0/type", "MOOD")
    # Then it is taken, and what we don't know is not kept
    assert "soc" not in plain(check(session, OcpiSession))


@pytest.mark.parametrize(
    ("price", "total"),
    [
        ({"excl_vat": 8.5}, 8.5),
        ({"excl_vat": 8.5, "incl_vat": 9.35}, 9.35),
        ({"before_taxes": 8.5}, 8.5),
        ({"before_taxes": 8.5, "taxes": []}, 8.5),
        ({"before_taxes": 0.1, "taxes": [{"name": "QST", "amount": 0.1}, {"name": "GST", "amount": 0.1}]}, 0.3),
    ],
)
def test_a_price_of_either_version_adds_up_with_its_taxes(price: dict[str, Any], total: float) -> None:
    assert check(price, Price).total == pytest.approx(total)


@pytest.mark.parametrize("price", [{}, {"incl_vat": 9.35}, {"taxes": []}])
def test_a_price_without_a_net_amount_is_refused(example: Example, price: dict[str, Any]) -> None:
    assert pointer_of(example(FINISHED) | {"total_cost": price}, OcpiSession) == "/total_cost"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"\xff\xfe{\x00}\x00",
        b'{"id": "\xed\xa0\x80"}',
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b"\xef\xbb\xbf{}",
        b'{"kwh": ' + b"9" * 5000 + b"}",
    ],
    ids=lambda body: body[:12].decode("latin-1"),
)
def test_a_body_that_is_no_json_object_is_refused_as_a_whole(body: bytes) -> None:
    with pytest.raises(OcpiInvalid) as refused:
        read(body)
    assert refused.value.pointer == ""


def test_numbers_and_texts_that_json_should_not_hold_are_named_in_a_raw_body(shared_data: Path) -> None:
    body = (shared_data / "ocpi-2.2.1" / f"{FINISHED}.json").read_bytes()
    for before, after, pointer in (
        (b"41.12", b"NaN", "/kwh"),
        (b"41.12", b"1e999", "/kwh"),
        (b'"LOC1"', rb'"\ud83d"', "/location_id"),
        (b"41000", b"-Infinity", "/charging_periods/1/dimensions/0/volume"),
    ):
        assert pointer_of(read(body.replace(before, after)), OcpiSession) == pointer


@pytest.mark.parametrize(("name", "kind"), [(STARTED, OcpiSession), (FINISHED, OcpiSession), (CDR, Cdr)])
def test_an_official_example_fits_the_schema_that_the_api_publishes(
    example: Example, name: str, kind: type[Any]
) -> None:
    schema = msgspec.json.schema(kind)
    jsonschema.validate(example(name), schema)
    for member, wrong in (("currency", "EUR\n"), ("id", ""), ("cdr_token", None), ("last_updated", 5)):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(example(name) | {member: wrong}, schema)


def test_an_error_never_tells_what_a_member_held(example: Example) -> None:
    # Given a contract id in places where it doesn't belong
    secret = "NL-TST-C12345678-S" * 3
    for member in REQUIRED_OF_SESSION:
        with pytest.raises(OcpiInvalid) as refused:
            check(example(FINISHED) | {member: {"auth_method": 5}.get(member, secret)}, OcpiSession)
        # Then no error repeats it
        assert "C12345678" not in str(refused.value) + repr(refused.value)
        assert refused.value.__cause__ is None
        assert refused.value.__suppress_context__
