"""Charge detail records that a peer posts: the final bill of a session, and so the driver's receipt."""

from collections.abc import Mapping
from typing import Any

import msgspec

from notifier.domain.sayable import is_seen
from notifier.ocpi.events import OcpiEvent, OcpiObjectId, make_event, money
from notifier.ocpi.objects import Cdr, check, read

MINUTES_PER_HOUR = 60


def post(body: bytes | Mapping[str, Any] | Cdr, *, priced: bool = True) -> OcpiEvent | None:
    """The receipt event of a posted CDR (mod_cdrs, POST); None if `why_not` has a reason.

    `priced` says whether what this party is paid is what drivers pay. Where the CDR names no session (its peer has no
    Sessions module, or it bills a reservation that nobody used), the receipt is about the CDR itself. Raises
    OcpiInvalid.
    """
    cdr = body if isinstance(body, Cdr) else check(read(body), Cdr)
    total = cdr.total_cost.due
    if total is None or why_not(cdr, priced=priced):
        return None
    ids = _ids(cdr, cdr.id).checked()
    place, idle = cdr.cdr_location, cdr.total_parking_cost
    tax, idle_fee = cdr.total_cost.tax, idle and idle.due
    # Where even the city is blank, the party's name is shown: a location's id says nothing to a driver.
    station = next(filter(is_seen, (place.name or "", place.address, place.city)), None)
    optional = {
        "address": ", ".join(filter(is_seen, (place.address, place.city))),
        "tax": money(tax, cdr.currency) if tax else None,
        "idle_fee": money(idle_fee, cdr.currency) if idle_fee else None,
    }
    data = {
        "session_id": _about(cdr, cdr.id),
        "cdr_id": ids.text,
        "token": cdr.cdr_token.contract_id,
        "station": station or f"{ids.country_code}*{ids.party_id}",
        "started_at": str(cdr.start_date_time),
        "ended_at": str(cdr.end_date_time),
        "duration_min": round(cdr.total_time * MINUTES_PER_HOUR),
        "energy_kwh": cdr.total_energy,
        "total": money(total, cdr.currency),
        **{name: value for name, value in optional.items() if value},
    }
    return make_event("session.receipt", "cdr", ids, cdr.last_updated, data)


def why_not(cdr: Cdr, *, priced: bool) -> str | None:
    """Why a CDR brings its driver no receipt; None if it brings one."""
    total = cdr.total_cost.due
    if cdr.credit:
        return "no receipt: the CDR is a credit"
    if cdr.home_charging_compensation:
        return "no receipt: a home charging compensation is owed to the driver"
    if not priced:
        return f"no receipt: NOTIFIER_OCPI_DRIVER_PRICES doesn't name {cdr.country_code}*{cdr.party_id}"
    if total is None:
        return "no receipt: total_cost has no taxes, so the total is unknown"
    return "no receipt: the total is negative" if total < 0 else None


def withdrawal(cdr: Cdr) -> OcpiEvent | None:
    """The event by which a credit CDR takes back the receipt before, as long as that has not gone out; None for any
    other CDR, and for one that doesn't say what it takes back."""
    if not cdr.credit or not (cdr.session_id or cdr.credit_reference_id):
        return None
    data = {"session_id": _about(cdr, cdr.credit_reference_id or "")}
    event = make_event("receipt.withdrawn", "cdr", _ids(cdr, cdr.id).checked(), cdr.last_updated, data)
    # A corrected CDR may come in the same second; its receipt must not be superseded.
    return msgspec.structs.replace(event, time=event.time - 1)


def _ids(cdr: Cdr, id_: str) -> OcpiObjectId:
    return OcpiObjectId(cdr.country_code, cdr.party_id, id_)


def _about(cdr: Cdr, otherwise: str) -> str:
    """The session that a CDR is about, named as it is by its own events."""
    return OcpiObjectId(*(each.upper() for each in _ids(cdr, cdr.session_id or otherwise))).text
