"""The events that a network reports along a charging session: its course, its receipt, and failures."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any, NamedTuple

from notifier.demo.acn import POWER_KW, ChargingSession, dice, in_hours
from notifier.demo.people import FLEETS, SITE, SITE_ID, checksum, token_of

SOURCE = "demo/pasadena"

# The demo's assumptions, for which there are no data. Money in US dollars.
PRICE_PER_KWH, FEE_PER_MINUTE, MAX_FEE = 0.22, 0.10, 10.0
GRACE = timedelta(minutes=60)  # a full car may stay so long before the idle fee starts
WARNING = timedelta(minutes=15)  # so long before that, the driver is warned
LINGER = timedelta(minutes=10)  # who leaves sooner after charging gets no message that charging is complete
PAUSE = timedelta(minutes=6)  # of charging that is interrupted and resumes
INTERRUPTED, RESUMED = 0.04, 0.6  # share of sessions; share of those
PAYMENT_FAILED = 0.04  # share of claimed sessions
FLEET = 0.1  # share of claimed sessions that are a fleet's vans
WEAK, OFFLINE = 8, 0.3  # one station in so many is weak; share of sessions there after which it is lost
BATTERY_KWH, NEEDED_PERCENT, VANS = 75, 80, 9  # of a fleet

DriverOf = Callable[[ChargingSession], str]
"""The recipient id of a claimed session's driver."""

REASONS = ("station_fault", "power_outage", "vehicle_stopped", "other")
MINUTE = timedelta(minutes=1)


class TimedEvent(NamedTuple):
    """An event and when it is to be sent; sorts by time."""

    at: datetime
    type: str
    id: str
    source: str
    subject: str
    data: dict[str, Any]


def events(session: ChargingSession, driver_of: DriverOf) -> list[TimedEvent]:
    """Return a session's events in the order of time; the same for the same session and driver.

    A session that nobody claimed names a token that nobody has.
    """
    chance = dice(session.id)
    driver = driver_of(session) if session.claimed else None
    course = list(_course(session, _named(session, driver), chance))
    told = course + list(_station(session, chance))
    if driver is not None:
        told += [*_payment(course[-1], driver, chance), *_fleet(session, chance)]
    return sorted(told)


def _named(session: ChargingSession, driver: str | None) -> dict[str, str]:
    """How events name the driver: of one in four, the network knows only the token."""
    if driver is None:
        return {"token": f"US-XXX-C{checksum(session.id):010}"}
    return {"driver_id": driver} if checksum(driver) % 4 else {"token": token_of(driver)}


def _course(session: ChargingSession, named: dict[str, str], chance: Random) -> Iterator[TimedEvent]:
    """Return the events from arrival to receipt, the receipt last. Charging starts at once and runs at full power."""

    def event(at: datetime, type_: str, **data: Any) -> TimedEvent:
        about = {"session_id": session.id, "station": session.station} | named
        return _event(at, type_, f"session/{session.id}", about | data)

    arrival, departure, energy = session.arrival, session.departure, session.delivered_kwh
    yield event(arrival, "session.started", started_at=arrival, power_kw=POWER_KW, price_per_kwh=_usd(PRICE_PER_KWH))

    full = min(arrival + in_hours(energy / POWER_KW), departure)
    completes = departure - full >= LINGER
    if completes and chance.random() < INTERRUPTED:
        completes = chance.random() < RESUMED
        share = chance.uniform(0.2, 0.8) if completes else 1.0
        stopped = (arrival + (full - arrival) * share).replace(microsecond=0)
        facts = {"reason": chance.choice(REASONS), "energy_kwh": round(energy * share, 3)}
        yield event(stopped, "charging.interrupted", stopped_at=stopped, **facts)
        if completes:
            yield event(stopped + PAUSE, "charging.resumed")
            full += PAUSE

    price, fee, fee_from = energy * PRICE_PER_KWH, 0.0, full + GRACE
    if completes:
        facts = {"kind": "limit_reached" if energy >= session.requested_kwh else "full", "energy_kwh": energy}
        yield event(full, "charging.complete", completed_at=full, idle_fee_from=fee_from, cost=_usd(price), **facts)
        fee = min(max((departure - fee_from) / MINUTE, 0.0) * FEE_PER_MINUTE, MAX_FEE)
        if departure > fee_from - WARNING:
            fees = {"fee_per_minute": _usd(FEE_PER_MINUTE), "max_fee": _usd(MAX_FEE)}
            yield event(fee_from - WARNING, "idle.warning", idle_fee_from=fee_from, **fees)
    yield event(departure, "session.ended", ended_at=departure, energy_kwh=energy)

    times = {"started_at": arrival, "ended_at": departure, "duration_min": round((departure - arrival) / MINUTE)}
    bill = {"energy_kwh": energy, "total": _usd(price + fee)} | ({"idle_fee": _usd(fee)} if fee else {})
    billed = departure + chance.randrange(1, 5) * MINUTE
    yield event(billed, "session.receipt", cdr_id=f"CDR-{session.id}", **times, **bill)


