"""Remove some rows of one part, in the caller's transaction: those that are over. `retention` finds them."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.events import BLANK
from notifier.domain.ids import DATE
from notifier.store.core import rows
from notifier.store.core.change_log import delivery_change
from notifier.store.core.effects import campaign
from notifier.store.core.schema import (
    charging_session,
    decision,
    delivery,
    delivery_note,
    earlier_delivery,
    event,
    identity,
    outcome,
    plan,
    preference_change,
)
from notifier.store.core.staff import audit
from notifier.store.core.stations import evse_status
from notifier.store.delivery import over
from notifier.store.people import inbound

TOGETHER: Final = 2_000
"""Decisions that one transaction removes: of one event a campaign makes a million."""
WIDE: Final = 10_000
"""Deliveries of an event that are looked at one by one, in some 50 ms; of more only those that are open."""


class Chunk(NamedTuple):
    """Rows whose turn it is, by their ids, which are older than an instant; `now` is the present one. Where `go` is
    False they are counted, and stay."""

    ids: Sequence[str]
    before: int
    now: int
    go: bool


class Acted(NamedTuple):
    """What became of a chunk: how many rows went, the ids of those that are still open, and whether that is all. If
    not, one transaction can't take more, and the same chunk is to be given again."""

    number: int
    open: frozenset[str] = frozenset()
    whole: bool = True


Act = Callable[[AsyncConnection, str, Chunk], Awaitable[Acted]]
"""Removes those of a chunk that are over."""


async def blank_events(connection: AsyncConnection, dialect: str, chunk: Chunk) -> Acted:
    """Take its data and its subject from each event that is over; the row stays."""
    open_, done, _ = await _events(connection, dialect, chunk)
    if chunk.go:
        return Acted(await _change(connection, _blank(dialect), event.c.id, done), open_)
    query = _count(dialect, event.c.id).where(event.c.data != BLANK)
    return Acted(await _number(connection, query, event.c.id, done), open_)


async def remove_decisions(connection: AsyncConnection, dialect: str, chunk: Chunk) -> Acted:
    """Remove the decisions about events that are over."""
    open_, done, _ = await _events(connection, dialect, chunk)
    if chunk.go:
        number, whole = await _remove_decisions(connection, dialect, done)
        return Acted(number, open_, whole)
    number = await _number(connection, _count(dialect, decision.c.event_id), decision.c.event_id, done)
    return Acted(number, open_)


async def remove_deliveries(connection: AsyncConnection, dialect: str, chunk: Chunk) -> Acted:
    """Remove deliveries that are over, with their outcomes and what people did with them.

    They are locked first, as receipts do: one that comes late finds its delivery as it was, or none.
    """
    if chunk.go:
        await connection.execute(rows.locked(dialect, [delivery.c.id]), {"rows": rows.ids(sorted(chunk.ids))})
    found = await connection.execute(over.open_deliveries(dialect), {"rows": rows.ids(chunk.ids), "now": chunk.now})
    open_ = frozenset(found.scalars())
    done = sorted(id_ for id_ in chunk.ids if id_ not in open_)
    if chunk.go:
        for column in (outcome.c.delivery_id, delivery_note.c.delivery_id, delivery.c.id):
            await _delete(connection, dialect, column, done)
        tails = [{"tail": id_[DATE:]} for id_ in done]
        await connection.execute(_forget_earlier(dialect), {"rows": tails})
    return Acted(len(done), open_)


async def remove_events(connection: AsyncConnection, dialect: str, chunk: Chunk) -> Acted:
    """Remove events that are over, with the decisions about them, once none of their deliveries is left.

    One that was put aside and discarded stays, without its data: the books count it.
    """
    open_, done, plans = await _events(connection, dialect, chunk)
    if chunk.go and done:
        open_ |= await _ids(connection, _with_deliveries(dialect), event.c.id, done)
    decided = [id_ for id_ in done if id_ in plans and id_ not in open_]
    if chunk.go:
        if not (await _remove_decisions(connection, dialect, decided))[1]:
            return Acted(0, open_, whole=False)
        for column in (campaign.c.event_id, plan.c.event_id, event.c.id):
            await _delete(connection, dialect, column, decided)
    return Acted(len(decided), open_)


