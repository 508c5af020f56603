"""A phone's thread of texts, with each text's segments and encoding."""

from itertools import islice
from typing import Final, NamedTuple

from notifier.channels.sms.sandbox.twilio import Sms
from notifier.domain.deliveries import Channel
from notifier.sandbox.column import Column, InboxColumn, ago
from notifier.sandbox.direction import TextDirection, way
from notifier.sandbox.ledger import SandboxLedger

SHOWN: Final = 24
"""Texts in the thread: slightly more than fit a screen."""


class Bubble(NamedTuple):
    """A text in the thread; `to` is shown where it differs from the previous text's."""

    to: str
    body: str
    time: str
    segments: int
    encoding: str
    way: TextDirection


def column(ledger: SandboxLedger, look: InboxColumn) -> Column:
    """Return the texts to the selected numbers, newest first."""
    bubbles = [
        Bubble(
            entry.to,
            content.body,
            ago(entry.received_at, look.now),
            content.segments,
            content.encoding,
            way(content.body),
        )
        for entry in islice(ledger.latest(Channel("sms"), look.picked), SHOWN)
        if isinstance(content := entry.content, Sms)
    ]
    return Column({"bubbles": bubbles})
