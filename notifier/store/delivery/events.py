"""Events: the outbox that `accept` writes and `decide` empties.

An event is a row of `event`, written once. Until it is decided it has a row of `open_event` too, which workers lock and
the clock looks at; then one of `plan` in its place.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.selectable import NamedFromClause

from notifier.domain.events import Event, undated_id
from notifier.domain.ids import dated, instant_of
from notifier.domain.trace_context import parted, with_context
from notifier.store.core import rows
from notifier.store.core.buckets import first, over
from notifier.store.core.database import Database
from notifier.store.core.schema import event, open_event, plan
from notifier.store.delivery import earlier, identities, tallies
from notifier.store.delivery.tallies import Tally

WITH_PROGRESS = (
    sa.select(
        *event.c, plan.c.decided_at, sa.func.coalesce(plan.c.deliveries, open_event.c.deliveries).label("deliveries"),
        sa.func.coalesce(open_event.c.tries, 0).label("tries"),
        *(open_event.c[name] for name in ("next_check_at", "cursor", "audiences", "quarantined_at", "handled_at")),
    ).select_from(
        event.outerjoin(open_event, open_event.c.id == event.c.id).outerjoin(plan, plan.c.event_id == event.c.id)
    )
)  # fmt: skip
"""Events with how far they have come, as a query to be narrowed: `decided_at` is null while an event is open,
`deliveries` is how many were planned so far."""

Audiences = Mapping[str, Sequence[int]]
"""The audience keys that a copy of an event is for, each with `Event.ahead`."""


class NewEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event to be written; `id` is not dated yet, `data` is its JSON, `next_check_at` when the clock signals it if
    nobody else has."""

    id: str
    source: str
    source_id: str
    type: str
    subject: str | None
    occurred_at: int
    accepted_at: int
    digest: str
    data: msgspec.Raw
    next_check_at: int


class Stored(msgspec.Struct, frozen=True):
    """An event's id and the digest stored for it: one that differs from the digest given means that another event has
    that id."""

    id: str
    digest: str


async def add(database: Database, events: Sequence[NewEvent]) -> dict[str, Stored]:
    """Write events in one transaction; those that exist stay as they are. Returns what is stored, by the undated ids
    given."""

    async def work(connection: AsyncConnection) -> dict[str, Stored]:
        return await insert(connection, database.dialect, events)

    return await database.write(work)


async def insert(connection: AsyncConnection, dialect: str, events: Sequence[NewEvent]) -> dict[str, Stored]:
    """Write events inside the caller's transaction, as `add` does.

    One that was there before, and isn't kept any more, is a repeat of which nobody can say whether it is the same.
    """
    first = await identities.first_seen(connection, dialect, {each.id: each.accepted_at for each in events})
    named = {each.id: dated(each.id, first[each.id]) for each in events}
    given = [msgspec.structs.replace(each, id=named[each.id]) for each in events if first[each.id] == each.accepted_at]
    new: Collection[NewEvent] = given
    digests = {named[each.id]: each.digest for each in events}
    written = (await connection.execute(_insert(dialect), {"rows": given})).rowcount if given else 0
    if written != len(events):
        found = list(await connection.execute(_known(dialect), {"rows": rows.ids(digests)}))
        digests |= {row.id: row.digest for row in found}
        own = {row.id for row in found if row.is_new}
        new = {each.id: each for each in given if each.id in own}.values()
    await _begin(connection, dialect, new, {})
    return {undated: Stored(id_, digests[id_]) for undated, id_ in named.items()}


async def copy(
    connection: AsyncConnection, dialect: str, audiences: Mapping[str, Audiences], of: Iterable[Event],
    next_check_at: int,
) -> list[str]:  # fmt: skip
    """Write copies of another bucket's events, to be decided for the audiences that each is given for, by its id;
    returns the ids of those that are new."""
    given = {
        each.id: NewEvent(
            id=each.id, source=each.source, source_id=each.source_id, type=each.type, subject=each.subject,
            occurred_at=each.occurred_at, accepted_at=each.accepted_at, digest=each.digest,
            data=with_context(msgspec.Raw(msgspec.json.encode(each.data)), each.trace), next_check_at=next_check_at,
        )
        for each in of
    }  # fmt: skip
    found = await connection.execute(_known(dialect), {"rows": rows.ids(given)})
    new = [given[id_] for id_ in sorted(given.keys() - {row.id for row in found})]
    if new:
        await connection.execute(_insert(dialect), {"rows": new})
    await _begin(connection, dialect, new, audiences)
    return [each.id for each in new]


