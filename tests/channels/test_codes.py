"""The tables of codes: complete, valid, and refused at load where they aren't."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from google.rpc import code_pb2

from notifier.channels.email import codes as email
from notifier.channels.push import codes as push
from notifier.channels.sms import codes as sms
from notifier.domain.clock import SECOND
from notifier.domain.errors import SEND_ERRORS, AddressGone, ConfigurationError, OptedOut, Throttled
from notifier.domain.messages import Receipt
from notifier.providers.codes import AGAIN, DEFERRED, Codes, load_codes
from notifier.store.core.schema import outcome
from notifier.store.core.status import rendered as delivery

TABLES = {table.provider: table for table in (push.CODES, sms.CODES, email.CODES)}

FCM = (
    "UNSPECIFIED_ERROR INVALID_ARGUMENT UNREGISTERED SENDER_ID_MISMATCH QUOTA_EXCEEDED UNAVAILABLE INTERNAL"
    " THIRD_PARTY_AUTH_ERROR"
)
GOOGLE = sorted(set(code_pb2.Code.DESCRIPTOR.values_by_name) - {"OK"})
TWILIO = (
    20003, 20404, 20429, 20500, 20503, 21211, 21212, 21408, *range(21601, 21625), 21635, *range(30001, 30047), 30410,
)  # fmt: skip
RETRY = 'provider = "p"\n' + "".join(
    f'[retry.{kind}]\nfirst = "30 s"\nfactor = 2\nmost = "1 h"\nattempts = 5\n'
    for kind in ("unavailable", "throttled", "misconfigured", "unknown")
)
CODES = '[codes]\ndefault = { kind = "refused", meaning = "m" }'
REPLIES = (421, 450, 451, 452, 454, 455, 500, 501, 502, 503, 504, 521, 530, 534, 535, 538, *range(550, 557))
DETAILS = {  # of each subject, those that a permanent failure has: RFC 3463 §3 and IANA's registry of what came later
    1: (0, 1, 2, 3, 4, 6, 7, 8, 9, 10),
    2: range(5),
    3: range(6),
    4: (0, 1, 3, 4, 6, 7),
    5: range(7),
    6: range(11),
    7: range(31),
}
ENHANCED = [f"5.{subject}.{detail}" for subject, details in DETAILS.items() for detail in details]


@pytest.mark.parametrize(
    ("provider", "code"), [(provider, code) for provider, table in TABLES.items() for code in table.codes]
)
def test_every_code_is_classified_as_its_row_says(provider: str, code: str) -> None:
    # Given
    table = TABLES[provider]

    # When
    error = table.classify(code)

    # Then
    assert type(error) is SEND_ERRORS[table.codes[code].kind]
    assert (error.provider, error.code, error.detail) == (provider, code, table.codes[code].meaning)
    assert error.detail


@pytest.mark.parametrize("code", [*FCM.split(), *GOOGLE])
def test_each_code_that_google_documents_has_a_row(code: str) -> None:
    assert code in push.CODES.codes


@pytest.mark.parametrize("code", TWILIO)
def test_each_twilio_code_about_texts_has_a_row(code: int) -> None:
    assert str(code) in sms.CODES.codes


@pytest.mark.parametrize("code", [*REPLIES, *ENHANCED])
def test_each_smtp_code_has_a_row(code: str | int) -> None:
    assert str(code) in email.CODES.codes


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_only_codes_that_can_mean_nothing_else_give_an_address_up(table: Codes) -> None:
    gone = {code for code, row in table.codes.items() if row.kind == AddressGone.kind}
    assert not gone & {"400", "404", "4xx", "5xx", "default", "INVALID_ARGUMENT", "NOT_FOUND", "550", "554", "5.7.1"}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
@pytest.mark.parametrize("code", ["default", "4xx", "5xx"])
def test_each_table_ends_in_defaults(table: Codes, code: str) -> None:
    assert code in table.codes


def test_an_unknown_code_is_told_with_the_meaning_of_its_class() -> None:
    # When
    error = sms.CODES.classify("29999", "400", "4xx")

    # Then
    assert (error.kind, error.code, error.detail) == ("refused", "29999", sms.CODES.codes["4xx"].meaning)


def test_what_no_row_knows_is_the_default() -> None:
    assert push.CODES.classify("000").detail == push.CODES.codes["default"].meaning


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_code_that_comes_again_says_when_and_no_table_is_there_for_nothing(table: Codes) -> None:
    # Given the class of each code by which a message may go out once more
    classes = {row.retry or row.kind for row in table.codes.values() if row.kind in AGAIN}

    # Then each has its table, and each table its codes, but for the kinds that need none
    assert classes <= table.retry.keys()
    assert table.retry.keys() <= classes | AGAIN


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_only_what_we_hold_back_ourselves_is_no_try(table: Codes) -> None:
    waiting = {name for name, retry in table.retry.items() if retry.attempts is None}

    assert waiting == {"deferred"}
    deferred = {code for code, row in table.codes.items() if row.retry == "deferred"}
    assert deferred == {"busy", "paced", "resting"} | ({"behind"} if table is email.CODES else set())


@pytest.mark.parametrize(
    ("provider", "code", "least", "attempts"),
    [
        ("fcm", "UNAVAILABLE", 10, 20),  # firebase.google.com/docs/cloud-messaging/scale-fcm: at least 10 s
        ("fcm", "INTERNAL", 10, 20),
        ("smtp", "450", 300, 20),  # greylisting
        ("smtp", "451", 300, 20),
        ("smtp", "4.7.1", 300, 20),
        ("smtp", "4.2.2", 3600, 6),
        ("twilio", "30003", 600, 2),  # one later try
        ("twilio", "30008", 600, 2),
    ],
)
def test_what_providers_ask_for_is_kept_to(provider: str, code: str, least: int, attempts: int) -> None:
    table = TABLES[provider]
    retry = table.retry[table.classify(code).retry_class]

    assert (retry.least, retry.attempts) == (least * SECOND, attempts)


ABOUT_THE_ADDRESS = {  # of the kinds that else are about the provider or our account there
    "fcm": ["QUOTA_EXCEEDED", "SENDER_ID_MISMATCH", "THIRD_PARTY_AUTH_ERROR", "APNS_AUTH_ERROR"],
    # a phone, its carrier or its country: others are reached all the same
    "twilio": [
        "30003",
        "30008",
        "30017",
        "30022",
        "30023",
        "30025",
        "30026",
        "30027",
        "30032",
        "30033",
        "30034",
        "30046",
        "30410",
    ],
    # what the recipient's side says, by way of our server
    "smtp": [
        *("4.1.0", "4.2.0", "4.2.1", "4.2.2", "4.2.4", "4.4.1", "4.4.3", "4.4.4", "4.4.5", "4.4.6", "4.4.7"),
        *("4.5.3", "4.6.0", "4.7.0", "4.7.1", "4.7.28", "450", "451", "452"),
        *(f"5.7.{detail}" for detail in range(20, 28)),
    ],
}
ABOUT_THE_MESSAGE = {"fcm": ["ABORTED"], "twilio": ["20409"], "smtp": ["455", "4.5.0"]}
ABOUT_THE_ACCOUNT = {"fcm": [], "twilio": ["21611", "30035", "30454"], "smtp": []}


@pytest.mark.parametrize("provider", TABLES)
def test_each_code_is_about_its_address_its_message_its_provider_or_our_account(provider: str) -> None:
    """Walk over every documented code: whether others than the one message have to wait is decided by this."""
    for code in TABLES[provider].codes:
        error = TABLES[provider].classify(code)
        if error.retry_class == DEFERRED:
            expected = "ourselves"
        elif code in ABOUT_THE_ADDRESS[provider] or error.kind in ("address_gone", "opted_out"):
            expected = "address"
        elif code in ABOUT_THE_MESSAGE[provider] or error.kind == "refused":
            expected = "message"
        elif code in ABOUT_THE_ACCOUNT[provider] or error.kind == "misconfigured":
            expected = "account"
        else:
            expected = "provider"
        assert (code, error.about) == (code, expected)


def test_what_a_provider_says_fits_its_columns() -> None:
    # Given a code and an id that are longer than any, and one that PostgreSQL doesn't take
    error = sms.CODES.classify("3" * 41)
    receipt = Receipt("fcm", "projects/p/messages/\0" + "1" * 600)

    # Then what is kept of them fits
    assert len(error.code) <= min(width(delivery.c.code), width(outcome.c.code))
    assert len(receipt.reference) == width(delivery.c.provider_reference)
    assert receipt.reference.startswith("projects/p/messages/1")


def width(column: sa.ColumnElement[Any]) -> int:
    assert isinstance(column.type, sa.String)
    return column.type.length or 0


def test_the_providers_wish_goes_before_the_tables() -> None:
    assert push.CODES.classify("429").retry_after == 60
    assert push.CODES.classify("429", retry_after=0.0).retry_after == 0
    assert push.CODES.classify("503").retry_after is None


def test_twilios_stop_and_its_rate_limit() -> None:
    assert isinstance(sms.CODES.classify("21610"), OptedOut)
    assert isinstance(sms.CODES.classify("20429"), Throttled)


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        (RETRY + '[codes]\ndefault = { kind = "gone", meaning = "m" }', "default has kind 'gone'"),
        (RETRY + '[codes]\n400 = { kind = "refused", meaning = "m" }', "add a row 'default'"),
        (RETRY + '[codes]\ndefault = { kind = "refused" }', "meaning"),
        (RETRY + '[codes]\ndefault = { kind = "refused", meaning = "m", wait = 1 }', "wait"),
        (RETRY + '[codes]\ndefault = { kind = "unavailable", meaning = "m", retry = "tomorrow" }', "retry 'tomorrow'"),
        (RETRY + '[codes]\ndefault = { kind = "refused", meaning = "m", retry = "unknown" }', "never comes"),
        (
            RETRY.replace("30 s", "30") + '[codes]\ndefault = { kind = "refused", meaning = "m" }',
            "'30' is not a duration",
        ),
        (RETRY.replace("unknown", "unheard") + CODES, "add a table [retry.unknown]"),
        (RETRY.replace("factor = 2", "factor = 0.5") + CODES, "`float` >= 1.0"),
        (RETRY.replace("factor = 2", "faktor = 2") + CODES, "faktor"),
        (RETRY.replace("attempts = 5", "attempts = 0") + CODES, "`int` >= 1"),
        ('provider = "p"', "codes"),
        ('provider = "p"\nprovider = "q"', "overwrite"),
        (None, "No such file"),
    ],
)
def test_a_wrong_table_is_refused_with_its_place(tmp_path: Path, table: str | None, problem: str) -> None:
    # Given
    folder = tmp_path / "fax"
    folder.mkdir()
    if table is not None:
        (folder / "codes.toml").write_text(table)

    # When / Then
    with pytest.raises(ConfigurationError, match=r"fax/codes\.toml") as refused:
        load_codes(folder)
    assert problem in str(refused.value)
