"""Complaints: which mail a provider's feedback report names, and that nothing that anybody may send does harm."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.channels.email.bounces import Bounce, read_bounce
from notifier.channels.email.complaints import MAX_KIND, Feedback, read_feedback
from notifier.channels.email.reports import MAX_BYTES
from tests.channels.email.reports import DELIVERY, POSTFIX, RETURN_PATH, YAHOO, arf, dsn

COMPLAINT = Feedback(kind="abuse", delivery=DELIVERY)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_report_without_the_recipient_and_the_message_id_names_the_delivery_by_its_return_path(end: str) -> None:
    assert read_feedback(YAHOO.replace("\n", end).encode()) == COMPLAINT


@pytest.mark.parametrize("as_type", ["message/rfc822", "text/rfc822-headers", "message/global"])
@pytest.mark.parametrize(
    "mail", [f"Message-ID: <{DELIVERY}@voltline.example>", f"Message-ID: <x@relay>\nReturn-Path: <{RETURN_PATH}>"]
)
def test_the_returned_mail_names_the_delivery(as_type: str, mail: str) -> None:
    assert read_feedback(arf(mail=mail, as_type=as_type)) == COMPLAINT


@pytest.mark.parametrize("kind", ["not-spam", "fraud", "virus", "other", "opt-out"])
def test_feedback_that_is_no_complaint_names_no_delivery(kind: str) -> None:
    assert read_feedback(arf(kind)) == Feedback(kind=kind)


@pytest.mark.parametrize("mail", ["X: y", "Message-ID: <unknown@x>", f"Message-ID: <{DELIVERY}0@voltline.example>"])
def test_a_complaint_of_a_mail_that_is_not_ours_names_no_delivery(mail: str) -> None:
    assert read_feedback(arf(mail=mail)) == Feedback(kind="abuse")


@pytest.mark.parametrize(
    "mail",
    [
        b"",
        b"To: no-reply@voltline.example\n\nPlease stop.",
        POSTFIX.encode(),
        dsn(),
        arf().replace(b"multipart/report", b"multipart/mixed"),
        arf().replace(b'report-type="feedback-report"', b"report-type=delivery-status"),
        arf().replace(b"message/feedback-report", b"text/plain"),
        arf(""),
        arf("x" * (MAX_KIND + 1)),
        arf("abuse\x1b[2J"),
    ],
)
def test_what_is_no_feedback_report_is_none(mail: bytes) -> None:
    assert read_feedback(mail) is None


def test_a_feedback_report_is_no_bounce() -> None:
    assert read_bounce(YAHOO.encode()) == read_bounce(arf()) == Bounce()


HOSTILE = {
    "endless": arf() + b"x" * (4 * MAX_BYTES),
    "half boundaries": arf() + (b"\n--" + b"b" * 60) * (MAX_BYTES // 63),
    "spaces": arf(fields="X:" + " \r\n" * (MAX_BYTES // 3)),
    "headers": arf(mail="a: b\r\n" * 200_000),
}


@pytest.mark.parametrize("mail", HOSTILE.values(), ids=HOSTILE)
def test_a_mail_meant_to_exhaust_us_takes_no_time(mail: bytes) -> None:
    started = time.process_time()

    read_feedback(mail)

    assert time.process_time() - started < 0.5


@given(st.integers(0, len(arf())), st.integers(0, 60), st.binary(max_size=30))
def test_a_damaged_report_is_read_or_not_and_never_an_error(at: int, length: int, instead: bytes) -> None:
    mail = arf()

    feedback = read_feedback(mail[:at] + instead + mail[at + length :])

    assert feedback is None or feedback.delivery is None or len(feedback.delivery) == len(DELIVERY)


def test_feedback_shows_nothing_of_the_mail() -> None:
    assert "abuse" not in repr(COMPLAINT)
    assert DELIVERY not in repr(COMPLAINT)
