"""Signed requests: what Twilio signed is read, and nothing else."""

import json
from hashlib import sha256
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from notifier.api.http import FORM, JSON
from notifier.channels.sms.signature import read_signed

TOKEN = "a-token"
URL = "https://notify.example.com/v1/receipts/twilio?reference=" + "5f" * 16
FIELDS = {"MessageSid": "SM" + "ab" * 16, "MessageStatus": "delivered", "To": "+4915112345678", "Empty": ""}


def sign(url: str, fields: dict[str, str] | None = None, token: str = TOKEN) -> str:
    signature: str = RequestValidator(token).compute_signature(url, fields or {})
    return signature


def signed_json(members: object) -> tuple[str, bytes]:
    """The URL and the body of a request with JSON, as Twilio makes them."""
    body = json.dumps(members).encode()
    return f"{URL}&bodySHA256={sha256(body).hexdigest()}", body


def test_a_signed_form_is_read_with_its_empty_fields() -> None:
    assert read_signed(TOKEN, URL, FORM, sign(URL, FIELDS), urlencode(FIELDS).encode()) == FIELDS


def test_signed_json_is_read_as_a_form_would_be() -> None:
    url, body = signed_json({"MessageStatus": "undelivered", "ErrorCode": 30005, "Nested": {"a": 1}, "None": None})

    assert read_signed(TOKEN, url, JSON, sign(url), body) == {"MessageStatus": "undelivered", "ErrorCode": "30005"}


def test_a_port_that_twilio_leaves_out_of_the_signature_does_no_harm() -> None:
    url = URL.replace(".com/", ".com:8443/")

    assert read_signed(TOKEN, url, FORM, sign(URL, FIELDS), urlencode(FIELDS).encode()) == FIELDS


@pytest.mark.parametrize(
    ("url", "fields", "signature"),
    [
        (URL, FIELDS, ""),
        (URL, FIELDS, sign(URL, FIELDS)[:-1]),
        (URL, FIELDS, sign(URL, FIELDS, "another-token")),
        (URL, FIELDS, sign(URL)),
        (URL, {**FIELDS, "MessageStatus": "undelivered"}, sign(URL, FIELDS)),
        (URL, {**FIELDS, "ErrorCode": "30005"}, sign(URL, FIELDS)),
        (URL, {name: value for name, value in FIELDS.items() if name != "To"}, sign(URL, FIELDS)),
        (URL.replace("5f", "6f"), FIELDS, sign(URL, FIELDS)),
        (URL.replace("https", "http"), FIELDS, sign(URL, FIELDS)),
        (URL.replace("receipts", "inbound"), FIELDS, sign(URL, FIELDS)),
        (URL + "&bodySHA256=" + sha256(b"").hexdigest(), FIELDS, sign(URL, FIELDS)),
    ],
)
def test_a_form_that_was_not_signed_as_it_is_is_not_read(url: str, fields: dict[str, str], signature: str) -> None:
    assert read_signed(TOKEN, url, FORM, signature, urlencode(fields).encode()) is None


def test_json_without_its_hash_in_the_url_is_not_read() -> None:
    # Given a URL that Twilio signed for a request without a body
    body = json.dumps(FIELDS).encode()

    # Then somebody else's JSON under it says nothing
    assert read_signed(TOKEN, URL, JSON, sign(URL), body) is None


def test_json_with_another_hash_is_not_read() -> None:
    url, body = signed_json(FIELDS)

    assert read_signed(TOKEN, url, JSON, sign(url), body.replace(b"delivered", b"failed")) is None
    assert read_signed(TOKEN, url, FORM, sign(url), urlencode({"MessageStatus": "failed"}).encode()) is None


@pytest.mark.parametrize("body", [b"\xff", b"[]", b"{", b"[" * 10_000, b'{"a": NaN}'])
def test_signed_json_that_is_none_is_not_read(body: bytes) -> None:
    url = f"{URL}&bodySHA256={sha256(body).hexdigest()}"

    assert read_signed(TOKEN, url, JSON, sign(url), body) is None


@pytest.mark.parametrize("media", ["", "text/plain", "multipart/form-data"])
def test_what_is_neither_a_form_nor_json_is_not_read(media: str) -> None:
    assert read_signed(TOKEN, URL, media, sign(URL, FIELDS), urlencode(FIELDS).encode()) is None


def test_without_a_token_nothing_is_signed() -> None:
    # Given a signature with the empty token, which anybody can make
    assert read_signed("", URL, FORM, sign(URL, FIELDS, ""), urlencode(FIELDS).encode()) is None


@given(st.binary(max_size=200), st.sampled_from([FORM, JSON]), st.text(st.characters(codec="latin-1"), max_size=40))
def test_whatever_comes_it_is_refused_and_not_an_error(body: bytes, media: str, signature: str) -> None:
    for url in (URL, f"{URL}&bodySHA256={sha256(body).hexdigest()}"):
        assert read_signed(TOKEN, url, media, signature, body) is None
