"""Verification of Twilio's signatures on status callbacks and incoming texts (twilio.com/docs/usage/security)."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs, parse_qsl, urlsplit

import msgspec
from multidict import MultiDict
from twilio.request_validator import RequestValidator

from notifier.api.http import FORM, JSON
from notifier.domain.problems import UNDECODABLE

HEADER: Final = "X-Twilio-Signature"
MAX_FIELDS: Final = 200
"""Fields of a form; Twilio sends some thirty."""


def read_signed(token: str, url: str, media: str, signature: str, body: bytes) -> Mapping[str, str] | None:
    """Return a request's fields, or None where Twilio didn't sign it with the account's token for this URL.

    A form is part of the signature. Of JSON only the URL is signed, whose `bodySHA256` tells the body's hash: without
    that anybody may have written it.
    """
    try:
        text = body.decode()
        if media == JSON:
            return _decode(text) if _good(token, url, text, signature) else None
        form = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except (*UNDECODABLE, ValueError):
        return None
    return dict(form) if media == FORM and _good(token, url, MultiDict(form), signature) else None


def _good(token: str, url: str, sent: str | MultiDict[str], signature: str) -> bool:
    """An empty token signs nothing: everybody knows it."""
    if not token or (isinstance(sent, str) and "bodySHA256" not in parse_qs(urlsplit(url).query)):
        return False
    return bool(RequestValidator(token).validate(url, sent, signature))


def _decode(text: str) -> dict[str, str]:
    """The members of a JSON object that are text or numbers, as a form has them."""
    members = msgspec.json.decode(text, type=dict[str, object])
    return {name: str(value) for name, value in members.items() if isinstance(value, str | int)}
