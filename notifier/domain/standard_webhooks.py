"""Signatures of webhooks by Standard Webhooks 1.0, which receivers verify with a library of their language.

This is its symmetric scheme, `v1`: HMAC-SHA256 over `id.timestamp.body`.
Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import binascii
import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from typing import Final

from notifier.domain.clock import SECOND

PREFIX: Final = "whsec_"
"""The prefix of a secret in text form."""
MIN_KEY: Final = 24
"""The shortest secret in bytes (Standard Webhooks, "Signature scheme")."""
MAX_KEY: Final = 64
"""The longest secret in bytes: HMAC-SHA256 would hash a longer one first."""
MAX_KEYS: Final = 4
"""Secrets of one endpoint at a time: the newest, and older ones until all of its receivers have changed over."""

_MESSAGE_ID: Final = re.compile(r"[A-Za-z0-9_:-]{1,128}")  # no dot, which separates the signed parts


def secret_text(key: bytes) -> str:
    """A secret as text, `whsec_` and base64: the form in which its receiver keeps it. ValueError for a bad length."""
    _check_length(key)
    return PREFIX + b64encode(key).decode()


def secret_key(secret: str) -> bytes:
    """The bytes of a secret that is `whsec_` and base64; ValueError, in words that hold nothing of it, for another."""
    if not secret.startswith(PREFIX):
        raise ValueError(f"must begin with {PREFIX}")
    try:
        key = b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = None
    if key is None:
        raise ValueError(f"must be base64 after {PREFIX}")
    _check_length(key)
    return key


def signed_headers(keys: Sequence[bytes], message_id: str, at: int, body: bytes) -> Mapping[str, str]:
    """The three headers that prove to a receiver who sent a body, and when.

    `keys` are the endpoint's secrets, the newest first: while one is replaced the body is signed with each, and any is
    enough for the receiver. `message_id` is the same at each try, `at` the instant of this one in epoch milliseconds.
    ValueError for no keys or more than `MAX_KEYS`, and for an id with other characters than letters, digits, `_`, `:`
    and `-`.
    """
    if not 0 < len(keys) <= MAX_KEYS:
        raise ValueError(f"a webhook is signed with 1 to {MAX_KEYS} secrets")
    if not _MESSAGE_ID.fullmatch(message_id):
        raise ValueError("a webhook's id has letters, digits, _, : and - only")
    seconds = at // SECOND
    content = b"%b.%d.%b" % (message_id.encode(), seconds, body)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(_signature(key, content) for key in keys),
    }


def _signature(key: bytes, content: bytes) -> str:
    return f"v1,{b64encode(hmac.digest(key, content, 'sha256')).decode()}"


def _check_length(key: bytes) -> None:
    if not MIN_KEY <= len(key) <= MAX_KEY:
        raise ValueError(f"must have {MIN_KEY} to {MAX_KEY} bytes")
