"""FCM's storage of messages for an Android phone that is offline.

As on firebase.google.com/docs/cloud-messaging/customize-messages/collapsible-message-types: notification messages
always collapse under the app's key, whatever key was sent; data messages collapse under the key that was sent.
"""

from collections.abc import Iterable
from typing import Final

from notifier.channels.push.sandbox.fcm import Push
from notifier.sandbox.ledger import SandboxEntry

MOST_KEYS: Final = 4
"""Collapse keys for a device; FCM doesn't document which are kept, here the first are."""
APP: Final = "the app's package"
"""The key of all messages with a notification."""
MOST_PLAIN: Final = 100
"""Data messages without a collapse key for a device; one more discards all of them."""


def kept(entries: Iterable[SandboxEntry], device: str) -> list[SandboxEntry]:
    """Return the pushes that a device gets when it comes back online after all of them."""
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
