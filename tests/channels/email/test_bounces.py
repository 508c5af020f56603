"""Bounces: what servers' reports mean, and that nothing that anybody may send does harm."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.channels.email.bounces import MAX_RECIPIENTS, Bounce, read_bounce
from notifier.channels.email.reports import MAX_BYTES, MAX_PARTS
from notifier.domain.deliveries import Reason, State
from notifier.domain.messages import Report
from tests.channels.email.reports import DELIVERY, EXCHANGE, EXIM, POSTFIX, dsn
from tests.named import EMAIL

NOTHING = Bounce()


def read(data: bytes) -> Report:
    report = read_bounce(data).report
    assert report is not None
    return report


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_postfixs_report_names_the_delivery_the_code_and_the_mailbox(end: str) -> None:
    bounce = read_bounce(POSTFIX.replace("\n", end).encode())

    assert bounce.action == "failed"
    assert bounce.report == Report(
        delivery=DELIVERY, channel=EMAIL, state=State.UNDELIVERED, reason="address_gone", code="5.1.1",
        addresses=("Ada@example.com", "ada@example.com"), suppress=Reason.BOUNCED,
    )  # fmt: skip


def test_a_report_that_lost_its_return_path_is_known_by_the_returned_mail() -> None:
    report = read(EXCHANGE.encode())

    assert (report.delivery, report.code, report.suppress) == (DELIVERY, "5.1.10", Reason.BOUNCED)


def test_a_servers_own_words_are_more_exact_than_a_status_that_says_nothing() -> None:
    report = read(EXIM.encode())

    assert (report.delivery, report.code, report.reason, report.suppress) == (DELIVERY, "5.7.1", "refused", None)


@pytest.mark.parametrize(
    ("status", "diagnostic", "code", "reason", "suppress"),
    [
        ("5.1.1", "smtp; 550 5.7.1 no", "5.1.1", "address_gone", Reason.BOUNCED),
        ("5.1.2 (bad destination)", "", "5.1.2", "address_gone", Reason.BOUNCED),
        ("5.2.1", "", "5.2.1", "address_gone", Reason.BOUNCED),
        ("5.2.2", "", "5.2.2", "refused", None),
        ("5.1.99", "", "5.1.99", "refused", None),
        ("5.9.9", "", "5.9.9", "refused", None),
        ("5.0.0", "x-unix; no such user", "5.0.0", "refused", None),
        ("5.0.0", "smtp; 450 4.2.2 full", "5.0.0", "refused", None),
        ("4.4.7", "", "4.4.7", "unavailable", None),
        ("4.4.1", "smtp; 550 5.1.1 gone", "4.4.1", "unavailable", None),
    ],
)
def test_a_mail_that_was_given_up_is_undelivered_and_only_a_mailbox_that_is_gone_is_suppressed(
    status: str, diagnostic: str, code: str, reason: str, suppress: Reason | None
) -> None:
    report = read(dsn(status, diagnostic=diagnostic))

    assert (report.state, report.code, report.reason) == (State.UNDELIVERED, code, reason)
    assert report.suppress == suppress


@pytest.mark.parametrize("action", ["delayed", "delivered", "relayed", "expanded"])
def test_a_report_of_anything_but_failure_does_nothing(action: str) -> None:
    assert read_bounce(dsn("4.4.1", action)) == Bounce(action=action)


def test_of_several_recipients_the_one_that_failed_counts() -> None:
    two = dsn("4.4.1", "delayed").replace(
        b"\r\n\r\n--b--",
        b"\r\n\r\nFinal-Recipient: rfc822; b@example.com\r\nAction: failed\r\nStatus: 5.2.2\r\n\r\n--b--",
    )

    assert read(two).code == "5.2.2"


@pytest.mark.parametrize(
    ("recipient", "addresses"),
    [
        ("rfc822; ada@xn--bcher-kva.example", ("ada@bücher.example",)),
        ("RFC822;<ada@example.com>", ("ada@example.com",)),
        ("utf-8; adä@example.com", ()),  # no recipient has a mailbox that needs SMTPUTF8
        ("rfc822; a@example.com, b@example.com", ()),
        ("rfc822; " + "a" * 2000 + "@example.com", ()),
        ("x400; /C=DE/", ()),
        ("", ()),
    ],
)
def test_the_mailbox_is_written_as_recipients_write_it(recipient: str, addresses: tuple[str, ...]) -> None:
    assert read(dsn(recipient=recipient)).addresses == addresses


def test_where_no_delivery_is_named_there_is_nothing_to_do() -> None:
    assert read_bounce(dsn(reference="unknown")) == Bounce(action="failed")
    assert read_bounce(dsn(reference=DELIVERY + "0")) == Bounce(action="failed")


@pytest.mark.parametrize(
    "mail",
    [
        b"",
        b"\r\n\r\n",
        b"To: no-reply@voltline.example\n\nI am away until Monday.",
        dsn().replace(b'report-type="delivery-status"', b"report-type=feedback-report"),
        dsn().replace(b"multipart/report", b"multipart/mixed"),
        dsn().replace(b'boundary="b"', b""),
        dsn().replace(b'boundary="b"', b'boundary="' + b"b" * 71 + b'"'),
        dsn().replace(b"message/delivery-status", b"text/plain"),
        dsn("no status"),
        dsn(action=""),
        dsn(action="exploded"),
    ],
)
def test_what_is_no_report_is_none(mail: bytes) -> None:
    assert read_bounce(mail) == NOTHING


def nested(depth: int) -> bytes:
    """Parts within parts, each with a boundary of its own."""
    levels = (f'Content-Type: multipart/mixed; boundary="{n}"\n\n--{n}\n'.encode() for n in range(depth))
    return dsn() + b"--b\n" + b"".join(levels)


HOSTILE = {
    "endless": dsn() + b"x" * (4 * MAX_BYTES),
    "one header": b"Content-Type: " + b"multipart/report; " * 100_000,
    "quotes": b"Content-Type: multipart/report; report-type=delivery-status; boundary=" + b'"\\' * 200_000 + b"\n\n",
    "blank lines": dsn() + b"\n" * MAX_BYTES,
    "spaces": dsn() + b"\n " * (MAX_BYTES // 2),
    "boundaries": dsn() + b"\n--b" * (MAX_BYTES // 4),
    "half boundaries": dsn() + (b"\n--" + b"b" * 60) * (MAX_BYTES // 63),
    "nested": nested(10_000),
    "headers": b"a: b\n" * 200_000,
    "recipients": dsn().replace(
        b"\r\n\r\n--b--", b"\r\n\r\nAction: delayed\r\nStatus: 4.0.0" * 10_000 + b"\r\n\r\n--b--"
    ),
}


@pytest.mark.parametrize("mail", HOSTILE.values(), ids=HOSTILE)
def test_a_mail_meant_to_exhaust_us_takes_no_time(mail: bytes) -> None:
    started = time.process_time()

    read_bounce(mail)

    assert time.process_time() - started < 0.5


def test_what_stands_beyond_the_limits_is_not_read() -> None:
    late = b"\r\nX: y" * MAX_BYTES
    assert read_bounce(dsn().replace(b"\r\n\r\n--b\r\n", late + b"\r\n\r\n--b\r\n", 1)) == NOTHING
    parts = b"--b\r\n\r\nx\r\n" * MAX_PARTS
    assert read_bounce(dsn().replace(b"--b\r\n", parts + b"--b\r\n", 1)) == NOTHING
    delayed = b"\r\n\r\nAction: delayed\r\nStatus: 4.0.0" * MAX_RECIPIENTS
    assert read_bounce(dsn().replace(b"\r\n\r\nFinal", delayed + b"\r\n\r\nFinal")).action == "delayed"


@given(st.binary(max_size=400))
def test_bytes_at_random_are_no_report(data: bytes) -> None:
    assert read_bounce(data) == NOTHING


@given(st.integers(0, len(dsn())), st.integers(0, 60), st.binary(max_size=30))
def test_a_damaged_report_is_read_or_not_and_never_an_error(at: int, length: int, instead: bytes) -> None:
    mail = dsn()

    bounce = read_bounce(mail[:at] + instead + mail[at + length :])

    assert bounce.report is None or (len(bounce.report.delivery), bounce.report.state) == (32, State.UNDELIVERED)


def test_neither_a_bounce_nor_its_report_shows_the_mailbox() -> None:
    bounce = read_bounce(POSTFIX.encode())

    assert "example" not in repr(bounce) + repr(bounce.report)
