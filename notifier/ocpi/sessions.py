"""Sessions that a peer pushes, and the events that lie between what we knew of one and what it is now.

OCPI has no "charging complete": a full car stays ACTIVE. It is inferred from the charging periods, once energy has
flowed and the newest period tells parking time.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import msgspec

from notifier.domain.clock import to_instant
from notifier.domain.messages import Private
from notifier.ocpi.events import OcpiEvent, OcpiObjectId, StationName, location_id, make_event, money
from notifier.ocpi.objects import ChargingPeriod, OcpiInvalid, OcpiSession, SessionStatus, Timestamp, check, plain, read

MAX_PERIODS = (
    1_000  # newest charging periods kept of one session: one a minute for sixteen hours; peers may add without end
)

FULL = 100  # percent, of STATE_OF_CHARGE (mod_cdrs, CdrDimensionType)

_PROGRESS: Mapping[SessionStatus, int] = {"RESERVATION": 0, "PENDING": 0, "ACTIVE": 1, "COMPLETED": 2, "INVALID": 2}


class UnknownSession(LookupError):
    """A PATCH of a session that no PUT has told us about."""


class StoredSession(Private, frozen=True, kw_only=True):
    """What the next update builds on: the session as JSON, its `last_updated` (epoch ms) and the event types told."""

    session: dict[str, Any]
    last_updated: int
    told: tuple[str, ...] = ()


class SessionUpdate(Private, frozen=True, kw_only=True):
    """What an update brought: the session to store and the events to accept, or the old one and why it was dropped."""

    stored: StoredSession
    events: list[OcpiEvent]
    dropped: Literal["stale", "repeat"] | None = None


def put(
    stored: StoredSession | None, ids: OcpiObjectId, body: bytes | Mapping[str, Any],
    station_name: StationName = location_id, *, priced: bool = True,
) -> SessionUpdate:  # fmt: skip
    """Take a whole session, new or again (mod_sessions, PUT); `ids` are those of the URL, and `priced` says whether
    what this party is paid is what drivers pay.

    Raises OcpiInvalid where the body is not a Session, or is another one.
    """
    ids = ids.checked()
    session = _checked(read(body), ids)
    return _change(stored, ids, session, station_name, priced=priced)


def patch(
    stored: StoredSession | None, ids: OcpiObjectId, body: bytes | Mapping[str, Any],
    station_name: StationName = location_id, *, priced: bool = True,
) -> SessionUpdate:  # fmt: skip
    """Take what has changed in a session (mod_sessions, PATCH): its charging periods are added, all else replaces.

    Raises UnknownSession where nothing is stored, and OcpiInvalid as `put` does or where `last_updated` is missing.
    """
    ids = ids.checked()
    if stored is None:
        raise UnknownSession(f"session {ids.text} is unknown; PUT it first")
    changes = read(body)
    if "last_updated" not in changes:
        raise OcpiInvalid("/last_updated", "every PATCH needs this member")
    session = _checked({**stored.session, **changes}, ids)
    if "charging_periods" in changes:
        known = _known(stored).charging_periods or []
        session = msgspec.structs.replace(session, charging_periods=known + (session.charging_periods or []))
    return _change(stored, ids, session, station_name, priced=priced)


def _checked(value: dict[str, Any], ids: OcpiObjectId) -> OcpiSession:
    session = check(value, OcpiSession)
    for name, in_url in ids._asdict().items():
        if getattr(session, name).upper() != in_url:
            raise OcpiInvalid(f"/{name}", "must be the same as in the URL")
    return session


def _known(stored: StoredSession) -> OcpiSession:
    return check(stored.session, OcpiSession)


def _change(
    stored: StoredSession | None, ids: OcpiObjectId, session: OcpiSession, station_name: StationName, *, priced: bool
) -> SessionUpdate:
    told = stored.told if stored else ()
    session = msgspec.structs.replace(session, charging_periods=_ordered(session.charging_periods or []))
    if stored and (dropped := _dropped(_known(stored), session)):
        return SessionUpdate(stored=stored, events=[], dropped=dropped)
    about = {
        "session_id": ids.text,
        "token": session.cdr_token.contract_id,
        "station": station_name(session.location_id, session.evse_uid),
    }
    facts = () if "session.ended" in told else _facts(session, priced=priced)
    news = {kind: data for kind, data in facts if kind not in told}
    return SessionUpdate(
        stored=StoredSession(
            session=plain(session), last_updated=to_instant(session.last_updated), told=(*told, *news)
        ),
        events=[make_event(kind, "session", ids, session.last_updated, about | data) for kind, data in news.items()],
    )


def _dropped(known: OcpiSession, session: OcpiSession) -> Literal["stale", "repeat"] | None:
    """Why an update is older than what we know, or says the same.

    Peers count in whole seconds, so within one instant the further status is the newer: a session that ends in the
    second of its last reading must not lose its end. Else whatever comes later within that instant counts.
    """
    before, now = ((each.last_updated, _PROGRESS[each.status]) for each in (known, session))
    if now < before:
        return "stale"
    return "repeat" if session == known else None


def _ordered(periods: Iterable[ChargingPeriod]) -> list[ChargingPeriod]:
    """The newest periods in the order of time, one for each start: some peers PATCH again those that we have."""
    by_start = {period.start_date_time: period for period in periods}
    return [by_start[start] for start in sorted(by_start)][-MAX_PERIODS:]


def _facts(session: OcpiSession, *, priced: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    """Everything that this state of a session says has happened, whether told before or not."""
    if session.status == "ACTIVE":
        yield "session.started", {"started_at": str(session.start_date_time)}
        if since := _complete_since(session):
            total = session.total_cost.due if session.total_cost and priced else None
            cost = {} if total is None or total < 0 else {"cost": money(total, session.currency)}
            facts = {"kind": _why_complete(session), "energy_kwh": session.kwh, "completed_at": str(since)}
            yield "charging.complete", facts | cost
    elif session.status in ("COMPLETED", "INVALID"):
        ended = session.end_date_time or session.last_updated
        yield "session.ended", {"energy_kwh": session.kwh, "ended_at": str(ended)}


def _why_complete(session: OcpiSession) -> str:
    """`full` where the battery's newest level says so. A car that parks at 45 %, or at who knows what, may have had
    a limit, or a station that gave up."""
    for period in reversed(session.charging_periods or []):
        for each in period.dimensions:
            if each.type == "STATE_OF_CHARGE":
                return "full" if each.volume >= FULL else "ended"
    return "ended"


def _complete_since(session: OcpiSession) -> Timestamp | None:
    """When the car stopped to charge: the start of the parking that the session has come to, after some energy."""
    since = None
    for period in reversed(session.charging_periods or []):
        if not period.parks:
            break
        since = period.start_date_time
    return since if session.kwh > 0 else None
