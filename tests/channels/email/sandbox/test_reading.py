from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.channels.email.sandbox.reading import Reading, read, way_of_mail
from notifier.sandbox.direction import TextDirection

WORDS = (
    rb'=?utf-8?q? =?x?b? ?= < > @ " ( ) , ; : a text/html multipart/alternative boundary= charset=base64 charset*0=x'
)
FRAGMENTS = st.sampled_from([*WORDS.split(), b" ", b"\r\n ", b"\xff", b"\x00"])
HEADERS = st.sampled_from([b"From", b"Subject", b"Content-Type", b"Content-Transfer-Encoding", b"MIME-Version"])


def test_a_mail_is_read_with_its_names_and_both_its_parts() -> None:
    # Given
    message = EmailMessage()
    message["From"] = "Jürgen Ölschläger <jo@example.com>"
    message["Subject"] = "Ladevorgang beendet – 12,40 €"
    message.set_content("Fertig: schön.")
    message.add_alternative("<p>Fertig: schön.</p>", subtype="html")

    # When
    reading = read(message.as_bytes())

    # Then
    assert reading == Reading(
        sender="Jürgen Ölschläger",
        subject="Ladevorgang beendet – 12,40 €",
        text="Fertig: schön.\n",
        html="<p>Fertig: schön.</p>\n",
    )


@pytest.mark.parametrize(
    ("raw", "reading"),
    [
        (b"", Reading("", "", "", "")),
        (b"From: hello@volt.example\r\n\r\nHi", Reading("hello@volt.example", "", "Hi", "")),
        (b"Subject: =?nonsense?q?x?=\r\n\r\n", Reading("", "=?nonsense?q?x?=", "", "")),
        (b"Content-Type: text/html; charset=none\r\n\r\n<p>\xc3\xbc", Reading("", "", "", "<p>ü")),
    ],
)
def test_what_is_missing_or_broken_is_left_out_or_shown_as_it_is(raw: bytes, reading: Reading) -> None:
    assert read(raw) == reading


@given(st.lists(st.tuples(HEADERS, st.lists(FRAGMENTS, max_size=7)), max_size=4))
def test_no_mail_is_too_broken_to_be_read(headers: list[tuple[bytes, list[bytes]]]) -> None:
    head = b"".join(name + b": " + b"".join(value) + b"\r\n" for name, value in headers)
    assert isinstance(read(head + b"\r\n--\r\nbody =3D"), Reading)


def test_a_mail_is_drawn_as_its_html_says_and_else_as_its_text() -> None:
    said = way_of_mail("Voltline", "<!doctype html>\n<html class=x lang=\"ar\" dir='rtl'><body dir='ltr'>")

    assert said == TextDirection("rtl", "ar")
    assert said.__html__() == 'dir="rtl" lang="ar"'
    assert way_of_mail("הטעינה הסתיימה", '<html lang="he"><body>') == TextDirection("rtl", "he")
    assert way_of_mail("Voltline", "") == TextDirection("ltr")
    assert '"><' not in way_of_mail("x", "<html lang='\"><b' dir=up>").__html__()
