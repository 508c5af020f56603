"""Dead letters: deliveries that failed or came back, and quarantined events, that nobody has handled.

Each kind is read in the order of its own index, newest first, and only as far as a page goes: `schema` says why the
conditions are text.
"""

from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.deliveries import Channel, Lane, State, make_id
from notifier.store.core import rows
from notifier.store.core.database import Database
from notifier.store.core.schema import DEAD, QUARANTINED, attempt, delivery, event
from notifier.store.delivery.deliveries import NewDelivery

DEAD_STATES = (State.FAILED, State.UNDELIVERED)

_Condition = sa.ColumnElement[bool] | sa.TextClause


class DeadLetterFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Criteria for dead letters; None matches any. A quarantined event has no channel."""

    type: str | None = None
    channel: Channel | None = None
    reason: str | None = None


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the list of dead letters. `type` is an event's own type or a delivery's notification type; `at` when it
    died."""

    kind: Literal["delivery", "event"]
    id: str
    type: str
    channel: Channel | None
    state: str
    reason: str | None
    at: int
    attempts: int
    event_id: str


class AttemptRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt at a provider."""

    number: int
    started_at: int
    ended_at: int
    provider: str
    outcome: str
    code: str | None


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
    channel: Channel
    target: str
    lane: Lane
    about: str
    state: State
    digest_id: str | None
    handled_at: int | None


class CandidateEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event to be redriven or discarded."""

    id: str
    quarantined_at: int | None
    handled_at: int | None


class Redriven(NewDelivery, frozen=True, kw_only=True):
    """A delivery that replaces a dead one."""

    redrive_of: str


def successor_id(id_: str) -> str:
    """The id of the delivery that replaces a dead one: always the same, so there is at most one, however often it is
    redriven."""
    return make_id("redrive", id_)


async def find(
    database: Database, wanted: DeadLetterFilter, before: tuple[int, str] | None, limit: int
) -> list[DeadLetter]:
    """A page of dead letters, newest first; `before` is the time and id of the last one on the page before."""

    async def work(connection: AsyncConnection) -> list[DeadLetter]:
        parts = [
            sa.select(*_line(table))
            .where(*conditions, *_earlier(table, before))
            .order_by(_died(table).desc(), table.c.id.desc())
            .limit(limit)
            .subquery()
            for table, conditions in _parts(wanted)
        ]
        merged = sa.union_all(*(sa.select(part) for part in parts)).subquery()
        page = sa.select(merged).order_by(merged.c.at.desc(), merged.c.id.desc()).limit(limit)
        found = await connection.execute(page)
        return [rows.read(row, DeadLetter) for row in found]

    return await database.read(work)


async def count(database: Database, wanted: DeadLetterFilter) -> int:
    """Count the dead letters."""

    async def work(connection: AsyncConnection) -> int:
        parts = [
            sa.select(sa.func.count()).select_from(table).where(*conditions).scalar_subquery()
            for table, conditions in _parts(wanted)
        ]
        return int((await connection.execute(sa.select(sum(parts, start=sa.literal(0))))).scalar_one())

    return await database.read(work)


async def get(database: Database, id_: str) -> DeadLetterDetails | None:
    """One dead letter with its attempts, handled or not; None where there is none with this id."""

    async def work(connection: AsyncConnection) -> DeadLetterDetails | None:
        for query in (_delivery_letter, _event_letter):
            row = (await connection.execute(query, {"id": id_})).first()
            if row is not None:
                letter = rows.read(row, DeadLetterDetails)
                tried, redriven_as = await history(connection, id_)
                return msgspec.structs.replace(letter, tried=tried, redriven_as=redriven_as)
        return None

    return await database.read(work)


async def history(connection: AsyncConnection, id_: str) -> tuple[list[AttemptRecord], str | None]:
    """A delivery's attempts in order, and the delivery that replaced it."""
    tried = await connection.execute(_tried, {"id": id_})
    return (
        [rows.read(each, AttemptRecord, strict=True) for each in tried],
        await connection.scalar(_successor, {"id": successor_id(id_)}),
    )


async def take(connection: AsyncConnection, dialect: str, ids: Sequence[str]) -> dict[str, Candidate | CandidateEvent]:
    """Lock the deliveries and events with these ids until the transaction ends."""
    parameters = {"rows": rows.ids(ids)}
    found: dict[str, Candidate | CandidateEvent] = {}
    for table, kind in ((delivery, Candidate), (event, CandidateEvent)):
        taken = await connection.execute(_locked(dialect, table, kind.__struct_fields__), parameters)
        found |= {row.id: rows.read(row, kind) for row in taken}
    return found


async def redrive(connection: AsyncConnection, dialect: str, new: Sequence[Redriven], now: int) -> None:
    """Write the new deliveries, count them into their events' plans, and mark the dead ones as handled."""
    if not new:
        return
    await connection.execute(_insert(dialect), {"rows": rows.encode(new)})
    more = [{"id": id_, "deliveries": count} for id_, count in Counter(each.event_id for each in new).items()]
    await connection.execute(_plan_more(dialect), {"rows": rows.encode(more)})
    handled = rows.ids(each.redrive_of for each in new)
    await connection.execute(_handle(dialect, delivery), {"rows": handled, "now": now})


