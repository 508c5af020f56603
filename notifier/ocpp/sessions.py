"""Charging sessions as stations tell of them: a pure state of each station, moved by one frame after the other.

Each fact of a session is told once, however often a station repeats itself, and nothing after its end: what a station
sent while it was offline may come after what came later. Sessions of 1.6 go by the number that their StartTransaction
is answered with; where nobody forwards the answer, by the connector. Those of 2.0.1 go by their id.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from notifier.domain.clock import to_datetime
from notifier.domain.ids import make_id
from notifier.domain.messages import Private
from notifier.ocpp.frames import (
    Event201,
    Frame,
    Meter16,
    MeterValue,
    Result16,
    SampledValue,
    Start16,
    Status16,
    Stop16,
    instant,
)

FULL: Final = 99.0
"""Percent from which a battery is full: cars report 99 and go on balancing."""
MOST: Final = 32
"""Sessions that are kept of a station: those that are open, and the last ones, whose repeats must change nothing."""

LIMITS: Final = frozenset({"SOCLimitReached", "EnergyLimitReached"})
"""Reasons of 2.0.1 for which charging ends as the driver wanted it."""
ENERGY: Final = "Energy.Active.Import.Register"


class Session(Private, frozen=True, kw_only=True, omit_defaults=True):
    """A session of a port. `number` is its transaction in 1.6, and `message` the id of the call that began it; `seq` is
    the newest event of 2.0.1; energies in Wh, `soc` in percent; `told` are the facts that were told."""

    id: str
    port: int | None
    token: str | None
    started_at: int
    message: str | None = None
    number: int | None = None
    seq: int = -1
    meter_start: float | None = None
    energy: float | None = None
    soc: float | None = None
    faulted: bool = False
    ended: bool = False
    told: tuple[str, ...] = ()


class StationState(Private, frozen=True):
    """A station's sessions, in the order in which they began."""

    sessions: tuple[Session, ...] = ()


class Fact(NamedTuple):
    """Something that happened to a session at an instant: an event's type, and its data but for the place."""

    session: Session
    type: str
    at: int
    data: dict[str, Any]


def move(state: StationState, station: str, frame: Frame, now: int) -> tuple[StationState, list[Fact]]:
    """The state after a frame of a station, and what is to be told."""
    match frame.payload:
        case Start16() as start:
            return _start(state, station, start, frame.id)
        case Result16(transaction_id=number):
            return _named(state, frame.id, number), []
        case Stop16() as stop:
            return _changed(state, _stopped(state, stop))
        case Meter16() as meter:
            return _changed(state, _metered(state, meter))
        case Status16() as status:
            return _changed(state, _noticed(state, status, now))
        case Event201() as event:
            return _happened(state, station, event)
    return state, []


Change = tuple[Session, Session, list[Fact]]
"""A session before and after, and what is to be told of it."""


def _changed(state: StationState, change: Change | None) -> tuple[StationState, list[Fact]]:
    if change is None:
        return state, []
    before, after, facts = change
    return _put(state, before, after), facts


def _put(state: StationState, before: Session | None, after: Session) -> StationState:
    """The state with a session instead of another, or one more; of those that have ended the oldest go."""
    if before is not None:
        return StationState(tuple(after if each is before else each for each in state.sessions))
    every = [*state.sessions, after]
    while len(every) > MOST:
        every.remove(next((each for each in every if each.ended), every[0]))
    return StationState(tuple(every))


def _start(state: StationState, station: str, start: Start16, message: str) -> tuple[StationState, list[Fact]]:
    at = instant(start.timestamp)
    id_ = make_id("ocpp-session", station, str(start.connector_id), start.id_tag, str(at))
    if any(each.id == id_ for each in state.sessions):
        return state, []
    begun = Session(
        id=id_, port=start.connector_id, token=start.id_tag or None, started_at=at, message=message,
        meter_start=start.meter_start,
    )  # fmt: skip
    after, facts = _told(begun, at, [("session.started", {"started_at": _time(at)})])
    return _put(state, None, after), facts


