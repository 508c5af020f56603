"""Accept what stations say by OCPP: frames become statuses of ports, and events in one transaction with the sessions
that they move."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from notifier.domain.cloudevents import CheckedEvent, EventReader
from notifier.domain.ids import make_id
from notifier.domain.stations import Evse, Location
from notifier.ocpp.frames import Frame
from notifier.ocpp.sessions import Fact, StationState, move
from notifier.ocpp.statuses import status_of
from notifier.pipeline import stations
from notifier.pipeline.accept import Intake, new_event
from notifier.pipeline.engine import LATER_AGAIN, SIGNAL_AGAIN, Engine
from notifier.runtime.tracing import current
from notifier.store.delivery import ocpp
from notifier.store.delivery.events import NewEvent
from notifier.store.stations import evses, locations
from notifier.store.stations.evses import StatusReport

TYPES: Final = frozenset(
    {"session.started", "charging.complete", "charging.interrupted", "charging.resumed", "session.ended"}
)
"""The events that frames may cause."""
AGAIN: Final = frozenset({"charging.interrupted", "charging.resumed"})
"""What may happen to one session more than once: the instant tells one from the other."""


class StationFrame(msgspec.Struct, frozen=True):
    """A frame, and the station that it is of."""

    station: str
    frame: Frame


class Taken(msgspec.Struct, frozen=True):
    """What a frame came to: how many ports of the map it was about, and how many events."""

    ports: int
    events: int


class _Place(msgspec.Struct, frozen=True):
    """What drivers call a port, and the zone of its place."""

    name: str
    time_zone: str | None = None


async def accept_frames(
    engine: Engine, reader: EventReader, intake: Intake, frames: Sequence[StationFrame], lane: str = ""
) -> list[Taken]:
    """Accept frames, those of a station in their order. Lanes, such as keys, take turns as in `Intake.accept`.

    A repeat changes nothing: what was taken before a failure may be sent again with the rest. Raises StoreUnavailable.
    """
    now = engine.clock.now()
    reports = [_report(each, now) for each in frames]
    about = [len(changed) for changed in await stations.take(engine, reports)]
    places = await _places(engine, frames)
    counts = [0] * len(frames)
    by_bucket: dict[int, list[int]] = {}
    for number, each in enumerate(frames):
        by_bucket.setdefault(engine.of(each.station).database.bucket, []).append(number)
    for bucket, numbers in by_bucket.items():
        own = {number: frames[number] for number in numbers}
        await _accept(engine.buckets[bucket], reader, intake, own, places, counts, lane)
    return [Taken(ports, events) for ports, events in zip(about, counts, strict=True)]


async def _accept(
    engine: Engine, reader: EventReader, intake: Intake, frames: Mapping[int, StationFrame],
    places: Mapping[tuple[str, int | None], _Place], counts: list[int], lane: str,
) -> None:  # fmt: skip
    """Accept the frames of a bucket; `counts` takes how many events each caused."""
    now, request = engine.clock.now(), current.get()
    trace = None if request is None else request.context
    again = LATER_AGAIN if (later := await intake.comes_later(engine, lane)) else SIGNAL_AGAIN
    new: dict[str, NewEvent] = {}

    def step(known: Mapping[str, StationState]) -> tuple[Mapping[str, StationState], Sequence[NewEvent]]:
        states = dict(known)
        new.clear()
        for number, each in frames.items():
            states[each.station], facts = move(states[each.station], each.station, each.frame, now)
            counts[number] = len(facts)
            for fact in facts:
                place = places.get((each.station, fact.session.port), _Place(each.station))
                made = _event(reader, each.station, fact, place)
                row = new_event(made if trace is None else msgspec.structs.replace(made, trace=trace), now, again)
                new[row.id] = row
        return states, list(new.values())

    stored = await ocpp.update(engine.database, sorted({each.station for each in frames.values()}), step, now)
    types = {stored[id_].id: row.type for id_, row in new.items()}
    intake.signal(engine, types, types if later else ())


def _report(frame: StationFrame, now: int) -> StatusReport:
    port, status, at = status_of(frame.frame, now)
    return StatusReport(station=frame.station, port=port, status=status, at=at, source="ocpp")


def _event(reader: EventReader, station: str, fact: Fact, place: _Place) -> CheckedEvent:
    """The event of a fact; its id is the same however often a station tells of it."""
    session = fact.session
    id_ = make_id("ocpp", session.id, fact.type, str(fact.at) if fact.type in AGAIN else "")
    data = {"session_id": session.id, "station": place.name, **fact.data}
    if session.token:
        data["token"] = session.token
    if place.time_zone:
        data["time_zone"] = place.time_zone
    return reader.made(fact.type, f"ocpp/{station}", id_, f"session/{session.id}", fact.at, data)


async def _places(engine: Engine, frames: Sequence[StationFrame]) -> dict[tuple[str, int | None], _Place]:
    """What drivers call the ports of stations, by the station's name and the port's number."""
    database = engine.whole.database
    own = await evses.of_stations(database, sorted({each.station for each in frames}))
    ids = sorted({each.location_id for each in own})
    named = await locations.named(database, ids)
    ports = Counter(each.location_id for each in await evses.of_locations(database, ids))
    return {(each.station or "", each.port): _place(each, named[each.location_id], ports) for each in own}


def _place(port: Evse, where: Location, ports: Mapping[str, int]) -> _Place:
    """A place's name, and the port's where the place has several."""
    name = f"{where.name}, {port.uid}" if ports[where.id] > 1 else where.name
    return _Place(name, where.time_zone)