async def release(connection: AsyncConnection, dialect: str, events: Sequence[str], signal_at: int) -> None:
    """Release quarantined events, to be decided after all."""
    if events:
        await connection.execute(_release(dialect), {"rows": rows.ids(events), "signal_at": signal_at})


async def discard(
    connection: AsyncConnection, dialect: str, letters: Sequence[Candidate | CandidateEvent], now: int
) -> None:
    """Mark dead letters as handled, without any other change."""
    for table, kind in ((delivery, Candidate), (event, CandidateEvent)):
        ids = [letter.id for letter in letters if isinstance(letter, kind)]
        if ids:
            await connection.execute(_handle(dialect, table), {"rows": rows.ids(ids), "now": now})


def _parts(wanted: DeadLetterFilter) -> list[tuple[sa.Table, list[_Condition]]]:
    """The sources of dead letters that a filter leaves, each with its conditions."""
    given = {name: value for name, value in msgspec.structs.asdict(wanted).items() if value is not None}
    narrowed = [delivery.c[name] == value for name, value in given.items()]
    parts: list[tuple[sa.Table, list[_Condition]]] = [
        (delivery, [sa.text(DEAD), delivery.c.state == state, *narrowed]) for state in DEAD_STATES
    ]
    if wanted.channel is None and wanted.reason in (None, "quarantined"):
        of_type = [] if wanted.type is None else [event.c.type == wanted.type]
        parts.append((event, [sa.text(QUARANTINED), *of_type]))
    return parts


def _died(table: sa.Table) -> sa.Column[int]:
    return table.c.quarantined_at if table is event else table.c.updated_at


def _earlier(table: sa.Table, before: tuple[int, str] | None) -> list[sa.ColumnElement[bool]]:
    if before is None:
        return []
    died = _died(table)
    at, id_ = before
    return [died <= at, sa.or_(died < at, table.c.id < id_)]


def _line(table: sa.Table) -> list[sa.ColumnElement[Any]]:
    if table is event:
        return [
            sa.literal("event").label("kind"), event.c.id, event.c.type, sa.null().label("channel"),
            sa.literal("quarantined").label("state"), sa.literal("quarantined").label("reason"),
            event.c.quarantined_at.label("at"), event.c.tries.label("attempts"), event.c.id.label("event_id"),
        ]  # fmt: skip
    return [
        sa.literal("delivery").label("kind"), delivery.c.id, delivery.c.type, delivery.c.channel, delivery.c.state,
        delivery.c.reason, delivery.c.updated_at.label("at"), delivery.c.attempts, delivery.c.event_id,
    ]  # fmt: skip


_OF_EVENT = (
    event.c.type.label("event_type"), event.c.source, event.c.source_id, event.c.subject, event.c.occurred_at,
    event.c.accepted_at,
)  # fmt: skip


_delivery_letter = (
    sa.select(
        *_line(delivery),
        *(delivery.c[name] for name in ("recipient_id", "code", "created_at", "expires_at", "crashes")),
        *(delivery.c[name] for name in ("handled_at", "redrive_of")),
        *_OF_EVENT,
    )
    .join(event, event.c.id == delivery.c.event_id)
    .where(delivery.c.id == sa.bindparam("id"), delivery.c.state.in_(DEAD_STATES))
)
_event_letter = sa.select(
    *_line(event),
    event.c.accepted_at.label("created_at"),
    sa.literal(0).label("crashes"),
    event.c.handled_at,
    *(sa.null().label(name) for name in ("recipient_id", "code", "expires_at", "redrive_of")),
    *_OF_EVENT,
).where(event.c.id == sa.bindparam("id"), event.c.quarantined_at.is_not(None))
_successor = sa.select(delivery.c.id).where(delivery.c.id == sa.bindparam("id"))
_tried = (
    sa.select(*(attempt.c[name] for name in AttemptRecord.__struct_fields__))
    .where(attempt.c.delivery_id == sa.bindparam("id"))
    .order_by(attempt.c.number)
)


@cache
def _locked(dialect: str, table: sa.Table, names: tuple[str, ...]) -> sa.Select[Any]:
    return rows.locked(dialect, [table.c[name] for name in names])


@cache
def _insert(dialect: str) -> sa.Insert:
    return rows.insert(dialect, delivery, [delivery.c[name] for name in Redriven.__struct_fields__])


@cache
def _plan_more(dialect: str) -> sa.Update:
    more = rows.batch(dialect, [event.c.id, event.c.deliveries])
    return sa.update(event).where(event.c.id == more.c.id).values(deliveries=event.c.deliveries + more.c.deliveries)


@cache
def _release(dialect: str) -> sa.Update:
    wanted = rows.batch(dialect, [event.c.id])
    return (
        sa.update(event)
        .where(event.c.id == wanted.c.id)
        .values(quarantined_at=None, tries=0, signal_at=sa.bindparam("signal_at"))
    )


@cache
def _handle(dialect: str, table: sa.Table) -> sa.Update:
    wanted = rows.batch(dialect, [table.c.id])
    return sa.update(table).where(table.c.id == wanted.c.id).values(handled_at=sa.bindparam("now"))
