"""Dead letters: deliveries that failed or came back, quarantined events and paused campaigns, that nobody has handled.

Each kind is read in the order of its own index, newest first, and only as far as a page goes: `schema` says why the
conditions are text.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from functools import cache
from typing import Any, Literal

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.campaigns import CampaignState
from notifier.domain.deliveries import DEAD, Channel, HeldChannel, Lane, Reason, State
from notifier.domain.events import BLANK
from notifier.domain.ids import NOTHING, dated, instant_of, is_id, make_id
from notifier.domain.keys import UNBOUND, Bounds
from notifier.store.core import rows
from notifier.store.core.buckets import in_each, over, total
from notifier.store.core.database import Database
from notifier.store.core.effects import campaign
from notifier.store.core.schema import IS_DEAD, QUARANTINED, delivery, event, open_delivery, open_event, plan
from notifier.store.core.status import status, status_of
from notifier.store.delivery import campaigns, deliveries, events, late, outcomes
from notifier.store.delivery.deliveries import NewDelivery
from notifier.store.delivery.outcomes import Outcome
from notifier.store.reading import tries
from notifier.store.reading.bounded import covered
from notifier.store.reading.tries import AttemptRecord

PAUSES = (Reason.COMPLAINTS, Reason.BOUNCES)
"""Why campaigns are paused."""


class DeadLetterFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Criteria for dead letters; None matches any. An event has no channel."""

    type: str | None = None
    channel: Channel | None = None
    reason: str | None = None


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the list of dead letters. `type` is an event's own type or a delivery's notification type; `at` when it
    died."""

    kind: Literal["delivery", "event"]
    id: str
    type: str
    channel: HeldChannel | None
    state: str
    reason: str | None
    at: int
    attempts: int
    event_id: str


class DeadLetterDetails(DeadLetter, frozen=True, kw_only=True):
    """All details of a dead letter, handled or not. `code` is the receipt's."""

    recipient_id: str | None
    code: str | None
    created_at: int
    expires_at: int | None
    crashes: int
    handled_at: int | None
    redrive_of: str | None
    redriven_as: str | None = None
    event_type: str
    source: str
    source_id: str
    subject: str | None
    occurred_at: int
    accepted_at: int
    tried: list[AttemptRecord] = []


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


def successor_id(id_: str) -> str:
    """The id of the delivery that replaces a dead one: always the same, so there is at most one, however often it is
    redriven."""
    return dated(make_id("redrive", id_), instant_of(id_)) if is_id(id_) else NOTHING


async def find(
    database: Database,
    wanted: DeadLetterFilter,
    before: tuple[int, str] | None,
    limit: int,
    bounds: Bounds = UNBOUND,
) -> list[DeadLetter]:
    """A page of the dead letters within the bounds, newest first; `before` is the time and id of the last one on the
    page before."""
    found = await in_each(database, lambda bucket: _find(bucket, wanted, before, limit, bounds))
    return found[0] if len(found) == 1 else _newest(found, limit)


def _newest(found: Sequence[list[DeadLetter]], limit: int) -> list[DeadLetter]:
    """The first dead letters of pages of several buckets; an event that was put aside in several is one."""
    once: dict[str, DeadLetter] = {}
    for letter in sorted((letter for page in found for letter in page), key=lambda letter: (letter.at, letter.id)):
        once[letter.id] = letter
    return sorted(once.values(), key=lambda letter: (letter.at, letter.id), reverse=True)[:limit]


async def _find(
    database: Database, wanted: DeadLetterFilter, before: tuple[int, str] | None, limit: int, bounds: Bounds
) -> list[DeadLetter]:
    async def work(connection: AsyncConnection) -> list[DeadLetter]:
        parts = [
            query.where(*_earlier(died, id_, before)).order_by(died.desc(), id_.desc()).limit(limit).subquery()
            for query, died, id_ in _parts(wanted, bounds)
        ]
        merged = sa.union_all(*(sa.select(part) for part in parts)).subquery()
        page = sa.select(merged).order_by(merged.c.at.desc(), merged.c.id.desc()).limit(limit)
        found = await connection.execute(page)
        return [rows.read(row, DeadLetter) for row in found]

    return await database.read(work)


@over(total)
async def count(database: Database, wanted: DeadLetterFilter) -> int:
    """Count the dead letters."""

    async def work(connection: AsyncConnection) -> int:
        parts = [
            sa.select(sa.func.count()).select_from(query.subquery()).scalar_subquery()
            for query, _, _ in _parts(wanted, UNBOUND)
        ]
        return int((await connection.execute(sa.select(sum(parts, start=sa.literal(0))))).scalar_one())

    return await database.read(work)


def _open_first(found: Sequence[DeadLetterDetails | None]) -> DeadLetterDetails | None:
    """A dead letter; of an event that was put aside in several buckets as one has it where nobody has handled it."""
    there = [letter for letter in found if letter is not None]
    return min(there, key=lambda letter: letter.handled_at or 0, default=None)


@over(_open_first)
async def get(database: Database, id_: str, bounds: Bounds = UNBOUND) -> DeadLetterDetails | None:
    """One dead letter with its attempts, handled or not; None where there is none with this id within the bounds."""

    async def work(connection: AsyncConnection) -> DeadLetterDetails | None:
        for query in (_delivery_letter, _event_letter, _campaign_letter):
            row = (await connection.execute(query, {"id": id_})).first()
            if row is not None:
                letter = rows.read(row, DeadLetterDetails)
                if not bounds.cover(letter.source, letter.event_type):
                    return None
                tried, redriven_as = await history(connection, database.dialect, id_)
                return msgspec.structs.replace(letter, tried=tried, redriven_as=redriven_as)
        return None

    return await database.read(work)


