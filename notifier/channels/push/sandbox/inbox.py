"""A phone's lock screen: pushes as they are shown, those that were replaced only counted."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, NamedTuple

from notifier.channels.push.sandbox.fcm import Push
from notifier.domain.deliveries import Channel
from notifier.sandbox.column import SEARCHED, Column, InboxColumn, ago
from notifier.sandbox.direction import TextDirection, way
from notifier.sandbox.ledger import SandboxEntry, SandboxLedger

SHOWN: Final = 12
"""Pushes on the lock screen: a little more than fits."""


class Notice(NamedTuple):
    """A push on the lock screen; `replaced` counts the earlier ones whose place it took."""

    title: str
    body: str
    image: str
    action: str
    time: str
    replaced: int
    way: TextDirection


def column(ledger: SandboxLedger, look: InboxColumn) -> Column:
    """The lock screen of the picked devices."""
    pushes = islice(ledger.latest(Channel("push"), look.picked), SEARCHED)
    notices = [
        Notice(
            push.title,
            push.body,
            push.image,
            push.action,
            ago(entry.received_at, look.now),
            replaced,
            way(f"{push.title} {push.body} {push.action}"),
        )
        for entry, push, replaced in islice(on_screen(pushes), SHOWN)
    ]
    return Column({"notices": notices})


def on_screen(pushes: Iterable[SandboxEntry]) -> Iterator[tuple[SandboxEntry, Push, int]]:
    """The pushes a phone still shows, newest first, each with how many earlier ones it replaced.

    A push takes the place of those before it to the same device with the same collapse key or apns-collapse-id.
    """
    kept: list[tuple[SandboxEntry, Push]] = []
    replaced: dict[tuple[str, str], int] = {}
    for entry in pushes:
        if not isinstance(push := entry.content, Push):
            continue
        key = (entry.to, _collapse_key(push) or f"#{entry.number}")
        if key in replaced:
            replaced[key] += 1
        else:
            replaced[key] = 0
            kept.append((entry, push))
    for entry, push in kept:
        yield entry, push, replaced[(entry.to, _collapse_key(push) or f"#{entry.number}")]


def shorten(token: str) -> str:
    """A device token's two ends."""
    return token if len(token) <= 18 else f"{token[:8]}…{token[-8:]}"


def _collapse_key(push: Push) -> str:
    return push.apns_headers.get("apns-collapse-id", "") or push.collapse_key
