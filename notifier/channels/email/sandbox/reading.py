"""Mails as their readers see them, however malformed.

Python's modern email policy raises on many real mails (a stray comma in From is enough); the older policy, used here,
reads as much as it can.
"""

import re
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.utils import parseaddr
from typing import Final, NamedTuple

from notifier.sandbox.direction import TextDirection, way

_HTML: Final = re.compile(r"<html\b[^>]*>", re.IGNORECASE)
_ATTRIBUTE: Final = re.compile(r"\b(lang|dir)\s*=\s*[\"']?([\w-]+)", re.IGNORECASE)


class Reading(NamedTuple):
    """A mail's sender, subject, and first HTML and text parts; empty where there is none."""

    sender: str
    subject: str
    text: str
    html: str


def read(raw: bytes) -> Reading:
    """Read a mail; never raises."""
    message = message_from_bytes(raw)
    sender = _header(message, "From")
    name, address = parseaddr(sender)
    return Reading(
        name or address or sender,
        _header(message, "Subject"),
        _part(message, "text/plain"),
        _part(message, "text/html"),
    )


def way_of_mail(text: str, html: str) -> TextDirection:
    """Return the direction that a mail's HTML declares, else the direction of its text."""
    tag = _HTML.search(html)
    said = {name.lower(): value for name, value in _ATTRIBUTE.findall(tag[0])} if tag else {}
    direction = said.get("dir", "").lower()
    return TextDirection(direction if direction in ("ltr", "rtl") else way(text).direction, said.get("lang", ""))


def _header(message: Message, name: str) -> str:
    value = message.get(name, "")
    try:
        return str(make_header(decode_header(value)))
    except (HeaderParseError, LookupError, ValueError):  # an unknown charset, or bytes that are invalid in it
        return str(value)


def _part(message: Message, kind: str) -> str:
    for part in message.walk():
        if part.get_content_type() == kind and isinstance(content := part.get_payload(decode=True), bytes):
            try:
                return content.decode(part.get_content_charset("utf-8"), "replace")
            except (LookupError, ValueError):
                return content.decode("utf-8", "replace")
    return ""