async def _begin(
    connection: AsyncConnection, dialect: str, new: Collection[NewEvent], audiences: Mapping[str, Audiences]
) -> None:
    """Open events that were written in this transaction, and count them."""
    if new:
        opened = [
            {"id": each.id, "next_check_at": each.next_check_at, "audiences": audiences.get(each.id)} for each in new
        ]
        await connection.execute(_open(dialect), {"rows": opened})
        told = [_tally("accepted", each.accepted_at, 1) for each in new]
        told += [_tally("copied", each.accepted_at, 1) for each in new if each.id in audiences]
        await tallies.add(connection, dialect, told)


async def undecided(database: Database, ids: Sequence[str]) -> list[Event]:
    """Undecided events, whoever has them in hand."""

    async def work(connection: AsyncConnection) -> list[Event]:
        found = await connection.execute(_open_events(database.dialect), {"rows": rows.ids(ids)})
        return list(map(_event, found))

    return await database.read(work)


@over(first)
async def find(database: Database, source: str, source_id: str, *, test: bool | None) -> str | None:
    """The id of the event, or test, that its source calls so; None where there is none. Of either where `test`
    doesn't say, the event first."""
    undated = [undated_id(source, source_id, test=each) for each in (False, True) if test in (None, each)]

    async def work(connection: AsyncConnection) -> str | None:
        for each in undated:
            if found := await earlier.event(connection, database.dialect, each):
                return found
        return None

    return await database.read(work)


async def take_undecided(connection: AsyncConnection, dialect: str, ids: Sequence[str]) -> list[Event]:
    """Lock undecided events that nobody else is deciding, until the transaction ends."""
    return [_event(row) for row in await connection.execute(_undecided(dialect), {"rows": rows.ids(ids)})]


def _fullest(found: Sequence[Event | None]) -> Event | None:
    """The event of several buckets, one that still has its data where any has."""
    return first(sorted(found, key=lambda each: each is None or each.is_blank))


@over(_fullest)
async def get(database: Database, id_: str) -> Event | None:
    """An event; None where there is none."""

    async def work(connection: AsyncConnection) -> Event | None:
        row = (await connection.execute(WITH_PROGRESS.where(event.c.id == id_))).first()
        return None if row is None else _event(row)

    return await database.read(work)


async def mark_decided(
    connection: AsyncConnection, dialect: str, decided: Sequence[Event | NewEvent], made: Mapping[str, int], now: int
) -> None:
    """Close events as decided. `made` is the number of deliveries made of each, by its id."""
    plans = [{"event_id": each.id, "decided_at": now, "deliveries": made.get(each.id, 0)} for each in decided]
    await connection.execute(_plan(dialect), {"rows": plans})
    await connection.execute(_close(dialect), {"rows": rows.ids(each.id for each in decided)})
    told = [
        tally
        for each in decided
        for tally in (
            _tally("decided", each.accepted_at, 1), _tally("planned", each.accepted_at, made.get(each.id, 0)),
        )
    ]  # fmt: skip
    await tallies.add(connection, dialect, told)


async def advance(
    connection: AsyncConnection, dialect: str, of: Event, deliveries: int, cursor: str | None, now: int,
    again_at: int | None,
) -> None:  # fmt: skip
    """Note a chunk of an event's audience: so many deliveries more, and up to which recipient. It is closed where there
    is no `again_at`, at which the clock signals it if nobody else does.

    What gets on is not what ends workers: its tries are counted anew.
    """
    this, so_far = open_event.c.id == of.id, sa.func.coalesce(open_event.c.deliveries, 0) + deliveries
    told = [_tally("planned", of.accepted_at, deliveries)]
    if again_at is None:
        whole = sa.select(open_event.c.id, sa.literal(now), so_far).where(this)
        names = ["event_id", "decided_at", "deliveries"]
        await connection.execute(sa.insert(plan).from_select(names, rows.apart(dialect, whole)))
        await connection.execute(sa.delete(open_event).where(this))
        told.append(_tally("decided", of.accepted_at, 1))
    else:
        again = {"deliveries": so_far, "cursor": cursor, "tries": 0, "next_check_at": again_at}
        await connection.execute(sa.update(open_event).where(this).values(again))
    await tallies.add(connection, dialect, told)


