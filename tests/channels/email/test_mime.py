"""Mails read back by the standard library's parser: what went in comes out, and nothing else."""

import re
from email import message_from_bytes
from email.header import decode_header, make_header
from email.headerregistry import Address
from email.message import EmailMessage as Parsed
from email.policy import default
from email.utils import parseaddr, parsedate_to_datetime
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from notifier.channels.email.messages import EmailContent
from notifier.channels.email.mime import compose, make_sender, plain_address
from notifier.domain.clock import to_datetime
from notifier.domain.errors import ConfigurationError, Refused
from tests.channels.email.samples import SENDER, mail

NOW = 1_790_000_000_123
TO = "ada@example.com"
OURS = make_sender(SENDER, "Voltline")

CONTROL = "\r\n\x00\x0b\x0c\x1c\x1d\x1e\x1f\x7f\x85\u2028\u2029"
LINE = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=200)
WORDY = st.text(st.sampled_from('ab =?_-"\\<>,;:@()äß€🔌'), max_size=200)
BODY = st.text(st.characters(exclude_categories=["Cs"]), max_size=2000)


def composed(**changes: Any) -> bytes:
    return compose(mail(**changes), OURS, TO, NOW)


def parsed(data: bytes) -> Parsed:
    message = message_from_bytes(data, policy=default)
    assert isinstance(message, Parsed)
    for part in message.walk():
        assert part.defects == []
    return message


def content(subject: str = "s", text: str = "t", html: str = "h") -> EmailContent:
    return EmailContent(subject=subject, text=text, html=html)


