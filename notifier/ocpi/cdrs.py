"""Charge detail records that a peer posts: the final bill of a session, and so the driver's receipt."""

from collections.abc import Mapping
from typing import Any

from notifier.ocpi.events import Ids, OcpiEvent, make_event, money
from notifier.ocpi.objects import Cdr, check, read

MINUTES_PER_HOUR = 60


def post(body: bytes | Mapping[str, Any] | Cdr) -> OcpiEvent | None:
    """The receipt that a CDR is (mod_cdrs, POST); None for a credit CDR, which takes a bill back and is none itself.

    Where the CDR names no session (its peer has no Sessions module, or it bills a reservation that nobody used), the
    receipt is about the CDR itself. Raises OcpiInvalid.
    """
    cdr = body if isinstance(body, Cdr) else check(read(body), Cdr)
    if cdr.credit:
        return None
    ids = Ids(cdr.country_code, cdr.party_id, cdr.id).checked()
    place, cost, idle = cdr.cdr_location, cdr.total_cost, cdr.total_parking_cost
    optional = {
        "address": ", ".join(filter(str.strip, (place.address, place.city))),
        "tax": money(cost.tax, cdr.currency) if cost.tax else None,
        "idle_fee": money(idle.total, cdr.currency) if idle and idle.total else None,
    }
    data = {
        "session_id": ids._replace(id=(cdr.session_id or cdr.id).upper()).text,
        "cdr_id": ids.text,
        "token": cdr.cdr_token.contract_id,
        "station": next(filter(str.strip, (place.name or "", place.address)), place.id),
        "started_at": str(cdr.start_date_time),
        "ended_at": str(cdr.end_date_time),
        "duration_min": round(cdr.total_time * MINUTES_PER_HOUR),
        "energy_kwh": cdr.total_energy,
        "total": money(cost.total, cdr.currency),
        **{name: value for name, value in optional.items() if value},
    }
    return make_event("session.receipt", "cdr", ids, cdr.last_updated, data)
