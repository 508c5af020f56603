"""Changes as they are told: to who polls the log of changes, and to who subscribes to them."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final, Literal

import msgspec

from notifier.domain.changes import Place
from notifier.domain.clock import to_datetime
from notifier.domain.deliveries import HeldChannel
from notifier.domain.keys import Bounds
from notifier.domain.twins import is_test, plain, twin
from notifier.store.core.database import Database
from notifier.store.reading import changes as log
from notifier.store.reading.changes import LoggedChange, Subject

ROUNDS: Final = 20
"""Stretches of the log that one question looks through for what it asks for."""


class ChangeFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which changes are wanted: to these states, and about events within all of these bounds; no states are all."""

    states: frozenset[str] = frozenset()
    bounds: tuple[Bounds, ...] = ()

    def takes(self, change: "ChangeView") -> bool:
        """Whether a change is wanted."""
        about = change.event
        event_type = twin(about.type) if about.test else about.type
        return self.takes_state(change.state) and self.takes_event(about.source, event_type)

    def takes_state(self, state: str) -> bool:
        """Whether changes to a state are wanted, of deliveries that are."""
        return not self.states or state in self.states

    def takes_event(self, source: str, event_type: str) -> bool:
        """Whether changes are wanted of deliveries about an event of a source and a type."""
        return all(each.cover(source, event_type) for each in self.bounds)


class ChangedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """The event behind a delivery: our id, and what its source called it; `test` where a test key reported it."""

    id: str
    type: str
    test: bool
    source: str
    source_id: str


class ChangeView(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery's move to a state. `id` is the same whenever it is told; `attempts` are those so far, `reason` and
    `code` say why, where there is more to say."""

    id: str
    delivery: str
    state: str
    reason: str | None
    code: str | None
    at: datetime
    attempts: int
    type: str
    channel: HeldChannel
    recipient: str
    event: ChangedEvent


class BatchData(msgspec.Struct, frozen=True, kw_only=True):
    """What a batch tells a `subscription`: changes in their order."""

    subscription: str
    changes: list[ChangeView]


class ChangesBatch(msgspec.Struct, frozen=True, kw_only=True):
    """The body of a request to a subscriber, by Standard Webhooks: `timestamp` is the instant of the last change."""

    type: Literal["changes"] = "changes"
    timestamp: datetime
    data: BatchData


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Changes that a filter leaves, the place behind them, and whether there may be more at once."""

    changes: list[ChangeView]
    end: Place
    more: bool


async def find(database: Database, wanted: ChangeFilter, place: Place, limit: int, until: Place | None = None) -> Page:
    """The next changes behind a place, `limit` at most and up to another place where that is given. It looks through a
    bounded part of the log, so a page may be empty though there is more. Raises PastRetention."""
    found: list[ChangeView] = []
    more = True
    for _ in range(ROUNDS):
        stretch = await log.read(database, place, limit - len(found), until)
        found += await _views(database, wanted, stretch.changes)
        place, more = stretch.end, stretch.more
        if not more or len(found) == limit:
            break
    return Page(changes=found, end=place, more=more)


async def _views(database: Database, wanted: ChangeFilter, changes: Iterable[LoggedChange]) -> list[ChangeView]:
    left = [each for each in changes if wanted.takes_state(each.change.state)]
    subjects = await log.subjects(database, left)
    known = ((each, subjects.get(each.change.delivery_id)) for each in left)
    return [
        _view(each, subject)
        for each, subject in known
        if subject is not None and wanted.takes_event(subject.source, subject.event_type)
    ]


def _view(logged: LoggedChange, subject: Subject) -> ChangeView:
    change = logged.change
    named = ChangedEvent(
        id=subject.event_id, type=plain(subject.event_type), test=is_test(subject.event_type), source=subject.source,
        source_id=subject.source_id,
    )  # fmt: skip
    return ChangeView(
        id=f"{logged.bucket}-{logged.position}", delivery=change.delivery_id, state=change.state,
        reason=change.reason, code=change.code, at=to_datetime(change.at), attempts=change.attempts,
        type=plain(subject.type), channel=subject.channel, recipient=subject.recipient_id, event=named,
    )  # fmt: skip