def _named(state: StationState, message: str, number: int) -> StationState:
    for each in state.sessions:
        if each.message == message and each.number is None:
            return _put(state, each, msgspec.structs.replace(each, number=number))
    return state


def _stopped(state: StationState, stop: Stop16) -> Change | None:
    found = _by_number(state, stop.transaction_id, None)
    if found is None or found.ended:
        return None
    read = _read(found, stop.transaction_data)
    energy = read.energy if read.meter_start is None else stop.meter_stop - read.meter_start
    return (found, *_ended(msgspec.structs.replace(read, energy=energy), instant(stop.timestamp)))


def _metered(state: StationState, meter: Meter16) -> Change | None:
    found = _by_number(state, meter.transaction_id, meter.connector_id)
    if found is None or found.ended:
        return None
    after = _read(found, meter.meter_value)
    return None if after == found else (found, after, [])


def _noticed(state: StationState, status: Status16, now: int) -> Change | None:
    found = next((each for each in state.sessions if each.port == status.connector_id and not each.ended), None)
    at = now if status.timestamp is None else instant(status.timestamp)
    if found is None or at < found.started_at:
        return None
    match status.status:
        case "SuspendedEV" | "Finishing":
            return (found, *_completed(found, at, "full" if (found.soc or 0) >= FULL else "ended"))
        case "Faulted":
            return (found, *_interrupted(found, at, "station_fault"))
        case "Charging" if found.faulted:
            return (found, *_resumed(found, at))
    return None


def _happened(state: StationState, station: str, event: Event201) -> tuple[StationState, list[Fact]]:
    info, at = event.transaction_info, instant(event.timestamp)
    id_ = make_id("ocpp-session", station, info.transaction_id)
    before = next((each for each in state.sessions if each.id == id_), None)
    if before is not None and before.ended:
        return state, []
    token = event.id_token.id_token if event.id_token and event.id_token.type != "NoAuthorization" else None
    session = before or Session(id=id_, port=None, token=None, started_at=at)
    session = msgspec.structs.replace(
        session, port=event.evse.id if event.evse else session.port, token=token or session.token,
        started_at=min(at, session.started_at),
    )  # fmt: skip
    if event.seq_no <= session.seq and event.event_type != "Ended":
        after, facts = _begun(session, event)
    else:
        session = msgspec.structs.replace(session, seq=event.seq_no)
        after, facts = _course(_read(session, event.meter_value), event, at)
    return _put(state, before, after), facts


def _begun(session: Session, event: Event201) -> tuple[Session, list[Fact]]:
    """That a session began. Whose it is may be known only later, so it begins for us once a token is known or energy
    flows."""
    if event.event_type == "Ended" or not (session.token or event.transaction_info.charging_state == "Charging"):
        return session, []
    return _told(session, session.started_at, [("session.started", {"started_at": _time(session.started_at)})])


def _course(session: Session, event: Event201, at: int) -> tuple[Session, list[Fact]]:
    """What an event of 2.0.1 says of its session: that it began, pauses, goes on, is complete, or is over."""
    info = event.transaction_info
    state, reason = info.charging_state, info.stopped_reason
    session, facts = _begun(session, event)
    more: list[Fact] = []
    if reason in LIMITS:
        session, more = _completed(session, at, "limit_reached")
    elif state == "SuspendedEV" or reason == "StoppedByEV":
        session, more = _completed(session, at, "full" if (session.soc or 0) >= FULL else "ended")
    elif event.trigger_reason == "AbnormalCondition" and event.event_type == "Updated":
        session, more = _interrupted(session, at, "station_fault")
    elif state == "Charging" and session.faulted:
        session, more = _resumed(session, at)
    ends: list[Fact] = []
    if event.event_type == "Ended":
        session, ends = _ended(session, at)
    return session, facts + more + ends


