"""The limits of an API key: how many events it may report in a second and in a day, and how many it has. Pure.

The second's limit is the generic cell rate algorithm (ITU-T I.371): its rate is used up to an instant, and a key may be
`BURST` ahead. The day's limit is a count that ends at midnight, UTC. The header fields are those of
draft-ietf-httpapi-ratelimit-headers.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple

import msgspec

from notifier.domain.clock import DAY, SECOND
from notifier.domain.keys import ApiKey

Policy = Literal["second", "day"]

BURST: Final = SECOND
"""Milliseconds' worth of its rate that a key may be ahead; the request that exceeds it is still accepted whole, or a
batch of more events than the rate could never be."""
_MICROSECONDS: Final = 1000


class KeyUsage(msgspec.Struct, frozen=True):
    """What a key has used: its rate up to an instant (microseconds since 1970, since a thousand events a second are a
    millisecond apart), and so many events of a day (days since 1970).

    That instant is by the foremost clock of all that count the key; `behind` is the milliseconds that whoever looks is
    behind it. The day is by one's own clock.
    """

    spoken_for: int = 0
    day: int = 0
    events: int = 0
    behind: int = 0


class Overrun(NamedTuple):
    """The policies that a request exceeds, and the seconds until none of them keeps an event out."""

    policies: Sequence[Policy]
    wait: int


def overrun(key: ApiKey, usage: KeyUsage, events: int, now: int) -> Overrun | None:
    """The policies that a request with so many events exceeds; None where the key may report them."""
    waits: dict[Policy, int] = {}
    if key.rate is not None and _ahead(usage, now) > BURST:
        waits["second"] = math.ceil((_ahead(usage, now) - BURST) / SECOND)
    if key.daily is not None and _today(usage, now).events + events > key.daily:
        waits["day"] = _until_midnight(now)
    return Overrun(list(waits), max(waits.values())) if waits else None


def spend(key: ApiKey, usage: KeyUsage, events: int, now: int) -> KeyUsage:
    """The usage of a key that has reported so many events more."""
    today = _today(usage, now)
    spoken_for = max(usage.spoken_for, (now + usage.behind) * _MICROSECONDS)
    if key.rate is not None:
        spoken_for += round(events * SECOND * _MICROSECONDS / key.rate)
    return KeyUsage(spoken_for, today.day, today.events + events, usage.behind)


def policy_field(key: ApiKey) -> str:
    """The value of `RateLimit-Policy`: each limit's quota (q, events) and window (w, seconds)."""
    told = []
    if key.rate is not None:
        quota, window = (math.floor(key.rate), 1) if key.rate >= 1 else (1, math.ceil(1 / key.rate))
        told.append(f'"second";q={quota};w={window}')
    if key.daily is not None:
        told.append(f'"day";q={key.daily};w={DAY // SECOND}')
    return ", ".join(told)


def remaining_field(key: ApiKey, usage: KeyUsage, now: int) -> str:
    """The value of `RateLimit`: the events that are left (r), and the seconds until the whole quota is there (t)."""
    told = []
    if key.rate is not None:
        ahead = _ahead(usage, now)
        left = 0 if ahead > BURST else max(math.floor((BURST - ahead) * key.rate / SECOND), 1)
        told.append(f'"second";r={left};t={max(math.ceil(ahead / SECOND), 1)}')
    if key.daily is not None:
        told.append(f'"day";r={max(key.daily - _today(usage, now).events, 0)};t={_until_midnight(now)}')
    return ", ".join(told)


def fields(key: ApiKey, usage: KeyUsage, now: int) -> Mapping[str, str]:
    """The header fields that tell a key's limits and what is left of them."""
    return {"RateLimit-Policy": policy_field(key), "RateLimit": remaining_field(key, usage, now)}


def _ahead(usage: KeyUsage, now: int) -> float:
    """Milliseconds for which the rate is used up already."""
    return max(usage.spoken_for / _MICROSECONDS - now - usage.behind, 0.0)


def _today(usage: KeyUsage, now: int) -> KeyUsage:
    """The usage with its count of today's events. A clock that is set back begins no day anew."""
    return usage if usage.day >= now // DAY else KeyUsage(usage.spoken_for, now // DAY, behind=usage.behind)


def _until_midnight(now: int) -> int:
    return math.ceil((DAY - now % DAY) / SECOND)
