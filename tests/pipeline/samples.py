"""Events that several tests tell, the moment at which they do, and a worker that ends too early."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import msgspec

from notifier.domain.catalog import Catalog
from notifier.pipeline.local_dispatcher import LocalDispatcher, Queue
from tests.named import EMAIL, PUSH, SMS

NOW = 1_773_078_000_000  # 2026-03-09T17:40:00Z


class Dying(LocalDispatcher):
    """Takes deliveries, and ends before it begins with any of them."""

    def begin(self, queue: Queue, messages: int, work: Coroutine[Any, Any, object]) -> None:  # noqa: ARG002
        work.close()


def to_people(catalog: Catalog) -> Catalog:
    """The types by push, SMS and e-mail alone: for tests that count rows and what arrives at a provider."""
    types = [
        msgspec.structs.replace(kind, channels=tuple(each for each in kind.channels if each in (PUSH, SMS, EMAIL)))
        for kind in catalog.types.values()
    ]
    return Catalog(types, catalog.regulation)


Report = Callable[..., Awaitable[str]]
"""Accepts an event of a type with its data as keywords, `at` an instant; answers the event's id."""

COMPLETE = {
    "session_id": "101",
    "kind": "full",
    "station": "Gent Zuid, bay 3",
    "energy_kwh": 41.12,
    "completed_at": "2026-03-09T17:40:00Z",
    "driver_id": "ada",
}
WARNING = {
    "session_id": "101",
    "station": "Gent Zuid, bay 3",
    "idle_fee_from": "2026-03-09T17:55:00Z",
    "fee_per_minute": {"amount": 0.1, "currency": "EUR"},
    "driver_id": "ada",
}
AVAILABLE = {
    "topic": "station:gent-3",
    "station_id": "gent-3",
    "station": "Gent Zuid, bay 3",
    "since": "2026-03-09T17:38:00Z",
}
OFFER = {
    "segment_id": "gold",
    "campaign_id": "weekend",
    "title": "Charge for less this weekend",
    "text": "You charge at a lower price at all our stations in Gent.",
}
RECEIPT = {
    "session_id": "101",
    "cdr_id": "BE-BEC-1",
    "station": "Gent Zuid",
    "started_at": "2026-03-09T15:40:00Z",
    "ended_at": "2026-03-09T17:40:00Z",
    "duration_min": 120,
    "energy_kwh": 41.12,
    "total": {"amount": 18.45, "currency": "EUR"},
    "token": "NL-TST-C1",
}