def _completed(session: Session, at: int, kind: str) -> tuple[Session, list[Fact]]:
    """Charging is complete, if any energy has flowed: a car that never took any has not been charged."""
    if not session.energy or session.energy <= 0:
        return session, []
    data = {"kind": kind, "energy_kwh": _kwh(session.energy), "completed_at": _time(at)}
    return _told(session, at, [("charging.complete", data)])


def _interrupted(session: Session, at: int, reason: str) -> tuple[Session, list[Fact]]:
    if session.faulted or "charging.complete" in session.told:
        return session, []
    data: dict[str, Any] = {"reason": reason, "stopped_at": _time(at)}
    if session.energy is not None and session.energy >= 0:
        data["energy_kwh"] = _kwh(session.energy)
    after = msgspec.structs.replace(session, faulted=True)
    return after, [Fact(after, "charging.interrupted", at, data)]


def _resumed(session: Session, at: int) -> tuple[Session, list[Fact]]:
    after = msgspec.structs.replace(session, faulted=False)
    return after, [Fact(after, "charging.resumed", at, {})]


def _ended(session: Session, at: int) -> tuple[Session, list[Fact]]:
    """The session is over; whose it was is forgotten with it."""
    data: dict[str, Any] = {"ended_at": _time(at)}
    if session.energy is not None:
        data["energy_kwh"] = _kwh(max(session.energy, 0))
    after, facts = _told(session, at, [("session.ended", data)])
    return msgspec.structs.replace(after, ended=True, token=None), facts


def _told(session: Session, at: int, facts: Iterable[tuple[str, dict[str, Any]]]) -> tuple[Session, list[Fact]]:
    """The session with these facts, of which those are returned that were never told."""
    new = [(type_, data) for type_, data in facts if type_ not in session.told]
    after = msgspec.structs.replace(session, told=(*session.told, *(type_ for type_, _ in new))) if new else session
    return after, [Fact(after, type_, at, data) for type_, data in new]


def _by_number(state: StationState, number: int | None, port: int | None) -> Session | None:
    """The session of a transaction's number; where that is of none, the open one whose number nobody told us, of a
    port or of the only one there is."""
    if number is not None:
        for each in state.sessions:
            if each.number == number:
                return each
    unnamed = [
        each
        for each in state.sessions
        if not each.ended and (each.number is None or number is None) and port in (None, each.port)
    ]
    return unnamed[-1] if len(unnamed) == 1 or (unnamed and port is not None) else None


def _read(session: Session, readings: Sequence[MeterValue]) -> Session:
    """The session with what its meter and its car say; the latest reading of each counts."""
    energy, soc, start = session.energy, session.soc, session.meter_start
    for each in sorted(readings, key=lambda reading: instant(reading.timestamp)):
        for sample in each.sampled:
            value = _number(sample)
            if value is None or sample.phase is not None:
                continue
            if sample.measurand == ENERGY:
                start = value if start is None else start
                energy = value - start
            elif sample.measurand == "SoC":
                soc = value
    if (energy, soc, start) == (session.energy, session.soc, session.meter_start):
        return session
    return msgspec.structs.replace(session, energy=energy, soc=soc, meter_start=start)


def _number(sample: SampledValue) -> float | None:
    """A reading in Wh or percent; None for one that is no number, as signed values of 1.6 aren't."""
    try:
        value = float(sample.value)
    except ValueError:
        return None
    more = sample.unit_of_measure or {}
    multiplier = more.get("multiplier", 0)
    if isinstance(multiplier, int) and -9 <= multiplier <= 9:
        value *= 10.0**multiplier
    return value * 1000 if (sample.unit or more.get("unit")) == "kWh" else value


def _kwh(energy: float) -> float:
    return round(energy / 1000, 3)


def _time(at: int) -> str:
    return to_datetime(at).isoformat().replace("+00:00", "Z")
