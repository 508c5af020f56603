"""Bounces: a mail server's report on a mail that it accepted but could not deliver (RFC 3464)."""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from notifier.channels.email import reports
from notifier.channels.email.codes import CODES
from notifier.domain.deliveries import Channel, State
from notifier.domain.messages import Private, Report
from notifier.providers.codes import suppresses

EMAIL: Final = Channel("email")

MAX_RECIPIENTS: Final = 10
"""Recipients in a report; our mails have one, and a mailing list behind it may add more."""

ACTIONS: Final = frozenset({"failed", "delayed", "delivered", "relayed", "expanded"})
"""What a server may have done with a mail (RFC 3464 §2.3.3)."""

_RETURNED_TO: Final = ("Delivered-To", "X-Original-To", "Envelope-To", "To")
_STATUS_TYPES: Final = ("message/delivery-status", "message/global-delivery-status")
_ENHANCED: Final = re.compile(r"\b([245])\.([0-9]{1,3})\.([0-9]{1,3})\b")


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
    """Read a bounce of one of our mails from its first bytes (`reports.MAX_BYTES`); never raises."""
    found = reports.parts_of(data, "delivery-status")
    if found is None:
        return Bounce()
    head, parts = found
    told = [
        status
        for part, content in parts
        if reports.content_type(part) in _STATUS_TYPES
        for status in _statuses(content)
    ]
    status = next((each for each in told if each.action == "failed"), told[0] if told else None)
    if status is None:
        return Bounce()
    reference = reports.verp_reference(head, _RETURNED_TO) or reports.message_id_reference(reports.returned(parts))
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


def _statuses(content: bytes) -> Iterator[_Status]:
    """Return the status of each recipient; the first block is about the report itself (RFC 3464 §2.1)."""
    for block in reports.BLANK_LINE.split(content, MAX_RECIPIENTS + 1)[1 : MAX_RECIPIENTS + 1]:
        fields = reports.parse(block)
        action = reports.value(fields, "Action").lower().strip()
        code = _code(reports.value(fields, "Status"), reports.value(fields, "Diagnostic-Code"))
        if action in ACTIONS and code:
            named = (reports.value(fields, f"{whose}-Recipient") for whose in ("Original", "Final"))
            yield _Status(
                action, code, tuple(address for each in named if (address := reports.address(each.partition(";")[2])))
            )


def _code(status: str, diagnostic: str) -> str | None:
    """Return the status or, where it is generic, the code in the server's own words, of the same class."""
    told = _ENHANCED.search(status)
    if told is None:
        return None
    said = _ENHANCED.search(diagnostic)
    precise = said if told[0].endswith(".0.0") and said and said[1] == told[1] else told
    return precise[0]
