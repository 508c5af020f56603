"""Addresses are checked once, where they come in: whatever passes here is trusted everywhere behind."""

import re
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from notifier.domain.messages import Device
from notifier.domain.recipient_facts import RecipientFacts
from notifier.domain.recipients import (
    ImportLine,
    Recipient,
    RecipientDetails,
    check_email,
    check_locale,
    check_phone,
    check_time_zone,
    decode_details,
    device_id,
)

CHECKS: dict[str, Callable[[str], str]] = {
    "email": check_email,
    "phone": check_phone,
    "locale": check_locale,
    "time_zone": check_time_zone,
}
# Half of it made of what addresses are made of, so that some of it nearly passes.
NEARLY = st.text(
    st.sampled_from("aZ09.@+-_/ ,;:<>()[]\"'\\\r\n\t\0\u2028\u2029\x85\u00a0\u202e\uff0c\uff20é") | st.characters()
)
BREAKS = ["\r", "\n", "\r\n", "\u2028", "\u2029", "\x85", "\0", "\x0b", "\x1c", ",", ";", " ", "\t"]


def passes(check: Callable[[str], str], text: str) -> str | None:
    """What the check makes of a text, or None where it refuses it."""
    try:
        return check(text)
    except ValueError:
        return None


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("ada@example.com", "ada@example.com"),
        ("Ada.Lovelace+ev@EXAMPLE.com", "Ada.Lovelace+ev@example.com"),
        ("o'hara@example.co.uk", "o'hara@example.co.uk"),
        ("ada@b\u00fccher.example.com", "ada@b\u00fccher.example.com"),
        ("ada@xn--bcher-kva.example.com", "ada@b\u00fccher.example.com"),
        ("ada@example\u3002com", "ada@example.com"),
        (" \u200bada@exam\ufeffple.com\u00a0\t", "ada@example.com"),
        ("\u202aada@example.com\u202c", "ada@example.com"),
        ("\u2068ada@exam\u00adple.com\u2069\u200e", "ada@example.com"),
        ("ada@printer.local", "ada@printer.local"),
        ("a" * 64 + "@example.com", "a" * 64 + "@example.com"),
    ],
)
def test_a_mailbox_gets_its_canonical_form(text: str, canonical: str) -> None:
    assert check_email(text) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "", "@", "ada", "ada@", "@example.com", "ada@example", "ada@localhost", "ada@[127.0.0.1]", "ada@example.com.",
        "ada@example..com", ".ada@example.com", "ada.@example.com", "a@b@example.com", "ada@exam_ple.com",
        '"ada"@example.com', '"a b"@example.com', '"a@evil.com"@example.com', '"a\\"b"@example.com',
        "Ada <ada@example.com>", "<ada@example.com>", "ada@example.com, eve@example.com", "ada(x)@example.com",
        "ada@example.com\r\nBcc: eve@example.com", "ada%0d%0a@example.com\n", "mailto:ada@example.com?cc=eve",
        "ada@" + "b" * 250 + ".com", "ada\ud800@example.com",
    ],
)  # fmt: skip
def test_what_is_not_one_plain_mailbox_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^email must be one valid address"):
        check_email(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [("jörg@example.com", "SMTPUTF8"), ("a" * 65 + "@example.com", "more than 64 characters")],
)
def test_a_mailbox_that_no_mail_of_ours_reaches_is_refused_with_what_it_would_need(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=f"^email .*{said}"):
        check_email(text)


@pytest.mark.parametrize("character", BREAKS)
def test_nothing_that_ends_a_header_or_begins_a_recipient_gets_into_a_mailbox(character: str) -> None:
    address = "ada@example.com"
    # Blanks around it come from copying and are left out.
    places = range(1, len(address)) if character in " \t" else range(len(address) + 1)
    for place in places:
        assert passes(check_email, address[:place] + character + address[place:]) is None


