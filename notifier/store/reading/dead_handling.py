"""Handling dead letters: they are locked, replaced, released or put away, in the caller's transaction."""

from collections import Counter
from collections.abc import Collection, Sequence
from functools import cache
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.campaigns import CampaignState
from notifier.domain.deliveries import HeldChannel, Lane, State
from notifier.domain.events import BLANK
from notifier.domain.keys import UNBOUND, Bounds
from notifier.store.core import rows
from notifier.store.core.effects import campaign
from notifier.store.core.schema import delivery, event, open_event, plan
from notifier.store.core.status import status_of
from notifier.store.delivery import campaigns, deliveries, events, late, outcomes
from notifier.store.delivery.deliveries import NewDelivery
from notifier.store.delivery.outcomes import Outcome
from notifier.store.reading.bounded import covered


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery to be redriven or discarded."""

    id: str
    event_id: str
    recipient_id: str
    type: str
    channel: HeldChannel
    target: str
    lane: Lane
    subject_key: str
    state: State
    reason: str | None
    code: str | None
    created_at: int
    updated_at: int
    attempts: int
    crashes: int
    provider: str | None
    provider_reference: str | None
    digest_id: str | None
    handled_at: int | None


class CandidateEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event to be redriven or discarded: one that was put aside, or a paused campaign."""

    id: str
    put_aside_at: int | None
    handled_at: int | None
    is_campaign: bool = False


async def within(connection: AsyncConnection, dialect: str, ids: Sequence[str], bounds: Bounds) -> Sequence[str]:
    """Those of some ids, in order, whose events are within the bounds."""
    if bounds == UNBOUND:
        return ids
    wanted = rows.batch(dialect, [event.c.id])
    theirs = rows.lookup(wanted, delivery, delivery.c.id == wanted.c.id)
    of_deliveries = sa.select(wanted.c.id).select_from(rows.lookup(theirs, event, event.c.id == delivery.c.event_id))
    of_events = sa.select(wanted.c.id).select_from(rows.lookup(wanted, event, event.c.id == wanted.c.id))
    known: set[str] = set()
    for query in (of_deliveries, of_events):
        found = await connection.execute(query.where(*covered(bounds)), {"rows": rows.ids(sorted(ids))})
        known.update(found.scalars())
    return [id_ for id_ in ids if id_ in known]


async def take(connection: AsyncConnection, dialect: str, ids: Sequence[str]) -> dict[str, Candidate | CandidateEvent]:
    """Lock the deliveries and events with these ids until the transaction ends."""
    parameters = {"rows": rows.ids(sorted(ids))}
    await late.lock(connection, dialect, ids)
    found: dict[str, Candidate | CandidateEvent] = {
        row.id: rows.read(row, Candidate)
        for row in await connection.execute(status_of(dialect, Candidate.__struct_fields__), parameters)
    }
    taken = await connection.execute(_locked_events(dialect), parameters)
    found |= {row.id: rows.read(row, CandidateEvent) for row in taken}
    for row in await connection.execute(_locked_campaigns(dialect), parameters):
        known = found.get(row.id)
        if not isinstance(known, CandidateEvent) or known.put_aside_at is None:
            found[row.id] = rows.read(row, CandidateEvent)
    others = rows.ids(id_ for id_ in ids if id_ not in found)
    for row in await connection.execute(_decided(dialect), {"rows": others}):
        found[row.event_id] = CandidateEvent(id=row.event_id, put_aside_at=None, handled_at=None)
    return found


async def blank(connection: AsyncConnection, dialect: str, events: Collection[str]) -> set[str]:
    """Those of some events whose data are no longer kept, so that no message can be made of them."""
    if not events:
        return set()
    return set((await connection.execute(_blank(dialect), {"rows": rows.ids(sorted(events))})).scalars())