def _payment(receipt: TimedEvent, driver: str, chance: Random) -> Iterator[TimedEvent]:
    """Return the events of a failed payment, in some sessions; a day later it succeeds, or the account is blocked."""
    if chance.random() >= PAYMENT_FAILED:
        return
    subject, again = f"account/{driver}", receipt.at + timedelta(days=1)
    about = {"account_id": driver, "driver_id": driver}
    owed = about | {"amount": receipt.data["total"], "payment_method": "Visa •••• 4242"}
    first = {"attempt": 1, "next_attempt_at": again, "blocked": False}
    yield _event(receipt.at + MINUTE, "payment.failed", subject, owed | first)
    if chance.random() < 0.5:
        yield _event(again, "payment.succeeded", subject, about)
    else:
        yield _event(again, "payment.failed", subject, owed | {"attempt": 2, "blocked": True})


def _station(session: ChargingSession, chance: Random) -> Iterator[TimedEvent]:
    """Return the events of a weak station that goes offline after some sessions, and comes back."""
    if checksum(session.station) % WEAK or chance.random() >= OFFLINE:
        return
    subject, since = f"station/{session.station}", session.departure + 2 * MINUTE
    about = {"site_id": SITE_ID, "site": SITE, "station_id": session.station, "station": session.station}
    lost = {"since": since, "connectors": 1, "error_code": "PowerLoss"}
    yield _event(since + 5 * MINUTE, "station.offline", subject, about | lost)
    back = since + chance.randrange(20, 120) * MINUTE
    away = {"online_since": back, "offline_min": round((back - since) / MINUTE)}
    yield _event(back, "station.online", subject, about | away)


def _fleet(session: ChargingSession, chance: Random) -> Iterator[TimedEvent]:
    """An hour before a van is planned to leave, it is told where too little of what it asked for has been charged."""
    departure = session.estimated_departure
    at = departure - timedelta(hours=1)
    if chance.random() >= FLEET or not session.arrival < at < session.departure:
        return
    charged = min(session.delivered_kwh, (at - session.arrival) / timedelta(hours=1) * POWER_KW)
    missing = session.requested_kwh - charged
    if missing < POWER_KW:  # an hour is enough for the rest
        return
    number = chance.randrange(VANS)
    fleet, vehicle = FLEETS[number % len(FLEETS)], f"van-{number + 1}"
    slowly = charged < session.delivered_kwh
    data = {
        "fleet_id": fleet,
        "vehicle_id": vehicle,
        "vehicle": f"Van {number + 1}",
        "departure": departure,
        "charge_percent": round(max(1.0, NEEDED_PERCENT - missing / BATTERY_KWH * 100), 1),
        "needed_percent": NEEDED_PERCENT,
        "reason": "charging_slowly" if slowly else "charging_stopped",
        "depot": SITE,
    }
    ready = {"ready_at": at + in_hours(missing / POWER_KW)} if slowly else {}
    yield _event(at, "vehicle.not_ready", f"vehicle/{vehicle}", data | ready)


def _event(at: datetime, type_: str, subject: str, data: dict[str, Any]) -> TimedEvent:
    """The event, its times written in ISO 8601 and its id made of what it is about and when."""
    written = {
        name: value.isoformat(timespec="seconds") if isinstance(value, datetime) else value
        for name, value in data.items()
    }
    return TimedEvent(at, type_, f"{subject}/{type_}/{at:%Y%m%dT%H%M%SZ}", SOURCE, subject, written)


def _usd(amount: float) -> dict[str, Any]:
    return {"amount": round(amount, 2), "currency": "USD"}