@given(NEARLY, st.sampled_from(["@example.com", "", "@", "@bücher.example.com"]))
def test_whatever_passes_is_one_word_with_one_at_sign(text: str, domain: str) -> None:
    address = passes(check_email, text + domain)

    if address is not None:
        local, at, host = address.partition("@")
        assert at
        assert local
        assert "." in host
        assert not re.search(r"[\s\x00-\x20\x7f-\xa0\u2028\u2029,;:<>()\[\]\"\\@]", local + host)
        assert check_email(address) == address


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("+49 151 23456789", "+4915123456789"),
        ("+1 (202) 555-0143", "+12025550143"),
        ("+44\u00a020 7946 0018", "+442079460018"),
        ("tel:+4915123456789", "+4915123456789"),
        ("+44 7700 900123", "+447700900123"),
        ("+52 1 55 1234 5678", "+525512345678"),
        ("+54 11 15 2345-6789", "+5491123456789"),
        ("+55 11 8123-4567", "+5511981234567"),
        ("+225 07 12 34 56", "+2250707123456"),
        ("+225 05 12 34 56", "+2250505123456"),
        ("+225 02 12 34 56", "+2250102123456"),
        ("+229 97 12 34 56", "+2290197123456"),
    ],
)
def test_a_number_gets_its_e164_form(text: str, canonical: str) -> None:
    assert check_phone(text) == canonical


@pytest.mark.parametrize(
    "text",
    ["", "+", "0151 23456789", "4915123456789", "+1 555 0100", "+99 1234567", "+49", "+" + "1" * 300, "ada", "\0"],
)
def test_a_number_that_cannot_exist_or_has_no_country_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^phone .*international|^phone can't exist"):
        check_phone(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("+49 900 1234567", "premium-rate"),
        ("+1 900 555 1234", "premium-rate"),
        ("+49 151 23456789 ext. 55", "extension"),
    ],
)
def test_a_number_that_a_text_should_not_go_to_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=f"^phone .*{said}"):
        check_phone(text)


@given(NEARLY, st.sampled_from(["+4915123456789", "+12025550143", "+442079460018"]), NEARLY)
@example("", "+4915123456789", "\r\nBcc: eve@example.com")
@example("", "+4915123456789", ",+4915123456780")
def test_whatever_passes_is_one_plus_and_digits(before: str, number: str, behind: str) -> None:
    phone = passes(check_phone, before + number + behind)

    if phone is not None:
        assert re.fullmatch(r"\+[1-9][0-9]{6,14}", phone)
        assert check_phone(phone) == phone


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("de", "de"),
        ("de-at", "de-AT"),
        ("DE_AT", "de-AT"),
        ("zh-hant-TW", "zh-Hant-TW"),
        ("es-419", "es-419"),
        ("uk-DE", "uk-DE"),
        ("tr_de", "tr-DE"),
        ("de-ch-1996", "de-CH-1996"),
        ("en-us-u-CA-buddhist", "en-US-u-ca-buddhist"),
        ("zz", "zz"),
    ],
)
def test_a_language_tag_gets_its_canonical_case(text: str, canonical: str) -> None:
    assert check_locale(text) == canonical


@pytest.mark.parametrize(
    "text",
    ["", "-", "de--AT", "root", "C", "german", "de-DE@euro", "de-DE.UTF-8", "de\n", "de-", "d\u0435", "x" * 5000, "\0"],
)
def test_what_is_no_language_tag_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^locale .*'de-AT'"):
        check_locale(text)


@given(st.from_regex(r"[a-zA-Z]{2,3}([-_][A-Za-z]{4})?([-_]([A-Za-z]{2}|[0-9]{3}))?", fullmatch=True) | NEARLY)
def test_whatever_passes_is_a_tag_that_stays_as_it_is(text: str) -> None:
    tag = passes(check_locale, text)

    if tag is not None:
        assert len(tag) <= 35
        assert check_locale(tag) == tag


