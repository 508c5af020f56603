"""Bounces: a mail server's report on a mail that it accepted but could not deliver (RFC 3464).

Every mail goes out under a return path of its own, so that a report is known by where it comes back to, whatever the
server that wrote it makes of the rest (VERP). Where that address is lost, the returned mail's Message-ID tells.

Anybody may write to that address, so nothing here trusts what it reads: only headers are parsed, only the report's own
level is cut at its boundary, and both within limits. What can't be read is no report.
"""

import re
from collections.abc import Iterator
from email.message import Message
from email.parser import HeaderParser
from email.policy import compat32
from typing import Final

import msgspec

from notifier.channels.email.codes import CODES
from notifier.domain.deliveries import Channel, State
from notifier.domain.ids import FORM
from notifier.domain.messages import Private, Report
from notifier.domain.reading import unmarked
from notifier.domain.recipients import check_email
from notifier.providers.codes import suppresses

EMAIL: Final = Channel("email")

MAX_BYTES: Final = 512 * 1024
"""Bytes of a report that are read: text, status and the returned mail. Our mails have at most a fifth of that."""
MAX_HEADERS: Final = 64 * 1024
"""Bytes of the headers of the report, and of each of its parts."""
MAX_VALUE: Final = 1_000
"""Characters of a header's value: a value longer than a line may be is ignored (RFC 5322 §2.1.1)."""
MAX_PARTS: Final = 10
"""Parts of a report; RFC 3462 defines three."""
MAX_RECIPIENTS: Final = 10
"""Recipients in a report; our mails have one, and a mailing list behind it may add more."""
MAX_BOUNDARY: Final = 70
"""Characters of a boundary (RFC 2046 §5.1.1)."""

ACTIONS: Final = frozenset({"failed", "delayed", "delivered", "relayed", "expanded"})
"""What a server may have done with a mail (RFC 3464 §2.3.3)."""

_RETURNED_TO: Final = ("Delivered-To", "X-Original-To", "Envelope-To", "To")
_STATUS_TYPES: Final = ("message/delivery-status", "message/global-delivery-status")
_MAIL_TYPES: Final = ("message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers")

_VERP: Final = re.compile(rf"\+({FORM})@")
_MESSAGE_ID: Final = re.compile(rf"\s*<({FORM})@")
_BLANK_LINE: Final = re.compile(rb"\r?\n[ \t]*\r?\n")
_ENHANCED: Final = re.compile(r"\b([245])\.([0-9]{1,3})\.([0-9]{1,3})\b")

_headers: Final = HeaderParser(policy=compat32)


class Bounce(Private, frozen=True, kw_only=True):
    """The result of reading a mail: the report's `action` if it is a bounce, and the consequence, if any."""

    action: str | None = None
    report: Report | None = None


class _Status(msgspec.Struct, frozen=True):
    """A report's status of one recipient."""

    action: str
    code: str
    addresses: tuple[str, ...]


def read_bounce(data: bytes) -> Bounce:
    """Read a bounce of one of our mails from its first `MAX_BYTES`; never raises."""
    head, body = _split(unmarked(data[:MAX_BYTES]))
    if _type(head) != "multipart/report" or _parameter(head, "report-type") != "delivery-status":
        return Bounce()
    parts = list(_parts(body, _parameter(head, "boundary")))
    told = [status for part, content in parts if _type(part) in _STATUS_TYPES for status in _statuses(content)]
    status = next((each for each in told if each.action == "failed"), told[0] if told else None)
    if status is None:
        return Bounce()
    reference = _returned_to(head) or _message_id(parts)
    if status.action != "failed" or reference is None:
        return Bounce(action=status.action)
    error = CODES.classify(status.code, f"{status.code.rpartition('.')[0]}.0", f"{status.code[0]}xx")
    report = Report(
        delivery=reference,
        channel=EMAIL,
        state=State.UNDELIVERED,
        reason=error.kind,
        code=error.code,
        addresses=status.addresses,
        suppress=suppresses(EMAIL, error),
    )
    return Bounce(action=status.action, report=report)


def _split(data: bytes) -> tuple[Message, bytes]:
    """Split a part into its parsed headers and the rest."""
    blank = _BLANK_LINE.search(data[: MAX_HEADERS + 1])
    head, body = (data[: blank.start()], data[blank.end() :]) if blank else (data[:MAX_HEADERS], b"")
    return _parse(head), body


def _parse(head: bytes) -> Message:
    return _headers.parsestr(head.decode("utf-8", "replace").lstrip())


def _parts(body: bytes, boundary: str) -> Iterator[tuple[Message, bytes]]:
    if 0 < len(boundary) <= MAX_BOUNDARY:
        name = re.escape(boundary.encode("utf-8", "replace"))
        delimiter = re.compile(rb"(?:^|\r?\n)--" + name + rb"(?:--)?[ \t]*(?=\r?\n|$)")
        for part in delimiter.split(body, MAX_PARTS)[1:]:
            yield _split(part)


def _statuses(content: bytes) -> Iterator[_Status]:
    """Return the status of each recipient; the first block is about the report itself (RFC 3464 §2.1)."""
    for block in _BLANK_LINE.split(content, MAX_RECIPIENTS + 1)[1 : MAX_RECIPIENTS + 1]:
        fields = _parse(block[:MAX_HEADERS])
        action = _value(fields, "Action").lower().strip()
        code = _code(_value(fields, "Status"), _value(fields, "Diagnostic-Code"))
        if action in ACTIONS and code:
            named = (_value(fields, f"{whose}-Recipient") for whose in ("Original", "Final"))
            yield _Status(action, code, tuple(address for each in named if (address := _address(each))))


def _code(status: str, diagnostic: str) -> str | None:
    """Return the status or, where it is generic, the code in the server's own words, of the same class."""
    told = _ENHANCED.search(status)
    if told is None:
        return None
    said = _ENHANCED.search(diagnostic)
    precise = said if told[0].endswith(".0.0") and said and said[1] == told[1] else told
    return precise[0]


def _address(text: str) -> str | None:
    """Return the normalised mailbox of an address field such as `rfc822; ada@example.com`."""
    try:
        return check_email(text.partition(";")[2].strip().strip("<>"))
    except ValueError:
        return None


def _returned_to(head: Message) -> str | None:
    found = (_VERP.search(_value(head, name)) for name in _RETURNED_TO)
    return next((match[1] for match in found if match), None)


def _message_id(parts: list[tuple[Message, bytes]]) -> str | None:
    """Return the reference in the Message-ID of the returned mail."""
    mails = (_split(content.lstrip())[0] for part, content in parts if _type(part) in _MAIL_TYPES)
    found = (_MESSAGE_ID.match(_value(mail, "Message-ID")) for mail in mails)
    return next((match[1] for match in found if match), None)


def _type(part: Message) -> str:
    return _value(part, "Content-Type").partition(";")[0].strip().lower()


def _parameter(part: Message, name: str) -> str:
    """A parameter of the Content-Type, "" where there is none."""
    found = re.search(rf';\s*{name}\s*=\s*(?:"([^"]*)"|([^\s;"]+))', _value(part, "Content-Type"), re.IGNORECASE)
    return "" if found is None else found[1] or found[2] or ""


def _value(part: Message, name: str) -> str:
    """A header's first value, "" where there is none or it is too long to be one."""
    value: str = part.get(name, "")
    return value if len(value) <= MAX_VALUE else ""
