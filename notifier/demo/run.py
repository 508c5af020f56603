"""The demo: a day of charging sessions reported to a whole local system, and every message's outcome."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from notifier.client import AsyncProducer
from notifier.demo.local import LocalSystem
from notifier.demo.ports import Ports
from notifier.demo.sessions import ChargingSession, TimedEvent, events
from notifier.domain.clock import SECOND
from notifier.domain.errors import Problem
from notifier.people.importing import import_recipients
from notifier.reconcile import reconcile
from notifier.store.delivery import deliveries
from notifier.store.reading import ledger
from notifier.store.reading.ledger import Ledger

HOUR_IN_DEMO = (
    0.4  # seconds that an hour of a session takes: enough for an early message to be sent before it no longer applies
)
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d.*")
SLICE = 0.05  # seconds of events that travel together
WAITS = 30 * SECOND  # messages due later than this stay pending: a digest, a turn on call, quiet hours
QUIET_TIMEOUT = 120  # seconds after the last event for everything to be delivered
LOOK_EVERY = 0.25  # seconds


class Progress(NamedTuple):
    """The demo's progress: events sent, their total, and the ledger."""

    sent: int
    events: int
    books: Ledger


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What `notifier demo --json` ends with; `waiting` are deliveries whose time has not come: a digest's window is
    open, a person's turn or their morning is yet to come."""

    events: int
    deliveries: dict[str, int]
    by_channel: dict[str, int]
    reasons: dict[str, int]
    provider_received: dict[str, int]
    waiting: int
    lost: int
    duplicated: int
    unrecorded: int
    seconds: float

    @property
    def ok(self) -> bool:
        return not (self.lost or self.duplicated or self.unrecorded)


class ScheduledEvent(NamedTuple):
    """An event and the second of the demo in which it is sent."""

    second: float
    event: TimedEvent


def schedule(
    sessions: list[ChargingSession], drivers: list[str], seconds: float, hour: float = HOUR_IN_DEMO
) -> list[ScheduledEvent]:
    """Every event of the sessions, in the order of the demo: cars arrive evenly spread over `seconds`, and then an
    hour of each session takes `HOUR_IN_DEMO`."""
    due = []
    for number, session in enumerate(sessions):
        start = seconds * number / len(sessions)
        told = events(session, lambda _session, number=number: drivers[number % len(drivers)])  # type: ignore[misc]
        due += [
            ScheduledEvent(start + (event.at - session.arrival).total_seconds() / 3600 * hour, event) for event in told
        ]
    return sorted(due, key=lambda each: each.second)


async def run(
    system: LocalSystem,
    people: list[tuple[str, dict[str, Any]]],
    due: list[ScheduledEvent],
    show: Callable[[Progress], None],
) -> Summary:
    """Report every event and what ports say, wait until the system is quiet, and compare our ledger with the
    sandbox's."""
    began = time.monotonic()
    await import_recipients(system.database, system.clock, _lines(people), "demo", system.settings.channels)
    telling = asyncio.create_task(_tell(system, due))
    quiet_by = float("inf")
    while True:
        books = await ledger.read(system.database)
        show(Progress(books.events, len(due), books))
        if telling.done():
            telling.result()
            quiet_by = min(quiet_by, time.monotonic() + QUIET_TIMEOUT)
            soon = system.clock.now() + WAITS
            if await ledger.is_quiet(system.database, soon) or time.monotonic() > quiet_by:
                books = await ledger.read(system.database)
                waiting = await deliveries.waiting(system.database, system.clock.now())
                break
        await asyncio.sleep(LOOK_EVERY)
    compared = await reconcile(system.database, books, system.sandbox_url)
    return Summary(
        events=books.events,
        deliveries=books.deliveries,
        by_channel=books.by_channel,
        reasons=books.reasons,
        provider_received=compared.received,
        # An event that was never accepted is as lost as a message that no provider got.
        lost=compared.lost + len(due) - books.events + _open(books) - waiting,
        waiting=waiting,
        duplicated=compared.duplicated,
        unrecorded=compared.unrecorded,
        seconds=round(time.monotonic() - began, 1),
    )


async def _tell(system: LocalSystem, due: list[ScheduledEvent]) -> None:
    """Report each slice's events when it is due, with that moment as their time, and what ports say after it."""
    async with AsyncProducer(system.settings.public_url, system.key, "demo") as producer, Ports(system) as ports:
        await ports.put((each.event for each in due), datetime.now(UTC))
        began = time.monotonic()
        for second, slice_ in _slices(due):
            await asyncio.sleep(max(0.0, began + second - time.monotonic()))
            now = datetime.now(UTC)
            for result in await producer.send_many([_attributes(event, now) for event in slice_]):
                if isinstance(result, Problem):
                    raise result
            await ports.tell(slice_, now)


def _slices(due: list[ScheduledEvent]) -> Iterator[tuple[float, list[TimedEvent]]]:
    for number, group in groupby(due, key=lambda each: int(each.second / SLICE)):
        yield number * SLICE, [each.event for each in group]


def _attributes(event: TimedEvent, now: datetime) -> dict[str, Any]:
    return {
        "type": event.type,
        "id": event.id,
        "source": event.source,
        "subject": event.subject,
        "time": now,
        "data": {name: _shifted(value, now - event.at) for name, value in event.data.items()},
    }


def _shifted(value: Any, by: timedelta) -> Any:
    """A moment that an event tells, as far from now as it was from the event; anything else as it is."""
    if not (isinstance(value, str) and MOMENT.fullmatch(value)):
        return value
    return (datetime.fromisoformat(value) + by).isoformat(timespec="seconds")


def _open(books: Ledger) -> int:
    return books.deliveries["pending"] + books.deliveries["sending"]


async def _lines(people: list[tuple[str, dict[str, Any]]]) -> AsyncIterator[bytes]:
    for id_, details in people:
        yield json.dumps({"id": id_, **details}).encode()


def read_sessions(file: Path) -> list[ChargingSession]:
    """Read the sessions of an ACN-Data file, in the order of arrival."""
    from notifier.demo.sessions import read_acn

    return sorted(read_acn(file), key=lambda session: session.arrival)