async def history(connection: AsyncConnection, dialect: str, id_: str) -> tuple[list[AttemptRecord], str | None]:
    """A delivery's attempts in order, and the delivery that replaced it."""
    tried = await tries.read(connection, dialect, [id_])
    return tried[id_], await connection.scalar(_successor, {"id": successor_id(id_)})


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


def _parts(wanted: DeadLetterFilter, bounds: Bounds) -> list[tuple[sa.Select[Any], sa.Column[int], sa.Column[str]]]:
    """The lines of each source of dead letters that a filter and bounds leave, with when they died and their ids: the
    order of an index."""
    columns = {"type": delivery.c.type, "channel": open_delivery.c.channel, "reason": open_delivery.c.reason}
    given = {name: getattr(wanted, name) for name in columns}
    narrowed = [columns[name] == value for name, value in given.items() if value is not None]
    died, id_ = open_delivery.c.updated_at, open_delivery.c.id
    dead = _deliveries.where(sa.text(IS_DEAD), *narrowed)
    own = covered(bounds)
    if own:
        dead = dead.join(event, event.c.id == delivery.c.event_id).where(*own)
    parts = [(dead.where(open_delivery.c.state == state), died, id_) for state in DEAD]
    if wanted.channel is None and wanted.reason in (None, "quarantined"):
        of_type = [] if wanted.type is None else [event.c.type == wanted.type]
        parts.append(
            (_events.where(sa.text(QUARANTINED), *of_type, *own), open_event.c.quarantined_at, open_event.c.id)
        )
    if wanted.channel is None and wanted.reason in (None, *PAUSES):
        of_type = [] if wanted.type is None else [event.c.type == wanted.type]
        why = [] if wanted.reason is None else [campaign.c.reason == wanted.reason]
        paused = _campaigns.where(campaign.c.state == CampaignState.PAUSED, *of_type, *why, *own)
        parts.append((paused, campaign.c.paused_at, campaign.c.event_id))
    return parts


_deliveries = (
    sa.select(
        sa.literal("delivery").label("kind"), open_delivery.c.id, delivery.c.type, open_delivery.c.channel,
        open_delivery.c.state, open_delivery.c.reason, open_delivery.c.updated_at.label("at"),
        open_delivery.c.attempts, delivery.c.event_id,
    )
    .select_from(open_delivery.join(delivery, delivery.c.id == open_delivery.c.id))
)  # fmt: skip
_events = sa.select(
    sa.literal("event").label("kind"), open_event.c.id, event.c.type, sa.null().label("channel"),
    sa.literal("quarantined").label("state"), sa.literal("quarantined").label("reason"),
    open_event.c.quarantined_at.label("at"), open_event.c.tries.label("attempts"), open_event.c.id.label("event_id"),
).select_from(open_event.join(event, event.c.id == open_event.c.id))  # fmt: skip


_campaigns = sa.select(
    sa.literal("event").label("kind"), campaign.c.event_id.label("id"), event.c.type, sa.null().label("channel"),
    sa.literal("paused").label("state"), campaign.c.reason, campaign.c.paused_at.label("at"),
    sa.literal(0).label("attempts"), campaign.c.event_id,
).select_from(campaign.join(event, event.c.id == campaign.c.event_id))  # fmt: skip


def _earlier(died: sa.Column[int], id_: sa.Column[str], before: tuple[int, str] | None) -> list[sa.ColumnElement[bool]]:
    if before is None:
        return []
    at, last = before
    return [died <= at, sa.or_(died < at, id_ < last)]


_OF_EVENT = (
    event.c.type.label("event_type"), event.c.source, event.c.source_id, event.c.subject, event.c.occurred_at,
    event.c.accepted_at,
)  # fmt: skip


_delivery_letter = (
    sa.select(
        sa.literal("delivery").label("kind"),
        *(status.c[name] for name in ("id", "type", "channel", "state", "reason", "attempts", "event_id")),
        status.c.updated_at.label("at"),
        *(status.c[name] for name in ("recipient_id", "code", "created_at", "expires_at", "crashes")),
        *(status.c[name] for name in ("handled_at", "redrive_of")),
        *_OF_EVENT,
    )
    .join(event, event.c.id == status.c.event_id)
    .where(status.c.id == sa.bindparam("id"), status.c.state.in_(DEAD))
)
_LETTER = (
    event.c.accepted_at.label("created_at"),
    sa.literal(0).label("crashes"),
    *(sa.null().label(name) for name in ("recipient_id", "code", "expires_at", "redrive_of")),
    *_OF_EVENT,
)
_campaign_letter = _campaigns.add_columns(*_LETTER, campaign.c.handled_at).where(
    campaign.c.event_id == sa.bindparam("id"), campaign.c.paused_at.is_not(None)
)
_event_letter = _events.add_columns(*_LETTER, open_event.c.handled_at).where(
    open_event.c.id == sa.bindparam("id"), open_event.c.quarantined_at.is_not(None)
)
_successor = sa.select(delivery.c.id).where(delivery.c.id == sa.bindparam("id"))


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
