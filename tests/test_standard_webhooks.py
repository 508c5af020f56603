"""Signatures of webhooks, held against the specification's own library."""

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from notifier.domain.clock import SECOND, SystemClock
from notifier.domain.standard_webhooks import MAX_KEYS, secret_key, secret_text, signed_headers

KEYS = st.binary(min_size=24, max_size=64)
IDS = st.from_regex(r"[A-Za-z0-9_:-]{1,128}", fullmatch=True)
KEY = bytes(range(32))


def test_the_specifications_example_is_signed_as_its_libraries_sign_it() -> None:
    # The vector that the libraries of all languages are tested with.
    key = secret_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signed_headers(
        [key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330 * SECOND + 999, b'{"test": 2432232314}'
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@given(KEYS, IDS, st.text().map(str.encode))
def test_a_receiver_with_the_secret_takes_whatever_is_signed(key: bytes, message_id: str, body: bytes) -> None:
    headers = signed_headers([key], message_id, SystemClock().now(), body)
    Webhook(secret_text(key)).verify(body, dict(headers), json_parse=False)


@given(st.lists(KEYS, min_size=2, max_size=MAX_KEYS, unique=True))
def test_while_a_secret_is_replaced_receivers_with_any_of_them_take_it(keys: list[bytes]) -> None:
    headers = dict(signed_headers(keys, "m", SystemClock().now(), b"{}"))
    for key in keys:
        Webhook(secret_text(key)).verify(b"{}", headers)


@pytest.mark.parametrize("header", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_receiver_refuses_what_was_changed_on_the_way(header: str) -> None:
    now = SystemClock().now()
    headers = dict(signed_headers([KEY], "m", now, b"{}"))
    other = signed_headers([KEY], "n", now - SECOND, b"{}")
    with pytest.raises(WebhookVerificationError):
        Webhook(secret_text(KEY)).verify(b"{}", headers | {header: other[header]})
    with pytest.raises(WebhookVerificationError):
        Webhook(secret_text(KEY)).verify(b"[]", headers)


def test_a_receiver_refuses_another_secret_and_an_old_signature() -> None:
    now = SystemClock().now()
    with pytest.raises(WebhookVerificationError):
        Webhook(secret_text(KEY[::-1])).verify(b"{}", dict(signed_headers([KEY], "m", now, b"{}")))
    with pytest.raises(WebhookVerificationError):
        Webhook(secret_text(KEY)).verify(b"{}", dict(signed_headers([KEY], "m", now - 301 * SECOND, b"{}")))


@given(KEYS)
def test_a_secret_as_text_is_read_back(key: bytes) -> None:
    assert secret_key(secret_text(key)) == key


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ("", "whsec_"),
        (b64encode(KEY).decode(), "whsec_"),
        ("WHSEC_" + b64encode(KEY).decode(), "whsec_"),
        ("whsk_" + b64encode(KEY).decode(), "whsec_"),
        ("whsec_", "24 to 64"),
        ("whsec_" + b64encode(KEY[:23]).decode(), "24 to 64"),
        ("whsec_" + b64encode(KEY * 3).decode(), "24 to 64"),
        ("whsec_" + b64encode(KEY).decode().rstrip("="), "base64"),
        ("whsec_" + b64encode(KEY).decode() + "\n", "base64"),
        ("whsec_" + "-_" * 16, "base64"),
        ("whsec_" + "ä" * 32, "base64"),
    ],
)
def test_what_is_no_secret_is_refused_unseen(secret: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as refused:
        secret_key(secret)
    assert secret.removeprefix("whsec_") not in str(refused.value) or secret in ("", "whsec_")
    assert refused.value.__context__ is None


@pytest.mark.parametrize("length", [0, 23, 65])
def test_a_key_of_a_bad_length_is_never_given_out(length: int) -> None:
    with pytest.raises(ValueError, match="24 to 64"):
        secret_text(bytes(length))


@pytest.mark.parametrize("message_id", ["", "a.b", "a b", "a\r\nb", "ä", "x" * 129])
def test_an_id_that_could_be_taken_for_something_else_is_not_signed(message_id: str) -> None:
    with pytest.raises(ValueError, match="id"):
        signed_headers([KEY], message_id, 0, b"")


@pytest.mark.parametrize("count", [0, MAX_KEYS + 1])
def test_as_many_secrets_as_nobody_rotates_are_refused(count: int) -> None:
    with pytest.raises(ValueError, match="secrets"):
        signed_headers([KEY] * count, "m", 0, b"")
