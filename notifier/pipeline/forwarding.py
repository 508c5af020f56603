"""Forward events to the buckets of the people whom they reach: each gets a copy, which is decided there.

An event is forwarded before it is decided where it was accepted, and as often as that is tried: a copy that is there is
left as it is. So whatever ends in between, nobody is left out and nobody hears twice.
"""

import asyncio
from bisect import bisect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Final

import msgspec
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier import policy
from notifier.domain.catalog import Catalog, NotificationType
from notifier.domain.errors import StoreUnavailable
from notifier.domain.events import Event
from notifier.domain.recipients import Recipient
from notifier.pipeline.engine import SIGNAL_AGAIN, Engine
from notifier.pipeline.plan import answers_of, supersessions_of
from notifier.pipeline.signalling import signal_undecided
from notifier.store.delivery import awaited, open_events, supersessions
from notifier.store.delivery import events as store
from notifier.store.delivery.supersessions import Supersession
from notifier.store.people import on_call, reach

SEGMENT: Final = "segment:"
"""What the audience keys of segments begin with: they have members wherever people are."""

Line = Mapping[int, Sequence[int]]
"""The places of an audience's members, in the order of their turns, by bucket."""

log = structlog.get_logger(__name__)


@dataclass
class Forwarded:
    """Events that were forwarded, and the audiences of theirs that have members in other buckets."""

    ids: set[str] = field(default_factory=set)
    elsewhere: set[str] = field(default_factory=set)
    ahead: dict[str, list[int]] = field(default_factory=dict)  # of the people here

    def with_members(self, members: Mapping[str, list[Recipient]]) -> dict[str, list[Recipient]]:
        """The members of audiences here, none of one whose members are all elsewhere."""
        return {**{key: [] for key in self.elsewhere}, **members}

    def with_turns(self, batch: Iterable[Event]) -> list[Event]:
        """Events with the turns that people in other buckets have before those here."""
        return [msgspec.structs.replace(each, ahead=self.ahead) if each.id in self.ids else each for each in batch]


@dataclass
class _Parcel:
    """What one bucket is sent: events with the audiences that each has there, what they make untrue, and what they
    answer."""

    events: dict[str, Event] = field(default_factory=dict)
    audiences: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    marks: list[Supersession] = field(default_factory=list)
    answers: dict[str, int] = field(default_factory=dict)
    of: set[str] = field(default_factory=set)  # the ids of the events of which something is in it

    def add(self, event: Event, audience: str, ahead: list[int]) -> None:
        self.of.add(event.id)
        self.events[event.id] = event
        self.audiences.setdefault(event.id, {})[audience] = ahead


def reaches_out(catalog: Catalog, event: Event, buckets: int) -> bool:
    """Whether an event may reach people in other buckets than the one where it was accepted."""
    if buckets == 1 or event.audiences is not None:
        return False
    named = (key for kind in catalog.listeners.get(event.type, []) for key in policy.audiences(kind, event.data))
    return policy.concerns_many(catalog, event) or any(not reach.is_person(key) for key in named)


async def forward(engine: Engine, events: Sequence[Event], forwarded: Forwarded) -> list[str]:
    """Send copies of events of a bucket to the others that they reach; returns the ids of those of which all were
    sent. The rest are put off: they wait for a bucket that doesn't answer."""
    if not events:
        return []
    here = engine.database.bucket
    found = await _present(engine, events)
    lines = await _lines(engine, events, found)
    parcels = _pack(engine.catalog, events, here, found, lines, len(engine.whole.buckets))
    forwarded.ahead |= {key: turns_ahead(of_key, here) for key, of_key in lines.items()}
    forwarded.elsewhere |= {key for key, buckets in found.items() if buckets - {here}}
    sent = await asyncio.gather(*(_send(engine.whole.buckets[number], parcel) for number, parcel in parcels.items()))
    unsent = {id_ for parcel, is_sent in zip(parcels.values(), sent, strict=True) if not is_sent for id_ in parcel.of}
    done = [event.id for event in events if event.id not in unsent]
    forwarded.ids |= set(done)
    await open_events.put_off(engine.database, sorted(unsent), engine.clock.now() + SIGNAL_AGAIN)
    return done


