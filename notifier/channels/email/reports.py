"""Reports on our mails as other servers mail them (multipart/report, RFC 6522): their parts, and which mail is meant.

Every mail goes out under a return path of its own, so that a report is known by where it comes back to, whatever the
server that wrote it makes of the rest (VERP). Where that address is lost, the returned mail's Message-ID tells.

Anybody may write to that address, so nothing here trusts what it reads: only headers are parsed, only the report's own
level is cut at its boundary, and both within limits. What can't be read is no report.
"""

import re
from collections.abc import Iterable, Iterator
from email.message import Message
from email.parser import HeaderParser
from email.policy import compat32
from typing import Final

from notifier.domain.ids import FORM
from notifier.domain.reading import unmarked
from notifier.domain.recipients import check_email

MAX_BYTES: Final = 512 * 1024
"""Bytes of a report that are read: text, status and the returned mail. Our mails have at most a fifth of that."""
MAX_HEADERS: Final = 64 * 1024
"""Bytes of the headers of the report, and of each of its parts."""
MAX_VALUE: Final = 1_000
"""Characters of a header's value: a value longer than a line may be is ignored (RFC 5322 §2.1.1)."""
MAX_PARTS: Final = 10
"""Parts of a report; RFC 6522 defines three."""
MAX_BOUNDARY: Final = 70
"""Characters of a boundary (RFC 2046 §5.1.1)."""

_MAIL_TYPES: Final = ("message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers")

_VERP: Final = re.compile(rf"\+({FORM})@")
_MESSAGE_ID: Final = re.compile(rf"\s*<({FORM})@")
BLANK_LINE: Final = re.compile(rb"\r?\n[ \t]*\r?\n")

_headers: Final = HeaderParser(policy=compat32)

Part = tuple[Message, bytes]
"""A part's headers, and its content."""


def parts_of(data: bytes, report_type: str) -> tuple[Message, list[Part]] | None:
    """The headers and the parts of a report of a type, from its first `MAX_BYTES`; None for any other mail."""
    head, body = split(unmarked(data[:MAX_BYTES]))
    if content_type(head) != "multipart/report" or _parameter(head, "report-type").lower() != report_type:
        return None
    return head, list(_parts(body, _parameter(head, "boundary")))


def split(data: bytes) -> Part:
    """Split a part into its parsed headers and the rest."""
    blank = BLANK_LINE.search(data[: MAX_HEADERS + 1])
    head, body = (data[: blank.start()], data[blank.end() :]) if blank else (data[:MAX_HEADERS], b"")
    return parse(head), body


def parse(head: bytes) -> Message:
    """Parse the header fields of at most `MAX_HEADERS` bytes."""
    return _headers.parsestr(head[:MAX_HEADERS].decode("utf-8", "replace").lstrip())


def returned(parts: Iterable[Part]) -> list[Message]:
    """The headers of our mails that a report returns: one, or none."""
    return [split(content.lstrip())[0] for part, content in parts if content_type(part) in _MAIL_TYPES]


def verp_reference(fields: Message, names: Iterable[str]) -> str | None:
    """The reference in the first of these fields that has a return path of ours."""
    found = (_VERP.search(value(fields, name)) for name in names)
    return next((match[1] for match in found if match), None)


def message_id_reference(mails: Iterable[Message]) -> str | None:
    """The reference in the Message-ID of returned mails."""
    found = (_MESSAGE_ID.match(value(mail, "Message-ID")) for mail in mails)
    return next((match[1] for match in found if match), None)


def content_type(part: Message) -> str:
    """A part's media type, "" where it names none."""
    return value(part, "Content-Type").partition(";")[0].strip().lower()


def value(part: Message, name: str) -> str:
    """A header's first value, "" where there is none or it is too long to be one."""
    found: str = part.get(name, "")
    return found if len(found) <= MAX_VALUE else ""


def address(text: str) -> str | None:
    """The normalised mailbox of an address, in angle brackets or bare."""
    try:
        return check_email(text.strip().strip("<>"))
    except ValueError:
        return None


def _parts(body: bytes, boundary: str) -> Iterator[Part]:
    if 0 < len(boundary) <= MAX_BOUNDARY:
        name = re.escape(boundary.encode("utf-8", "replace"))
        delimiter = re.compile(rb"(?:^|\r?\n)--" + name + rb"(?:--)?[ \t]*(?=\r?\n|$)")
        for part in delimiter.split(body, MAX_PARTS)[1:]:
            yield split(part)


def _parameter(part: Message, name: str) -> str:
    """A parameter of the Content-Type, "" where there is none."""
    found = re.search(rf';\s*{name}\s*=\s*(?:"([^"]*)"|([^\s;"]+))', value(part, "Content-Type"), re.IGNORECASE)
    return "" if found is None else found[1] or found[2] or ""
