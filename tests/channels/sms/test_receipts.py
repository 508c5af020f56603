"""Status callbacks: what each status and each code makes of a delivery."""

import pytest

from notifier.channels.sms.codes import CODES
from notifier.channels.sms.receipts import STATES, StatusCallback, read_status
from notifier.domain.deliveries import Reason, State
from notifier.domain.errors import AddressGone, OptedOut
from notifier.domain.messages import Report
from tests.channels import canary
from tests.named import SMS

REFERENCE = "5f" * 16
SID = "SM" + "ab" * 16


def told(status: str, code: str = "", to: str = canary.PHONE, sid: str = SID) -> StatusCallback:
    return StatusCallback(status=status, sid=sid, to=to, error_code=code)


def read(callback: StatusCallback) -> Report:
    report = read_status(REFERENCE, callback, "twilio:main")
    assert report is not None
    return report


@pytest.mark.parametrize(("status", "state"), STATES.items())
def test_a_status_is_a_state_and_names_the_text_and_the_account(status: str, state: State) -> None:
    report = read(told(status))

    assert (report.delivery, report.channel, report.state) == (REFERENCE, SMS, state)
    assert (report.provider, report.reference) == ("twilio:main", SID)


@pytest.mark.parametrize("code", [code for code in CODES.codes if code.isdecimal() and len(code) == 5])
def test_every_code_gives_its_kind_as_the_reason_and_suppresses_what_is_gone_or_stopped(code: str) -> None:
    # Given any code of the table, when a text is undelivered with it
    report = read(told("undelivered", code))

    # Then the reason is the table's, and only a number that is no good or wants no more is suppressed
    kind = CODES.codes[code].kind
    assert (report.reason, report.code) == (kind, code)
    assert report.addresses == (canary.PHONE,)
    assert report.suppress == {AddressGone.kind: Reason.BAD_NUMBER, OptedOut.kind: Reason.STOPPED}.get(kind)


@pytest.mark.parametrize(
    ("code", "suppress"),
    [("30005", Reason.BAD_NUMBER), ("30006", Reason.BAD_NUMBER), ("21211", Reason.BAD_NUMBER),
     ("21610", Reason.STOPPED), ("30003", None), ("30007", None), ("99999", None)],
)  # fmt: skip
def test_the_codes_that_count_most(code: str, suppress: Reason | None) -> None:
    assert read(told("failed", code)).suppress == suppress


@pytest.mark.parametrize("code", ["", "x", "30005'; --", "3" * 50])
def test_without_a_code_the_status_is_the_reason(code: str) -> None:
    report = read(told("failed", code))

    assert (report.reason, report.code, report.suppress) == ("failed", None, None)


def test_a_code_beside_a_good_status_says_nothing() -> None:
    report = read(told("delivered", "30005"))

    assert (report.reason, report.code, report.suppress, report.addresses) == (None, None, None, ())


@pytest.mark.parametrize("to", ["", "whatsapp:+4915112345678", "+0123", "+49 151", "client:ada", "+1" * 20])
def test_what_is_no_number_is_not_suppressed(to: str) -> None:
    assert read(told("undelivered", "30005", to=to)).addresses == ()


@pytest.mark.parametrize("sid", ["", "x" * 500, "SM\0", "CA" + "ab" * 16])
def test_an_id_that_is_none_is_not_kept(sid: str) -> None:
    assert read(told("delivered", sid=sid)).reference is None


@pytest.mark.parametrize("reference", ["", "5f", "5F" * 16, "5f" * 16 + "\n", "../" * 8, "zz" * 16])
def test_a_reference_that_is_no_deliverys_id_says_nothing(reference: str) -> None:
    assert read_status(reference, told("delivered"), "twilio") is None


@pytest.mark.parametrize("status", ["", "receiving", "DELIVERED", "partially_delivered"])
def test_a_status_that_is_not_known_says_nothing(status: str) -> None:
    assert read_status(REFERENCE, told(status), "twilio") is None


def test_neither_a_callback_nor_its_report_shows_the_number() -> None:
    callback = told("undelivered", "30005")

    assert canary.PHONE[1:] not in repr(callback) + repr(read(callback)) + str(read(callback))