def body(message: Parsed, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    assert part.get_content_charset() == "utf-8"
    text: str = part.get_content()
    return text


def display_name(data: bytes) -> str:
    """The recipient's name, by the parser that drops the space between encoded words (RFC 2047 §6.2) in names too."""
    name, _ = parseaddr(message_from_bytes(data)["To"])
    return str(make_header(decode_header(name)))


def unfolded(text: str) -> str:
    """Text as it counts: line ends are one thing, however they are written."""
    return re.sub("\r\n|\r", "\n", text)


def test_a_mail_has_these_headers_and_two_bodies() -> None:
    # When
    message = parsed(composed(content=content("Done", "Hello\nAda", "<p>Hello</p>"), to_name="Ada Lovelace"))

    # Then
    assert message.keys() == [
        "Date", "From", "To", "Message-ID", "Subject", "MIME-Version", "Auto-Submitted", "List-Unsubscribe",
        "List-Unsubscribe-Post", "Content-Type",
    ]  # fmt: skip
    assert parsedate_to_datetime(message["Date"]) == to_datetime(NOW // 1000 * 1000)
    assert message["From"] == f"Voltline <{SENDER}>"
    assert message["To"] == f"Ada Lovelace <{TO}>"
    assert message["Message-ID"] == f"<{'5f' * 16}@voltline.example>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["List-Unsubscribe"] == "<https://api.example/unsubscribe?t=abc>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert body(message, "plain") == "Hello\r\nAda"
    assert body(message, "html") == "<p>Hello</p>"


def test_what_can_not_be_switched_off_has_no_unsubscribe_headers() -> None:
    assert b"List-Unsubscribe" not in composed(unsubscribe_url=None)


def test_a_nameless_recipient_is_a_bare_address() -> None:
    assert f"\r\nTo: {TO}\r\n".encode() in composed(to_name=None)


@given(subject=LINE | WORDY, name=LINE | WORDY, text=BODY, html=BODY)
def test_what_goes_in_comes_out(subject: str, name: str, text: str, html: str) -> None:
    # When
    data = composed(content=content(subject, text, html), to_name=name)
    message = parsed(data)

    # Then
    assert message["Subject"].strip() == subject.strip()
    addresses: tuple[Address, ...] = message["To"].addresses
    assert [address.addr_spec for address in addresses] == [TO]
    assert display_name(data).strip() == name.strip()
    assert unfolded(body(message, "plain")) == unfolded(text)
    assert unfolded(body(message, "html")) == unfolded(html)


@given(subject=LINE | WORDY, name=LINE | WORDY, text=BODY)
def test_every_line_is_ascii_short_and_safe_behind_the_final_dot(subject: str, name: str, text: str) -> None:
    # When
    data = composed(content=content(subject, text, text), to_name=name)

    # Then
    assert data.isascii()
    assert data.endswith(b"\r\n")
    lines = data.split(b"\r\n")
    assert not [line for line in lines if b"\r" in line or b"\n" in line]
    assert not [line for line in lines if line.startswith(b".")]
    assert max(map(len, lines)) <= 78
    assert len(parsed(data).keys()) == 10


@given(st.integers(0, 900))
def test_an_unsubscribe_address_is_never_folded(length: int) -> None:
    # Given
    url = "https://h" + "a" * (length - 1)
    assume(length > 0)

    # When
    data = composed(unsubscribe_url=url)

    # Then
    assert f"\r\nList-Unsubscribe: <{url}>\r\n".encode() in data
    assert max(map(len, data.split(b"\r\n"))) <= 998


@pytest.mark.parametrize(
    "url",
    ["", "mailto:a@example.com", "https://", "https://a b", "https://a\r\nBcc: b@example.com", "https://a>,<b", "https://ä",
     "https://" + "a" * 901],
)  # fmt: skip
def test_an_unsubscribe_address_that_could_break_its_header_is_refused(url: str) -> None:
    with pytest.raises(Refused) as refused:
        composed(unsubscribe_url=url)
    assert refused.value.code == "bad_link"


@pytest.mark.parametrize("letter", CONTROL)
@pytest.mark.parametrize("field", ["subject", "name"])
def test_control_characters_are_refused_in_headers(letter: str, field: str) -> None:
    # Given
    value = f"Hello{letter}Bcc: eve@example.com"

    # When
    with pytest.raises(Refused) as refused:
        composed(content=content(value if field == "subject" else "s"), to_name=value if field == "name" else None)

    # Then
    assert refused.value.code == "bad_header"
    assert "eve" not in str(refused.value)


@pytest.mark.parametrize("reference", ["", "a b", "a@b", "a>\r\nBcc: c", "é", "a" * 65])
def test_a_reference_that_could_break_the_message_id_is_refused(reference: str) -> None:
    with pytest.raises(Refused) as refused:
        composed(reference=reference)
    assert refused.value.code == "bad_reference"


@pytest.mark.parametrize(
    ("address", "plain"),
    [
        ("ada@example.com", "ada@example.com"),
        ("ada.king+tag@sub.example.co.uk", "ada.king+tag@sub.example.co.uk"),
        ("o'hara@example.com", "o'hara@example.com"),
        ("ada@localhost", "ada@localhost"),
        ("ada@bücher.de", "ada@xn--bcher-kva.de"),
        ("ada@faß.de", "ada@xn--fa-hia.de"),
    ],
)
def test_one_address_is_taken(address: str, plain: str) -> None:
    assert plain_address(address) == plain


@pytest.mark.parametrize(
    "address",
    [
        "", "ada", "@example.com", "ada@", "a@example.com,b@example.com", "a@example.com b@example.com",
        "a@example.com;b@example.com", "Ada <a@example.com>", "<a@example.com>", '"a b"@example.com',
        '"a@example.com,b"@example.com', "a@[127.0.0.1]", "a@example.com\r\nBcc: b@example.com", "a\n@example.com",
        "a@example.com\n", "a\0@example.com", "a\u2028@example.com", "a@exa\u2028mple.com", ".a@example.com",
        "a..b@example.com", "a.@example.com", "a@-example.com", "a@example..com", "a@example.com.", "a(b)@example.com",
        "grüße@example.com", "a@b@bücher.de", "a b@bücher.de", "a@bü,cher.de", "a" * 250 + "@example.com",
        "a@" + "b" * 64, "a%b@example.com\t", "a@example.com> SIZE=1",
    ],
)  # fmt: skip
def test_anything_but_one_plain_address_is_refused(address: str) -> None:
    with pytest.raises(Refused) as refused:
        plain_address(address)
    assert refused.value.code == "bad_recipient"
    assert refused.value.__cause__ is None


@given(st.text())
def test_no_text_is_more_than_one_address(text: str) -> None:
    try:
        plain = plain_address(text)
    except Refused:
        return
    assert re.fullmatch(r"[!-~]+@[A-Za-z0-9.-]+", plain)
    assert not re.search(r"[,;<>\"()\[\]\\\s]", plain)


def test_lone_halves_of_letters_become_question_marks() -> None:
    # When
    message = parsed(composed(content=content("a\ud800", "b\ud800", "c\udfff"), to_name="d\ud800"))

    # Then
    assert message["Subject"] == "a?"
    assert message["To"].addresses[0].display_name == "d?"
    assert body(message, "plain") == "b?"


def test_a_sender_with_letters_beyond_ascii() -> None:
    # When
    sender = make_sender("info@bücher.de", "Bücher & Café")
    message = parsed(compose(mail(), sender, TO, NOW))

    # Then
    assert message["From"].addresses[0] == Address("Bücher & Café", "info", "xn--bcher-kva.de")
    assert message["Message-ID"].endswith("@xn--bcher-kva.de>")


def test_a_name_in_the_senders_setting_goes_before_the_brands() -> None:
    assert make_sender("Volt <notify@example.com>", "Brand").mailbox == '"Volt" <notify@example.com>'


def test_a_sender_that_is_none_is_refused_at_the_start() -> None:
    with pytest.raises(ConfigurationError, match="one address"):
        make_sender("nobody")
