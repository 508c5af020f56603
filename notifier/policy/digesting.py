"""When messages come together: the type says how long they wait for each other, people how often they want them."""

from datetime import time
from typing import Final

from notifier.domain.catalog import NotificationType
from notifier.domain.channels import spec
from notifier.domain.clock import HOUR, SECOND
from notifier.domain.deliveries import Channel
from notifier.domain.preferences import Pace
from notifier.domain.recipient_facts import RecipientFacts
from notifier.policy.hours import local, next_time

DAILY_AT: Final = time(8)
"""The local time of a daily digest: before the day's work."""


def digest_due(kind: NotificationType, channel: Channel, facts: RecipientFacts, now: int) -> int | None:
    """When a digest that is begun now goes out; None where the message goes on its own.

    Only channels that collect do: a push or a text is for what can't wait.
    """
    if kind.digest is None or not spec(channel).collects:
        return None
    match _pace(facts, kind.category):
        case "at_once":
            return None
        case "hourly":
            return _next_hour(now, facts.zone)
        case "daily":
            return next_time(now, facts.zone, DAILY_AT)
        case _:
            return now + kind.digest.milliseconds


def _pace(facts: RecipientFacts, category: str) -> Pace | None:
    levels = (facts.preferences, *(defaults for _, defaults in facts.defaults))
    return next((level.digests[category] for level in levels if category in level.digests), None)


def _next_hour(now: int, zone: str) -> int:
    shown = local(now, zone)
    return now + HOUR - (shown.minute * 60 + shown.second) * SECOND - now % SECOND