async def remove_identities(connection: AsyncConnection, dialect: str, chunk: Chunk) -> Acted:
    """Forget when things were first seen."""
    return await _remove(connection, dialect, identity.c.id, chunk, chunk.ids)


async def remove_sessions(connection: AsyncConnection, dialect: str, chunk: Chunk) -> Acted:
    """Remove charging sessions, but for those that have changed in this moment."""
    if not chunk.go:
        return Acted(len(chunk.ids))
    statement = _statement(dialect, charging_session.c.id).where(charging_session.c.updated_at < chunk.before)
    return Acted(await _change(connection, statement, charging_session.c.id, chunk.ids))


async def remove_preferences(connection: AsyncConnection, dialect: str, chunk: Chunk) -> Acted:
    """Remove entries of people's histories of preferences, but for the last of each: it says who chose what holds."""
    earlier = await _ids(connection, _followed(dialect), preference_change.c.id, chunk.ids)
    return await _remove(connection, dialect, preference_change.c.id, chunk, sorted(earlier))


async def remove_audit(connection: AsyncConnection, dialect: str, chunk: Chunk) -> Acted:
    """Remove entries of the audit, but for the texts that people wrote: told once more, each would count again."""
    others = await _ids(connection, _by_hand(dialect), audit.c.id, chunk.ids)
    return await _remove(connection, dialect, audit.c.id, chunk, sorted(others))


async def remove_changes(connection: AsyncConnection, _dialect: str, chunk: Chunk) -> Acted:
    """Remove rows of the log of changes by their positions; nothing of it is open."""
    if not chunk.go:
        return Acted(len(chunk.ids))
    position = delivery_change.c.position
    first, last = int(chunk.ids[0]), int(chunk.ids[-1])
    gone = await connection.execute(sa.delete(delivery_change).where(position >= first, position <= last))
    return Acted(gone.rowcount)


async def remove_statuses(connection: AsyncConnection, dialect: str, chunk: Chunk) -> Acted:
    """Remove what ports said; what one says now stands in its own row."""
    return await _remove(connection, dialect, evse_status.c.id, chunk, chunk.ids)


async def _events(
    connection: AsyncConnection, dialect: str, chunk: Chunk
) -> tuple[frozenset[str], list[str], Mapping[str, int]]:
    """The ids of a chunk of events that are open, those that are over, and how many deliveries each was decided to
    make."""
    found = await connection.execute(over.plans(dialect), {"rows": rows.ids(chunk.ids)})
    plans = {row.event_id: row.deliveries for row in found}
    wide = [id_ for id_ in chunk.ids if plans.get(id_, 0) > WIDE]
    open_: set[str] = set()
    if wide:
        open_ |= set((await connection.execute(over.open_wide_events(dialect), {"rows": rows.ids(wide)})).scalars())
    if rest := [id_ for id_ in chunk.ids if plans.get(id_, 0) <= WIDE]:
        told = {"rows": rows.ids(rest), "now": chunk.now}
        open_ |= set((await connection.execute(over.open_events(dialect), told)).scalars())
    return frozenset(open_), sorted(id_ for id_ in chunk.ids if id_ not in open_), plans


async def _remove(
    connection: AsyncConnection, dialect: str, column: sa.Column[str], chunk: Chunk, ids: Sequence[str]
) -> Acted:
    return Acted(await _delete(connection, dialect, column, ids) if chunk.go else len(ids))


async def _delete(connection: AsyncConnection, dialect: str, column: sa.Column[str], ids: Sequence[str]) -> int:
    """Delete the rows that have one of these values in the first column of their key."""
    return await _change(connection, _statement(dialect, column), column, ids)


