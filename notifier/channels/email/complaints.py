"""Complaints: a mailbox provider's report that a person called one of our mails spam (RFC 5965, ARF).

Providers blank whom it is about, and say where the mail came from: its return path, or its Message-ID.
"""

from collections.abc import Sequence
from email.message import Message
from typing import Final

from notifier.channels.email import reports
from notifier.domain.messages import Private

ABUSE: Final = "abuse"
"""The feedback that is a complaint (RFC 5965 §7.3); what is fraud or a virus, or `not-spam`, is none."""

MAX_KIND: Final = 40
"""Characters of a kind of feedback that are told; the longest registered one has 12."""

_FEEDBACK_TYPE: Final = "message/feedback-report"


class Feedback(Private, frozen=True, kw_only=True):
    """The result of reading a feedback report: its `kind`, and of which delivery it complains, if of one of ours."""

    kind: str
    delivery: str | None = None


def read_feedback(data: bytes) -> Feedback | None:
    """Read a feedback report from its first bytes (`reports.MAX_BYTES`), None where a mail is none; never raises."""
    found = reports.parts_of(data, "feedback-report")
    if found is None:
        return None
    _, parts = found
    told = (content for part, content in parts if reports.content_type(part) == _FEEDBACK_TYPE)
    fields = reports.parse(next(told, b""))
    kind = reports.value(fields, "Feedback-Type").strip().lower()
    if not kind.isprintable() or not 0 < len(kind) <= MAX_KIND:
        return None
    return Feedback(kind=kind, delivery=_delivery(fields, reports.returned(parts)) if kind == ABUSE else None)


def _delivery(fields: Message, mails: Sequence[Message]) -> str | None:
    paths = (reports.verp_reference(mail, ["Return-Path"]) for mail in mails)
    return (
        reports.verp_reference(fields, ["Original-Mail-From"])
        or reports.message_id_reference(mails)
        or next((path for path in paths if path), None)
    )
