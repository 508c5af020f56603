"""A mail as bytes: what SMTP asks of its form, and the reference it carries."""

import re
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Final

from notifier.sandbox.ledger import SandboxContent

LINE_BYTES: Final = 998
"""A line of a message, without its CRLF (RFC 5321 §4.5.3.1.6)."""
MESSAGE_BYTES: Final = 10_485_760
"""A message, as common providers limit it; told in EHLO."""

_MESSAGE_ID: Final = re.compile(rb"^message-id:\s*<([^@>\s]*)", re.IGNORECASE | re.MULTILINE)


class ReceivedMail(SandboxContent, frozen=True, kw_only=True, tag="mail"):
    """What a mail held: the envelope's sender and the message as it arrived, dots unstuffed."""

    sender: str
    raw: bytes
    encrypted: bool = False

    def parsed(self) -> EmailMessage:
        """The message as Python's email package reads it."""
        return message_from_bytes(self.raw, policy=default)


def flaw(raw: bytes) -> str | None:
    """The reply to a message that breaks a limit or a rule of form; None for one that is well.

    A carriage return or line feed that stands alone is how one mail is smuggled into another, so it is refused.
    """
    if len(raw) > MESSAGE_BYTES:
        return "552 5.3.4 Message too large"
    if not raw.count(b"\r") == raw.count(b"\n") == raw.count(b"\r\n"):
        return "521 5.5.2 A carriage return or a line feed stands alone"
    if max(map(len, raw.split(b"\r\n"))) > LINE_BYTES:
        return f"500 5.6.0 A line is longer than {LINE_BYTES} octets"
    return None


def unstuffed(raw: bytes) -> bytes:
    """A message without the dots that SMTP put before its own (RFC 5321 §4.5.2)."""
    return raw.removeprefix(b".").replace(b"\r\n.", b"\r\n")


def reference_of(raw: bytes) -> str:
    """The local part of a message's Message-ID; empty where it has none."""
    found = _MESSAGE_ID.search(raw.partition(b"\r\n\r\n")[0])
    return found[1].decode("utf-8", "replace") if found else ""
