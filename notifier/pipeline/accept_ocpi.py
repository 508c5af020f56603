"""Accept OCPI pushes from peers: sessions and CDRs become events, in one transaction with the stored session."""

from collections.abc import Callable

import msgspec

from notifier.domain.cloudevents import CheckedEvent, EventReader
from notifier.domain.errors import Problem
from notifier.domain.trace_context import TraceContext
from notifier.ocpi import cdrs
from notifier.ocpi.events import OcpiEvent, OcpiObjectId
from notifier.ocpi.objects import Cdr, OcpiInvalid, check, read
from notifier.ocpi.sessions import SessionUpdate, StoredSession
from notifier.pipeline.accept import Accepted, Intake, new_event
from notifier.pipeline.engine import LATER_AGAIN, SIGNAL_AGAIN, Engine
from notifier.runtime.tracing import current
from notifier.store.delivery import sessions
from notifier.store.delivery.events import NewEvent

Whose = Callable[[str, str], bool]
"""A test of a party: its country code and its id."""

SessionStep = Callable[[StoredSession | None, OcpiObjectId, bytes], SessionUpdate]


async def accept_session(
    engine: Engine,
    reader: EventReader,
    intake: Intake,
    ids: OcpiObjectId,
    body: bytes,
    step: SessionStep,
    lane: str = "",
) -> str | None:
    """Accept a session's PUT or PATCH (`step` is `ocpi.sessions.put` or `.patch`); returns why it was dropped, None
    where it wasn't. Lanes, such as peers' keys, take turns as in `Intake.accept`.

    Raises OcpiInvalid, UnknownSession or StoreUnavailable, and then nothing has changed.
    """
    now, request = engine.clock.now(), current.get()
    trace = None if request is None else request.context
    changes: list[SessionUpdate] = []
    new: list[NewEvent] = []

    def take(stored: StoredSession | None) -> tuple[StoredSession, list[NewEvent]]:
        change = step(stored, ids, body)
        changes[:] = [change]
        new[:] = [new_event(_checked(reader, event, trace), now, again) for event in change.events]
        return change.stored, new

    name = ids.checked().text
    there = engine.of(name)
    later = await intake.comes_later(there, lane)
    again = LATER_AGAIN if later else SIGNAL_AGAIN
    stored = await sessions.update(there.database, name, take, now)
    types = {stored[event.id].id: event.type for event in new}
    intake.signal(there, types, types if later else ())
    return changes[0].dropped


async def accept_cdr(
    reader: EventReader, intake: Intake, body: bytes, speaks_for: Whose, priced: Whose, lane: str = ""
) -> Accepted | str:
    """Accept a CDR of a party that the caller `speaks_for`; returns the event's answer, or why the CDR is no receipt.
    For parties that are `priced`, the price paid to them is the driver's price.

    Raises OcpiInvalid, Problem or StoreUnavailable.
    """
    cdr = check(read(body), Cdr)
    if not speaks_for(cdr.country_code, cdr.party_id):
        raise OcpiInvalid("/party_id", "the key is for other parties than this CDR's")
    drivers = priced(cdr.country_code, cdr.party_id)
    event = cdrs.withdrawal(cdr) or cdrs.post(cdr, priced=drivers)
    why = cdrs.why_not(cdr, priced=drivers)
    if event is None:
        return why or ""
    (answer,) = await intake.accept([_checked(reader, event)], lane)
    if isinstance(answer, Problem):
        raise answer
    return f"{why}; the one before is stopped if it has not gone out" if why else answer


def _checked(reader: EventReader, event: OcpiEvent, trace: TraceContext | None = None) -> CheckedEvent:
    made = reader.made(event.type, event.source, event.id, event.subject, event.time, event.data)
    return made if trace is None else msgspec.structs.replace(made, trace=trace)
