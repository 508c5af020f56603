"""A mail as bytes: a fixed skeleton with two base64 bodies, as fast as it gets and with no header that folds wrongly.

What comes from outside goes into a header only where it can't become a second one: addresses match a strict pattern,
text is printable ASCII or RFC 2047 encoded words. `tests/channels/email` reads the result with the standard library's
parser.
"""

import re
from binascii import b2a_base64
from email.utils import format_datetime
from functools import lru_cache
from struct import Struct
from typing import Final, NamedTuple

from notifier.channels.email.codes import CODES
from notifier.channels.email.messages import EmailMessage
from notifier.domain.clock import SECOND, to_datetime
from notifier.domain.errors import ConfigurationError, SendError
from notifier.runtime.addresses import MAX_VERP_LOCAL, ascii_mailbox, mailbox

MAX_LINK: Final = 900
"""Characters of an unsubscribe address: with its header's name it stays below a line's 998 (RFC 5322 §2.1.1),
unfolded."""
MAX_PLAIN: Final = 64
"""Characters of an ASCII subject or name that stays as it is, on a line of at most 78; longer ones become encoded
words."""
WORD_BYTES: Final = 39
"""UTF-8 bytes of an encoded word, which makes 64 characters: with `Subject: ` a line of at most 76 (RFC 2047 §2)."""
LINE: Final = 76
"""Characters of a base64 line (RFC 2045 §6.8)."""

_LINK: Final = re.compile(rf"https?://[!-;=?-~]{{1,{MAX_LINK}}}")
_REFERENCE: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_PLAIN: Final = re.compile(rf"[!-~](?:[ -~]{{0,{MAX_PLAIN - 2}}}[!-~])?")
_QUOTABLE: Final = re.compile(rf"[!#-\[\]-~](?:[ !#-\[\]-~]{{0,{MAX_PLAIN - 2}}}[!#-\[\]-~])?")

# No base64 line holds "=_", so no body can hold the boundary.
_BOUNDARY: Final = "=_alternative"
_PART: Final = f"--{_BOUNDARY}\r\nContent-Type: text/%s; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
_TEXT_PART: Final = (_PART % "plain").encode()
_HTML_PART: Final = b"\r\n" + (_PART % "html").encode()
_END: Final = f"\r\n--{_BOUNDARY}--\r\n".encode()


class Sender(NamedTuple):
    """The sender of mails: the bare address, its domain, and the value of the From header."""

    address: str
    domain: str
    mailbox: str


def make_sender(text: str, name: str | None = None, *, verp: bool = True) -> Sender:
    """A sender from its address, whose own name comes before `name`; ConfigurationError where it is not one address,
    leaves no room for a return path (which one without `verp` needs none of), or the name has a control character."""
    try:
        address, own = mailbox(text)
        shown = _mailbox(address, own or name)
    except ValueError as error:
        told = str(error)
    except SendError as error:
        told = error.detail
    else:
        local, _, domain = address.rpartition("@")
        if not verp or len(local) <= MAX_VERP_LOCAL:
            return Sender(address, domain, shown)
        told = f"has more than {MAX_VERP_LOCAL} characters before the @"
    raise ConfigurationError(f"the sender of mails {told}")


def compose(message: EmailMessage, sender: Sender, to: str, now: int) -> bytes:
    """Compose the mail to `to`, a `plain_address`: CRLF lines of at most 998 octets, all ASCII, none beginning with a
    dot.

    Raises Refused for a header value that could not stand in a header.
    """
    if not _REFERENCE.fullmatch(message.reference):
        raise CODES.classify("bad_reference")
    head = (
        f"Date: {_date(now // SECOND)}\r\n"
        f"From: {sender.mailbox}\r\n"
        f"To: {_mailbox(to, message.to_name)}\r\n"
        f"Message-ID: <{message_id(message, sender)}>\r\n"
        f"Subject: {_text(message.content.subject)}\r\n"
        "MIME-Version: 1.0\r\n"
        "Auto-Submitted: auto-generated\r\n"
        f"{_unsubscribe(message.unsubscribe_url)}"
        f'Content-Type: multipart/alternative; boundary="{_BOUNDARY}"\r\n'
        "\r\n"
    )
    text, html = _body(message.content.text), _body(message.content.html)
    return b"".join((head.encode("ascii"), _TEXT_PART, text, _HTML_PART, html, _END))


def message_id(message: EmailMessage, sender: Sender) -> str:
    """Return the Message-ID without brackets: the same on every attempt, so that a duplicate can be recognised."""
    return f"{message.reference}@{sender.domain}"


def return_path(message: EmailMessage, sender: Sender) -> str:
    """Return the address to which this mail bounces, by which the bounce is matched (variable envelope return path)."""
    local, _, domain = sender.address.rpartition("@")
    return f"{local}+{message.reference}@{domain}"


def plain_address(address: str) -> str:
    """Return the address in ASCII, with an international domain in its A-label form (RFC 5891).

    Raises Refused for anything but one dot-atom before an @ and a domain behind: no lists, names, quotes or literals.
    """
    plain = ascii_mailbox(address)
    if plain is None:
        raise CODES.classify("bad_recipient")
    return plain


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    return format_datetime(to_datetime(second * SECOND))


def _mailbox(address: str, name: str | None) -> str:
    if not name:
        return address
    if _QUOTABLE.fullmatch(name) and "=?" not in name:
        return f'"{name}" <{address}>'
    return f"{_encoded_words(name)}\r\n <{address}>"


def _text(text: str) -> str:
    if not text or (_PLAIN.fullmatch(text) and "=?" not in text):
        return text
    return _encoded_words(text)


def _encoded_words(text: str) -> str:
    """Return RFC 2047 encoded words, one a line, none split within a character."""
    if _CONTROL.search(text):
        raise CODES.classify("bad_header")
    data = text.encode("utf-8", "replace")
    words, start = [], 0
    while start < len(data):
        end = min(start + WORD_BYTES, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:  # the cut is in the middle of a character
            end -= 1
        words.append(f"=?utf-8?B?{b2a_base64(data[start:end], newline=False).decode()}?=")
        start = end
    return "\r\n ".join(words)


def _unsubscribe(url: str | None) -> str:
    """The headers of one-click unsubscription (RFC 8058), each on one line: a folded address would be a broken one."""
    if url is None:
        return ""
    if not _LINK.fullmatch(url):
        raise CODES.classify("bad_link")
    return f"List-Unsubscribe: <{url}>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"


def _body(text: str) -> bytes:
    """A text with CRLF line ends, as text bodies have them before they are encoded (RFC 2045 §6.8), in base64 lines."""
    data = text.encode("utf-8", "replace")
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    encoded = b2a_base64(data.replace(b"\n", b"\r\n"), newline=False)
    return b"\r\n".join(_lines(len(encoded)).unpack(encoded))


@lru_cache(maxsize=512)
def _lines(length: int) -> Struct:
    """Return a function that cuts so many bytes into lines."""
    whole, rest = divmod(length, LINE)
    return Struct(f"{LINE}s" * whole + (f"{rest}s" if rest else ""))
