"""What FCM keeps for an Android phone that is offline.

As on firebase.google.com/docs/cloud-messaging/customize-messages/collapsible-message-types: what it shows by itself
always collapses, whatever key was sent, under that of the app; of data the key that was sent counts.
"""

from collections.abc import Iterable
from typing import Final

from notifier.channels.push.sandbox.fcm import Push
from notifier.sandbox.ledger import SandboxEntry

MOST_KEYS: Final = 4
"""Collapse keys for a device; which ones are kept is not said, here it is the first."""
APP: Final = "the app's package"
"""The key of all messages with a notification."""
MOST_PLAIN: Final = 100
"""Messages of data without a collapse key for a device; with one more all of them are thrown away."""


def kept(entries: Iterable[SandboxEntry], device: str) -> list[SandboxEntry]:
    """Those of the pushes that a device gets when it is back, had it been offline for all of them."""
    plain: list[SandboxEntry] = []
    by_key: dict[str, SandboxEntry] = {}
    for entry in entries:
        if entry.to != device or entry.verdict != "accepted" or not isinstance(entry.content, Push):
            continue
        shown = entry.content.title or entry.content.body
        key = APP if shown else entry.content.collapse_key
        if not key:
            plain.append(entry)
        elif key in by_key or len(by_key) < MOST_KEYS:
            by_key[key] = entry
    found = [*by_key.values(), *(plain if len(plain) <= MOST_PLAIN else [])]
    return sorted(found, key=lambda entry: entry.number)