async def _remove_decisions(connection: AsyncConnection, dialect: str, events: Sequence[str]) -> tuple[int, bool]:
    """Remove the decisions about events, as many as one transaction takes; whether that was all."""
    found = list(await connection.execute(_decisions(dialect), {"rows": _named(decision.c.event_id, events)}))
    if len(found) <= TOGETHER:
        return await _delete(connection, dialect, decision.c.event_id, events), True
    last = found[TOGETHER - 1]
    before = sorted({row.event_id for row in found if row.event_id < last.event_id})
    number = await _delete(connection, dialect, decision.c.event_id, before)
    part = sa.delete(decision).where(
        decision.c.event_id == last.event_id,
        sa.or_(
            decision.c.type < last.type,
            sa.and_(decision.c.type == last.type, decision.c.recipient_id <= last.recipient_id),
        ),
    )
    return number + (await connection.execute(part)).rowcount, False


async def _change(
    connection: AsyncConnection, statement: sa.Delete | sa.Update, column: sa.Column[str], ids: Sequence[str]
) -> int:
    if not ids:
        return 0
    return (await connection.execute(statement, {"rows": _named(column, ids)})).rowcount


async def _number(
    connection: AsyncConnection, query: sa.Select[Any], column: sa.Column[str], ids: Sequence[str]
) -> int:
    found = await connection.execute(query, {"rows": _named(column, ids)})
    return int(found.scalar_one())


async def _ids(
    connection: AsyncConnection, query: sa.Select[Any], column: sa.Column[str], ids: Sequence[str]
) -> frozenset[str]:
    if not ids:
        return frozenset()
    return frozenset((await connection.execute(query, {"rows": _named(column, ids)})).scalars())


def _named(column: sa.Column[str], ids: Sequence[str]) -> list[dict[str, str]]:
    return [{column.name: id_} for id_ in ids]


def _of(dialect: str, column: sa.Column[str], *columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
    """A SELECT from the rows of a batch, by the first column of their key."""
    wanted = rows.batch(dialect, [column])
    return sa.select(*columns).select_from(rows.lookup(wanted, column.table, column == wanted.c[column.name]))


@cache
def _count(dialect: str, column: sa.Column[str]) -> sa.Select[Any]:
    return _of(dialect, column, sa.func.count())


@cache
def _blank(dialect: str) -> sa.Update:
    return rows.update(event, rows.batch(dialect, [event.c.id]), event.c.data != BLANK).values(data=BLANK, subject=None)


@cache
def _statement(dialect: str, column: sa.Column[str]) -> sa.Delete:
    return rows.delete(dialect, column.table, rows.batch(dialect, [column]))


@cache
def _decisions(dialect: str) -> sa.Select[Any]:
    key = (decision.c.event_id, decision.c.type, decision.c.recipient_id)
    return _of(dialect, decision.c.event_id, *key).order_by(*key).limit(TOGETHER + 1)


@cache
def _with_deliveries(dialect: str) -> sa.Select[Any]:
    wanted = rows.batch(dialect, [event.c.id])
    left = sa.select(sa.literal(1)).where(delivery.c.event_id == wanted.c.id).correlate(wanted)
    return sa.select(wanted.c.id).where(left.exists())


@cache
def _forget_earlier(dialect: str) -> sa.Delete:
    return rows.delete(dialect, earlier_delivery, rows.batch(dialect, [earlier_delivery.c.tail]))


@cache
def _followed(dialect: str) -> sa.Select[Any]:
    later = preference_change.alias("later")
    same = (later.c.recipient_id == preference_change.c.recipient_id, later.c.at > preference_change.c.at)
    following = sa.select(sa.literal(1)).where(*same).correlate(preference_change)
    return _of(dialect, preference_change.c.id, preference_change.c.id).where(following.exists())


@cache
def _by_hand(dialect: str) -> sa.Select[Any]:
    return _of(dialect, audit.c.id, audit.c.id).where(audit.c.action.not_in(inbound.ACTIONS))
