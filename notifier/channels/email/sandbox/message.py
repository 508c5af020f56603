"""A mail as bytes: SMTP's rules of form, and the reference in its Message-ID."""

import re
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Final

from notifier.sandbox.ledger import SandboxContent

LINE_BYTES: Final = 998
"""Bytes of a message's line, without its CRLF (RFC 5321 §4.5.3.1.6)."""
MESSAGE_BYTES: Final = 10_485_760
"""Bytes of a message, a common limit of providers; announced in EHLO."""

_MESSAGE_ID: Final = re.compile(rb"^message-id:\s*<([^@>\s]*)", re.IGNORECASE | re.MULTILINE)


class ReceivedMail(SandboxContent, frozen=True, kw_only=True, tag="mail"):
    """A mail's content: the envelope's sender and the message as it arrived, dots unstuffed."""

    sender: str
    raw: bytes
    encrypted: bool = False

    def parsed(self) -> EmailMessage:
        """Parse the message with Python's email package."""
        return message_from_bytes(self.raw, policy=default)


def flaw(raw: bytes) -> str | None:
    """Return the reply to a message that breaks a limit or a rule of form; None for a valid message.

    A bare carriage return or line feed is refused: SMTP smuggling hides one mail in another that way.
    """
    if len(raw) > MESSAGE_BYTES:
        return "552 5.3.4 Message too large"
    if not raw.count(b"\r") == raw.count(b"\n") == raw.count(b"\r\n"):
        return "521 5.5.2 A carriage return or a line feed stands alone"
    if max(map(len, raw.split(b"\r\n"))) > LINE_BYTES:
        return f"500 5.6.0 A line is longer than {LINE_BYTES} octets"
    return None


def unstuffed(raw: bytes) -> bytes:
    """Return a message without SMTP's dot-stuffing (RFC 5321 §4.5.2)."""
    return raw.removeprefix(b".").replace(b"\r\n.", b"\r\n")


def reference_of(raw: bytes) -> str:
    """Return the local part of a message's Message-ID; empty where it has none."""
    found = _MESSAGE_ID.search(raw.partition(b"\r\n\r\n")[0])
    return found[1].decode("utf-8", "replace") if found else ""
