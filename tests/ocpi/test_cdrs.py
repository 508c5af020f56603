"""A CDR is the receipt of a session."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from notifier.domain.catalog_files import load_catalog
from notifier.domain.clock import to_datetime
from notifier.ocpi.cdrs import post, why_not, withdrawal
from notifier.ocpi.events import OcpiEvent
from notifier.ocpi.objects import Cdr, OcpiInvalid, check

Example = Callable[[str], dict[str, Any]]

TEMPLATES = Path(__file__).parents[2] / "templates"


def receipt(cdr: dict[str, Any]) -> OcpiEvent:
    event = post(cdr)
    assert event is not None
    return event


def test_the_official_cdr_is_a_receipt(shared_data: Path) -> None:
    # Given the official CDR, verbatim; it names no session
    event = post((shared_data / "ocpi-2.2.1" / "cdr_example.json").read_bytes())
    # Then the receipt is about the CDR itself
    assert event is not None
    assert (event.type, event.source, event.subject) == ("session.receipt", "ocpi/BE/BEC", "cdr/BE/BEC/12345")
    assert to_datetime(event.time).isoformat() == "2015-06-29T22:01:13+00:00"
    assert event.data == {
        "session_id": "BE-BEC-12345",
        "cdr_id": "BE-BEC-12345",
        "token": "DE8ACC12E46L89",
        "station": "Gent Zuid",
        "address": "F.Rooseveltlaan 3A, Gent",
        "started_at": "2015-06-29T21:39:09Z",
        "ended_at": "2015-06-29T23:37:32Z",
        "duration_min": 118,
        "energy_kwh": 15.342,
        "total": {"amount": 4.4, "currency": "EUR"},
        "tax": {"amount": 0.4, "currency": "EUR"},
    }


def test_a_receipt_is_about_its_session_under_the_name_that_the_session_has(example: Example) -> None:
    data = receipt(example("cdr_example") | {"session_id": "abc-101"}).data
    assert (data["session_id"], data["cdr_id"]) == ("BE-BEC-ABC-101", "BE-BEC-12345")


def test_a_price_of_ocpi_2_3_0_makes_the_same_receipt(example: Example) -> None:
    taxed = {"before_taxes": 4.0, "taxes": [{"name": "VAT", "amount": 0.1}, {"name": "City", "amount": 0.3}]}
    assert receipt(example("cdr_example") | {"total_cost": taxed}) == receipt(example("cdr_example"))


@pytest.mark.parametrize("cost", [{"excl_vat": 4.0, "incl_vat": 4.0}, {"before_taxes": 4, "taxes": []}])
def test_no_tax_is_told_where_none_is_known(example: Example, cost: dict[str, Any]) -> None:
    data = receipt(example("cdr_example") | {"total_cost": cost}).data
    assert data["total"] == {"amount": 4.0, "currency": "EUR"}
    assert "tax" not in data


def test_what_parking_cost_is_the_idle_fee(example: Example) -> None:
    data = receipt(example("cdr_example") | {"total_parking_cost": {"excl_vat": 2.0, "incl_vat": 2.42}}).data
    assert data["idle_fee"] == {"amount": 2.42, "currency": "EUR"}


@pytest.mark.parametrize(
    ("place", "station", "address"),
    [
        ({"name": ""}, "F.Rooseveltlaan 3A", "F.Rooseveltlaan 3A, Gent"),
        ({"name": None, "address": ""}, "Gent", "Gent"),
        ({"name": None, "address": "", "city": " "}, "BE*BEC", None),
        ({"name": "N" * 255, "address": "A" * 200, "city": "C" * 200}, "N" * 255, "A" * 200 + ", " + "C" * 200),
        ({"name": "Gent", "address": "", "city": ""}, "Gent", None),
        ({"name": "  ", "address": " ", "city": "Gent"}, "Gent", "Gent"),
        ({"name": "\u200b", "address": "\u2800", "city": "Gent"}, "Gent", "Gent"),
        ({"name": "\ufeff", "address": "", "city": "\u3164"}, "BE*BEC", None),
    ],
)
def test_a_station_is_called_by_the_best_name_that_is_told(
    example: Example, place: dict[str, Any], station: str, address: str | None
) -> None:
    cdr = example("cdr_example")
    event = receipt(cdr | {"cdr_location": cdr["cdr_location"] | place})
    assert (event.data["station"], event.data.get("address")) == (station, address)
    model = load_catalog(TEMPLATES).model(event.type)
    assert model is not None
    msgspec.convert(event.data, model)


def test_a_credit_cdr_is_no_receipt(example: Example) -> None:
    # Given the CDR that takes back the official one (mod_cdrs, Credit CDRs): its costs are negative
    credit = {"id": "12345-C", "credit": True, "credit_reference_id": "12345", "total_cost": {"excl_vat": -4.0}}
    assert post(example("cdr_example") | credit) is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"total_cost": {"excl_vat": 4.0}}, "has no taxes"),
        ({"total_cost": {"before_taxes": 4.0}}, "has no taxes"),
        ({"total_cost": {"excl_vat": -4.0, "incl_vat": -4.4}}, "negative"),
        ({"home_charging_compensation": True}, "owed to the driver"),
    ],
)
def test_what_is_no_bill_is_no_receipt_and_says_why(example: Example, changes: dict[str, Any], said: str) -> None:
    cdr = check(example("cdr_example") | changes, Cdr)
    assert post(cdr) is None
    assert said in str(why_not(cdr, priced=True))


def test_what_an_operator_is_paid_is_shown_to_drivers_only_where_it_is_what_they_pay(example: Example) -> None:
    cdr = check(example("cdr_example"), Cdr)
    assert post(cdr, priced=False) is None
    assert "BE*BEC" in str(why_not(cdr, priced=False))
    assert why_not(cdr, priced=True) is None


def test_a_parking_cost_without_taxes_is_no_fee(example: Example) -> None:
    assert "idle_fee" not in receipt(example("cdr_example") | {"total_parking_cost": {"excl_vat": 2.0}}).data


@pytest.mark.parametrize("named", [{"session_id": "abc-101"}, {}])
def test_a_credit_cdr_takes_back_the_receipt_of_the_cdr_that_it_names(example: Example, named: dict[str, Any]) -> None:
    # Given a CDR, with and without a session, and its credit CDR
    cdr = example("cdr_example") | named
    credit = cdr | {"id": "12345-C", "credit": True, "credit_reference_id": "12345"}
    # When both are read
    taken = withdrawal(check(credit | {"last_updated": "2015-07-01T00:00:00Z"}, Cdr))
    # Then what is taken back is what the receipt is about, later than it and before what comes in the same second
    assert taken is not None
    assert (taken.type, taken.data) == ("receipt.withdrawn", {"session_id": receipt(cdr).data["session_id"]})
    assert receipt(cdr).time < taken.time < receipt(cdr | {"last_updated": "2015-07-01T00:00:00Z"}).time
    assert withdrawal(check(cdr, Cdr)) is None


def test_the_same_cdr_is_the_same_event(example: Example) -> None:
    assert receipt(example("cdr_example")) == receipt(example("cdr_example"))
    assert receipt(example("cdr_example")).id != receipt(example("cdr_example") | {"id": "12346"}).id


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"id": "x" * 40}, "/id"),
        ({"charging_periods": []}, "/charging_periods"),
        ({"total_energy": float("nan")}, "/total_energy"),
        ({"cdr_location": {"id": "LOC1"}}, "/cdr_location/address"),
        ({"total_cost": {"before_taxes": 4.0, "taxes": [{"name": "VAT"}]}}, "/total_cost/taxes/0/amount"),
        ({"credit": "no"}, "/credit"),
        ({"last_updated": "0001-01-01T00:00:00Z"}, "/last_updated"),
    ],
)
def test_a_broken_cdr_is_refused_by_the_name_of_its_member(
    example: Example, changes: dict[str, Any], pointer: str
) -> None:
    with pytest.raises(OcpiInvalid) as refused:
        post(example("cdr_example") | changes)
    assert refused.value.pointer == pointer
