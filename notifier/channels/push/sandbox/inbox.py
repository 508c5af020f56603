"""A phone's lock screen: pushes as shown, with a count of those that each replaced."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, NamedTuple

from notifier.channels.push.sandbox.fcm import Push
from notifier.domain.deliveries import Channel
from notifier.sandbox.column import SEARCHED, Column, InboxColumn, ago
from notifier.sandbox.direction import TextDirection, way
from notifier.sandbox.ledger import SandboxEntry, SandboxLedger

SHOWN: Final = 12
"""Pushes on the lock screen: slightly more than fit."""


class Notice(NamedTuple):
    """A push on the lock screen; `replaced` counts the earlier pushes that it replaced."""

    title: str
    body: str
    image: str
    action: str
    time: str
    replaced: int
    way: TextDirection


def column(ledger: SandboxLedger, look: InboxColumn) -> Column:
    """Return the lock screen of the selected devices."""
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
    """Return the pushes that a phone still shows, newest first, each with the number that it replaced.

    A push replaces earlier ones to the same device with the same collapse key or apns-collapse-id.
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
    """Shorten a device token to its two ends."""
    return token if len(token) <= 18 else f"{token[:8]}…{token[-8:]}"


def _collapse_key(push: Push) -> str:
    return push.apns_headers.get("apns-collapse-id", "") or push.collapse_key
