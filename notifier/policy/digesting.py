"""When messages come together: the type says how long they wait for each other, people how often they want them."""

from datetime import time
from typing import Final

from notifier.domain.catalog import NotificationType
from notifier.domain.channels import spec
from notifier.domain.clock import HOUR, SECOND
from notifier.domain.deliveries import Channel
from notifier.domain.preferences import Pace
from notifier.domain.standing import Standing
from notifier.policy.hours import local, next_time

DAILY_AT: Final = time(8)
"""When a daily digest comes, on the person's clock: before the day's work."""


def digest_due(kind: NotificationType, channel: Channel, standing: Standing, now: int) -> int | None:
    """When a digest that is begun now goes out; None where the message goes on its own.

    Only channels that collect do: a push or a text is for what can't wait.
    """
    if kind.digest is None or not spec(channel).collects:
        return None
    match _pace(standing, kind.category):
        case "at_once":
            return None
        case "hourly":
            return _next_hour(now, standing.zone)
        case "daily":
            return next_time(now, standing.zone, DAILY_AT)
        case _:
            return now + kind.digest.milliseconds


def _pace(standing: Standing, category: str) -> Pace | None:
    levels = (standing.preferences, *(defaults for _, defaults in standing.defaults))
    return next((level.digests[category] for level in levels if category in level.digests), None)


def _next_hour(now: int, zone: str) -> int:
    shown = local(now, zone)
    return now + HOUR - (shown.minute * 60 + shown.second) * SECOND - now % SECOND
