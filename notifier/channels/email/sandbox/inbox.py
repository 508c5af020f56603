"""The mail column: a list, and the open mail, which the page's query names (`mail`) with its view (`view`)."""

import re
from collections.abc import Mapping
from itertools import islice
from typing import Any, Final, NamedTuple

from notifier.channels.email.sandbox.message import ReceivedMail
from notifier.channels.email.sandbox.reading import Reading, read, way_of_mail
from notifier.domain.deliveries import Channel
from notifier.sandbox.column import Column, InboxColumn, ago, link, local
from notifier.sandbox.direction import TextDirection
from notifier.sandbox.ledger import SandboxEntry, SandboxLedger

SHOWN: Final = 30
"""Mails in the list: slightly more than fit a screen."""
SNIPPET: Final = 120
"""Characters of a mail's text in the list."""

_HEAD: Final = re.compile(r"<head[^>]*>", re.IGNORECASE)


class MailSummary(NamedTuple):
    """A mail in the list."""

    number: int
    sender: str
    subject: str
    snippet: str
    time: str
    link: str
    way: TextDirection


def column(ledger: SandboxLedger, look: InboxColumn) -> Column:
    """Return the mails to the selected mailboxes, newest first, and the open mail."""
    letters = [
        _letter(entry, read(content.raw), look)
        for entry in islice(ledger.latest(Channel("email"), look.picked), SHOWN)
        if isinstance(content := entry.content, ReceivedMail)
    ]
    number = look.query.get("mail", "")
    opened = _find(ledger, int(number)) if number.isdecimal() else None
    shown = {"letters": letters, "opened": opened and _open(*opened, look)}
    return Column(shown, alone=opened is not None)


def _find(ledger: SandboxLedger, number: int) -> tuple[SandboxEntry, ReceivedMail] | None:
    entry = next(ledger.after(number - 1), None)
    return (entry, entry.content) if entry is not None and isinstance(entry.content, ReceivedMail) else None


def _open(entry: SandboxEntry, mail: ReceivedMail, look: InboxColumn) -> Mapping[str, Any]:
    """Return the open mail's data: as HTML, as text, or its source."""
    reading = read(mail.raw)
    views = ("html", "text", "source") if reading.html else ("text", "source")
    view = look.query.get("view", "html")
    return {
        "number": entry.number,
        "sender": reading.sender,
        "to": entry.to,
        "subject": reading.subject,
        "time": local(entry.received_at).strftime("%-d %B %Y, %H:%M"),
        "view": view if view in views else views[0],
        "views": [(name, link(look.picked, mail=entry.number, view=name)) for name in views],
        # Links open in a new tab: the frame may not navigate.
        "html": _HEAD.sub(lambda head: head[0] + '<base target="_blank">', reading.html, count=1),
        "adapts": "prefers-color-scheme" in reading.html,
        "text": reading.text,
        "way": way_of_mail(f"{reading.subject} {reading.text}", reading.html),
        "source": mail.raw.decode("utf-8", "replace"),
        "encrypted": mail.encrypted,
        "back": link(look.picked),
    }


def _letter(entry: SandboxEntry, reading: Reading, look: InboxColumn) -> MailSummary:
    return MailSummary(
        number=entry.number,
        sender=reading.sender,
        subject=reading.subject or "(no subject)",
        snippet=" ".join(reading.text[: SNIPPET * 2].split())[:SNIPPET],
        time=ago(entry.received_at, look.now),
        link=link(look.picked, mail=entry.number),
        way=way_of_mail(f"{reading.subject} {reading.text}", reading.html),
    )