async def plan_more(connection: AsyncConnection, dialect: str, more: Mapping[str, int]) -> None:
    """Count deliveries (fewer where negative) into the plans of events by their ids."""
    counts = [{"id": id_, "event_id": id_, "more": count} for id_, count in sorted(more.items())]
    # First where events are open: who closes one meanwhile has written its plan once the lock on its row is free.
    for table in (open_event, plan):
        await connection.execute(_plan_more(dialect, table), {"rows": counts})
    told = [_tally("planned", instant_of(id_), count) for id_, count in more.items()]
    await tallies.add(connection, dialect, told)


def _event(row: Any) -> Event:
    # MariaDB makes a document of a null that comes in a batch.
    audiences = None if row.audiences is None else msgspec.json.decode(row.audiences, type=Audiences | None)
    data, trace = parted(row.data)
    return Event(
        id=row.id, source=row.source, source_id=row.source_id, type=row.type, subject=row.subject,
        occurred_at=row.occurred_at, accepted_at=row.accepted_at, digest=row.digest,
        data=msgspec.json.decode(data), cursor=row.cursor, audiences=audiences, ahead=audiences or {}, trace=trace,
    )  # fmt: skip


def _tally(state: str, accepted_at: int, number: int) -> Tally:
    return Tally(day=tallies.day(accepted_at), part="event", state=state, number=number)


def _batch(dialect: str) -> NamedFromClause:
    return rows.batch(dialect, [open_event.c.id])


@cache
def _insert(dialect: str) -> sa.Insert:
    return rows.append_missing(dialect, event, list(event.c))


@cache
def _open(dialect: str) -> sa.Insert:
    return rows.append(dialect, open_event, [open_event.c[name] for name in ("id", "next_check_at", "audiences")])


@cache
def _known(dialect: str) -> sa.Select[Any]:
    """Events by id. Those that this very transaction has written are neither open nor planned yet; of others one look
    sees the one or the other."""
    wanted = rows.batch(dialect, [event.c.id])
    is_open = sa.exists().where(open_event.c.id == event.c.id)
    is_planned = sa.exists().where(plan.c.event_id == event.c.id)
    return sa.select(event.c.id, event.c.digest, sa.not_(sa.or_(is_open, is_planned)).label("is_new")).join(
        wanted, wanted.c.id == event.c.id
    )


@cache
def _undecided(dialect: str) -> sa.Select[tuple[str, ...]]:
    return rows.locking(_open_events(dialect), dialect, open_event, skip_locked=True)


@cache
def _open_events(dialect: str) -> sa.Select[tuple[str, ...]]:
    wanted = _batch(dialect)
    open_ones = rows.lookup(wanted, open_event, open_event.c.id == wanted.c.id)
    found = rows.lookup(open_ones, event, event.c.id == open_event.c.id)
    progress = (open_event.c.cursor, open_event.c.audiences)
    return sa.select(event, *progress).select_from(found).where(open_event.c.quarantined_at.is_(None))


@cache
def _plan(dialect: str) -> sa.Insert:
    return rows.append(dialect, plan, list(plan.c))


@cache
def _close(dialect: str) -> sa.Delete:
    return rows.delete(dialect, open_event, _batch(dialect))


@cache
def _plan_more(dialect: str, table: sa.Table) -> sa.Update:
    (key,) = table.primary_key
    more = rows.batch(dialect, [key, sa.Column("more", sa.Integer)])
    so_far = sa.func.coalesce(table.c.deliveries, 0)
    return rows.update(table, more).values(deliveries=so_far + more.c.more)