async def redrive(
    connection: AsyncConnection, dialect: str, letters: Sequence[Candidate], new: Sequence[NewDelivery], now: int
) -> None:
    """Write the deliveries that replace dead ones, count them into their events' plans, and mark the dead ones as
    handled."""
    if not new:
        return
    await deliveries.add(connection, dialect, new)
    await events.plan_more(connection, dialect, Counter(each.event_id for each in new))
    await _handle(connection, dialect, letters, now)


async def release(connection: AsyncConnection, dialect: str, ids: Sequence[str], next_check_at: int) -> None:
    """Release quarantined events, to be decided after all."""
    if ids:
        await connection.execute(_release(dialect), {"rows": rows.ids(ids), "next_check_at": next_check_at})


async def discard(
    connection: AsyncConnection, dialect: str, letters: Sequence[Candidate | CandidateEvent], now: int
) -> None:
    """Mark dead letters as handled, without any other change."""
    await _handle(connection, dialect, [each for each in letters if isinstance(each, Candidate)], now)
    events_ = [letter for letter in letters if isinstance(letter, CandidateEvent)]
    ids = [letter.id for letter in events_ if not letter.is_campaign]
    if ids:
        await connection.execute(_handle_events(dialect), {"rows": rows.ids(ids), "now": now})
    paused = [letter.id for letter in events_ if letter.is_campaign]
    await campaigns.handle(connection, dialect, paused, CampaignState.ENDED, now)


async def _handle(connection: AsyncConnection, dialect: str, letters: Sequence[Candidate], now: int) -> None:
    """Write that a person has handled dead letters, which are over with that."""
    told = [
        Outcome(
            delivery_id=each.id, recipient_id=each.recipient_id, at=each.updated_at, state=each.state,
            reason=each.reason, code=each.code, attempts=each.attempts, crashes=each.crashes, provider=each.provider,
            provider_reference=each.provider_reference, handled_at=now,
        )
        for each in letters
    ]  # fmt: skip
    await outcomes.append_beside(connection, dialect, told)
    await outcomes.retire(connection, dialect, letters)


@cache
def _locked_events(dialect: str) -> sa.Select[Any]:
    wanted = rows.batch(dialect, [open_event.c.id])
    found = rows.lookup(wanted, open_event, open_event.c.id == wanted.c.id)
    columns = (open_event.c.id, open_event.c.quarantined_at.label("put_aside_at"), open_event.c.handled_at)
    query = sa.select(*columns).select_from(found)
    return rows.locking(query.order_by(open_event.c.id), dialect, open_event)


@cache
def _locked_campaigns(dialect: str) -> sa.Select[Any]:
    """Campaigns that are paused, or that a person has ended."""
    wanted = rows.batch(dialect, [event.c.id])
    found = rows.lookup(wanted, campaign, campaign.c.event_id == wanted.c.id)
    told = (campaign.c.event_id.label("id"), campaign.c.paused_at.label("put_aside_at"), campaign.c.handled_at)
    query = sa.select(*told, sa.literal(1).label("is_campaign")).select_from(found)
    waiting = campaign.c.state.in_((CampaignState.PAUSED, CampaignState.ENDED))
    return rows.locking(query.where(waiting).order_by(campaign.c.event_id), dialect, campaign)


@cache
def _decided(dialect: str) -> sa.Select[tuple[str]]:
    wanted = rows.batch(dialect, [event.c.id])
    return sa.select(plan.c.event_id).join(wanted, wanted.c.id == plan.c.event_id)


@cache
def _blank(dialect: str) -> sa.Select[Any]:
    wanted = rows.batch(dialect, [event.c.id])
    return sa.select(event.c.id).join(wanted, wanted.c.id == event.c.id).where(event.c.data == BLANK)


@cache
def _release(dialect: str) -> sa.Update:
    anew: dict[str, Any] = {"quarantined_at": None, "tries": 0, "next_check_at": sa.bindparam("next_check_at")}
    return rows.update(open_event, rows.batch(dialect, [open_event.c.id])).values(anew)


@cache
def _handle_events(dialect: str) -> sa.Update:
    return rows.update(open_event, rows.batch(dialect, [open_event.c.id])).values(handled_at=sa.bindparam("now"))