@pytest.mark.parametrize("text", ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+12"])
def test_a_zone_of_the_iana_database_passes(text: str) -> None:
    assert ZoneInfo(check_time_zone(text)).key == text


@pytest.mark.parametrize(
    "text",
    [
        "", "Berlin", "europe/berlin", "Europe", "CEST", "+01:00", "../../etc/passwd", "/etc/passwd", "Europe//Berlin",
        "right/Europe/Berlin", "posixrules", "localtime", "Factory", "tzdata.zi", "UTC\n", "UTC\0", "x" * 5000,
        "\ud800",
    ],
)  # fmt: skip
def test_anything_else_is_no_zone(text: str) -> None:
    with pytest.raises(ValueError, match=r"^time_zone .*'Europe/Berlin'"):
        check_time_zone(text)


@given(st.sampled_from(sorted(CHECKS)), NEARLY)
def test_an_error_begins_with_its_field_and_never_holds_the_value(field: str, text: str) -> None:
    value = f"c4n4ry{text}"

    with pytest.raises(ValueError, match=f"^{field} ") as raised:
        CHECKS[field](value)

    assert "c4n4ry" not in str(raised.value)


def test_details_are_checked_as_a_whole() -> None:
    details = decode_details(
        b'{"name": "Ada", "email": "ada@EXAMPLE.com", "phone": "+49 151 23456789", "locale": "de_at"}'
    ).checked()

    assert (details.email, details.phone) == ("ada@example.com", "+4915123456789")
    assert (details.locale, details.time_zone) == ("de-AT", "UTC")


@pytest.mark.parametrize(
    "details",
    [
        {"kind": "admin"},
        {"name": ""},
        {"name": "x" * 201},
        {"name": "Ada\r\nBcc: eve@example.com"},
        {"name": "Ada\u2028"},
        {"name": "Ada\0"},
        {"email": 5},
        {"nmae": "Ada"},
        {"tokens": ["a\n"]},
        {"tokens": ["a b"]},
        {"tokens": ["\u00a0"]},
        {"fleets": ["x" * 101]},
        {"sites": ["s"] * 201},
        {"teams": ["t"] * 201},
        {"preferences": {"switches": {"char ging": {"sms": False}}}},
        {"preferences": {"switches": {"charging": {"fax": False}}}},
        {"preferences": {"switches": {"charging": {"sms": 0}}}},
        {"devices": [{"value": "t"}] * 21},
        {"devices": [{"value": ""}]},
        {"devices": [{"value": "a\0"}]},
        {"devices": [{"value": "a\n"}]},
        {"devices": [{"value": "t", "kind": "apns"}]},
        {"devices": [{"value": "t", "last_seen": 2**63}]},
        {"devices": [{"value": "t", "last_seen": -1}]},
        {"devices": [{"value": "t", "token": "t"}]},
    ],
)
def test_details_that_do_not_fit_are_refused(details: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        decode_details(msgspec.json.encode(details))


def test_a_recipient_is_found_by_all_that_names_them_once() -> None:
    details = RecipientDetails(tokens=["T1", "T1", "T2"], fleets=["acme"], sites=["gent"], teams=["csms"])

    assert details.audiences("ada") == ["driver:ada", "token:T1", "token:T2", "fleet:acme", "site:gent", "team:csms"]


def test_only_a_driver_is_found_as_a_driver() -> None:
    assert RecipientDetails(kind="fleet_manager", fleets=["acme"]).audiences("ada") == ["fleet:acme"]


def test_a_device_is_the_same_whoever_registers_it() -> None:
    first = Device(value="t", platform="ios", last_seen=1)

    assert device_id(first) == device_id(Device(value="t", platform="web", last_seen=2))
    assert device_id(first) != device_id(Device(value="t", kind="fid"))


def test_nothing_personal_is_printed() -> None:
    details: dict[str, Any] = {
        "name": "c4n4ry",
        "email": "c4n4ry@example.com",
        "phone": "+c4n4ry",
        "tokens": ["c4n4ry"],
    }
    recipient = Recipient(
        id="c4n4ry", name="c4n4ry", email="c4n4ry@example.com", phone="+c4n4ry", devices=[Device(value="c4n4ry")],
        facts=RecipientFacts(region="c4n4ry"),
    )  # fmt: skip

    printed = repr([RecipientDetails(**details), ImportLine(id="c4n4ry", **details), recipient])

    assert "c4n4ry" not in printed