async def _present(engine: Engine, events: Iterable[Event]) -> dict[str, set[int]]:
    """The buckets in which each audience that events name has members."""
    buckets, here = engine.database.whole.buckets, engine.database.bucket
    named = {
        key
        for event in events
        for kind in engine.catalog.listeners.get(event.type, [])
        for key in policy.audiences(kind, event.data)
    }
    segments = {key for key in named if key.startswith(SEGMENT)}
    may_be = await reach.of(engine.database, named - segments)
    asked: dict[int, set[str]] = {here: named - segments}
    for key, numbers in may_be.items():
        for number in numbers:
            asked.setdefault(number, set()).add(key)

    async def look(number: int, keys: set[str]) -> tuple[int, set[str]]:
        try:
            return number, await reach.present(buckets[number], keys)
        except StoreUnavailable:
            if number == here:
                raise
            return number, keys  # who reaches that bucket waits for it

    found: dict[str, set[int]] = {key: set(range(len(buckets))) for key in segments}
    for number, keys in await asyncio.gather(*(look(number, keys) for number, keys in asked.items())):
        for key in keys:
            found.setdefault(key, set()).add(number)
    return found


async def _lines(engine: Engine, events: Iterable[Event], found: Mapping[str, set[int]]) -> Mapping[str, Line]:
    """The lines of people whom events ask one after the other."""
    buckets = engine.database.whole.buckets
    asked: dict[int, set[str]] = {}
    for event in events:
        for kind, key in _reached(engine.catalog, event, found):
            for number in found[key] if kind.escalation else ():
                asked.setdefault(number, set()).add(key)

    async def look(number: int, keys: set[str]) -> dict[str, list[int]]:
        try:
            return await on_call.lines(buckets[number], keys)
        except StoreUnavailable:
            return {}  # nobody waits for who can't be asked

    lines: dict[str, dict[int, list[int]]] = {}
    for number, of_bucket in zip(asked, await asyncio.gather(*(look(*each) for each in asked.items())), strict=True):
        for key, places in of_bucket.items():
            lines.setdefault(key, {})[number] = places
    return lines


def turns_ahead(line: Line, bucket: int) -> list[int]:
    """How many in other buckets have their turn before each one in this: who is on call by their places, and the others
    behind them, by their buckets."""
    others = sorted((place or inf, number) for number, places in line.items() if number != bucket for place in places)
    return [bisect(others, (place or inf, bucket)) for place in line.get(bucket, ())]


def _reached(catalog: Catalog, event: Event, found: Mapping[str, set[int]]) -> Iterator[tuple[NotificationType, str]]:
    """The types that reach anybody with an event, each with its audience: the most exact name decides, wherever its
    people are."""
    for kind in catalog.listeners.get(event.type, []):
        key = next((key for key in policy.audiences(kind, event.data) if key in found), None)
        if key is not None:
            yield kind, key


def _pack(
    catalog: Catalog, events: Iterable[Event], here: int, found: Mapping[str, set[int]], lines: Mapping[str, Line],
    buckets: int,
) -> dict[int, _Parcel]:  # fmt: skip
    """What each of the other buckets is sent."""
    parcels = {number: _Parcel() for number in range(buckets) if number != here}
    for event in events:
        for _, key in _reached(catalog, event, found):
            for number in found[key] - {here}:
                parcels[number].add(event, key, turns_ahead(lines.get(key, {}), number))
        if policy.concerns_many(catalog, event):
            marks, answers = supersessions_of(catalog, event), answers_of(catalog, event)
            for parcel in parcels.values():
                parcel.of.add(event.id)
                parcel.marks += marks
                parcel.answers |= answers
    return {number: parcel for number, parcel in parcels.items() if parcel.of}


async def _send(there: Engine, parcel: _Parcel) -> bool:
    """Write what a bucket is sent; False where it doesn't answer."""
    database, again_at = there.database, there.clock.now() + SIGNAL_AGAIN

    async def work(connection: AsyncConnection) -> list[str]:
        await supersessions.add(connection, database.dialect, parcel.marks)
        await awaited.answer(connection, database.dialect, parcel.answers)
        if not parcel.events:
            return []
        return await store.copy(connection, database.dialect, parcel.audiences, parcel.events.values(), again_at)

    try:
        new = await database.write(work)
    except StoreUnavailable as error:
        log.warning("forward.bucket_away", bucket=database.bucket, events=len(parcel.of), error=str(error))
        return False
    await signal_undecided(there, {id_: parcel.events[id_].type for id_ in new})
    return True
