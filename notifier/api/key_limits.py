"""The limits of API keys, counted over all web processes in the database, which has to take the events as well: so no
other server can be away, and a count neither begins anew nor differs between processes."""

from collections.abc import Mapping
from typing import Any, Final

from notifier import metrics
from notifier.domain.clock import Clock
from notifier.domain.errors import Problem
from notifier.domain.keys import ApiKey
from notifier.domain.limits import KeyUsage, Overrun, fields, overrun
from notifier.domain.problems import problem
from notifier.runtime.coalesce import Coalescer
from notifier.store.console import key_usage
from notifier.store.console.key_usage import Counted
from notifier.store.core.database import Database

TOGETHER: Final = 1000
"""Requests that are counted in one transaction: more than a web process has at a time."""
MOST_REMEMBERED: Final = 10_000
"""Keys whose usage a process remembers; beyond that it forgets all, and asks the database again."""


class KeyLimits:
    """Counts the events of limited keys, and refuses requests that exceed a limit.

    A process remembers what it last knew of a key's usage, which only grows: it refuses by that without asking anybody,
    so that a sender in a loop costs next to nothing. Concurrent requests are counted in one transaction.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._known: dict[str, KeyUsage] = {}
        self._behind = 0  # milliseconds, of this process's clock behind the foremost of the others'
        self._counter: Coalescer[tuple[ApiKey, int], Counted] = Coalescer(self._count, TOGETHER)

    def check(self, key: ApiKey, events: int = 1) -> None:
        """Refuse a request of a key that is known to be over a limit; raises as `admit` does."""
        over = overrun(key, self._usage(key), events, self._clock.now()) if key.limited else None
        if over is not None:
            raise _refused(key, over)

    async def admit(self, key: ApiKey, events: int) -> None:
        """Count a request's events, those included that are repeats or don't fit; a refused request counts none.

        Raises Problem 42901 (the second's limit) or 42902 (the day's) with `retry_after`, and StoreUnavailable.
        """
        if not key.limited or not events:
            return
        self.check(key, events)
        ((_, over),) = await self._counter.add([(key, events)])
        if over is not None:
            raise _refused(key, over)

    def fields(self, key: ApiKey) -> Mapping[str, str]:
        """The header fields that tell a limited key's limits and what is left of them, as far as this process knows."""
        return fields(key, self._usage(key), self._clock.now())

    def _usage(self, key: ApiKey) -> KeyUsage:
        return self._known.get(key.id, KeyUsage())

    async def _count(self, requests: list[tuple[ApiKey, int]]) -> list[Counted]:
        counted = await key_usage.count(self._database, requests, self._clock, self._behind)
        self._behind = max(usage.behind for usage, _ in counted)
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        self._known |= {key.id: usage for (key, _), (usage, _) in zip(requests, counted, strict=True)}
        return counted


def _refused(key: ApiKey, over: Overrun) -> Problem:
    for policy in over.policies:
        metrics.requests_limited.labels(policy).inc()
    limits = {"second": f"{key.rate or 0:g} events a second", "day": f"{key.daily} events a day (UTC)"}
    detail = f"the key {key.id} may report {' and '.join(limits[policy] for policy in over.policies)}"
    more: dict[str, Any] = {"retry_after": over.wait, "violated-policies": over.policies}
    return problem(42902, detail, **more) if "day" in over.policies else problem(42901, detail, **more)
