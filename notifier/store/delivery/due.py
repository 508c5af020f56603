"""The clock's queries: deliveries that are due, and leases that have expired.

Every query is by queue: one channel and lane in one state is a range of one index (`ix_open_delivery_due`), and only
its beginning is read. So a query costs the same beside a campaign of a million rows as on an empty table, and while
nothing is due nothing is locked or written.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.deliveries import Channel, Lane, Reason, State
from notifier.store.core import rows
from notifier.store.core.buckets import over
from notifier.store.core.database import Database
from notifier.store.core.schema import delivery, open_delivery
from notifier.store.delivery import batch_leases, outcomes

Queue = tuple[Channel, Lane]


class DueDelivery(msgspec.Struct, frozen=True):
    """A delivery that is due. `crashes` counts the workers that died while holding it; `again` says that it was
    signalled when it fell due and nobody took it."""

    id: str
    channel: Channel
    lane: Lane
    state: State
    type: str
    expires_at: int
    crashes: int
    again: bool


class Backlog(NamedTuple):
    """The deliveries of a queue that are due and that no worker has taken: their number, and when the oldest fell due;
    None where there is none."""

    deliveries: int = 0
    oldest: int | None = None


def _together(found: Sequence[Mapping[Queue, Backlog]]) -> dict[Queue, Backlog]:
    """The backlogs of several buckets as one."""
    return {
        queue: Backlog(
            sum(each[queue].deliveries for each in found),
            min((since for each in found if (since := each[queue].oldest) is not None), default=None),
        )
        for queue in found[0]
    }


@over(_together)
async def backlogs(database: Database, now: int, signalled_until: int, queues: Sequence[Queue]) -> dict[Queue, Backlog]:
    """The backlog of each of these queues. A delivery that was signalled and not taken yet is of it: the clock looks at
    it again by `signalled_until`. The cost is that of what is due."""
    query = _backlogs(tuple(queues))

    async def work(connection: AsyncConnection) -> dict[Queue, Backlog]:
        found = await connection.execute(query, {"now": now, "until": signalled_until})
        return {(Channel(row.channel), Lane(row.lane)): Backlog(row.deliveries, row.oldest) for row in found}

    return await database.read(work)


async def take(database: Database, now: int, again_at: int, limit: int, queues: Sequence[Queue]) -> list[DueDelivery]:
    """The first `limit` due deliveries of each queue, pending and unknown.

    Nobody looks at them again before `again_at`, but for another clock that looks at the same moment: it signals them
    too, which does no harm.
    """
    if not queues:
        return []
    query = _first(tuple(queues), (State.PENDING, State.UNKNOWN))

    async def look(connection: AsyncConnection) -> list[DueDelivery]:
        found = await connection.execute(query, {"now": now, "limit": limit})
        return [rows.read(row, DueDelivery) for row in found]

    found = await database.read(look)

    async def mark(connection: AsyncConnection) -> None:
        parameters = {"rows": rows.ids([each.id for each in found]), "again_at": again_at, "now": now}
        await connection.execute(_signalled(database.dialect), parameters)

    if found:
        await database.write(mark)
    return found


async def return_expired_leases(database: Database, now: int, limit: int) -> int:
    """Make deliveries whose lease expired unknown, since the provider may have them; returns how many there were."""
    query = _first(tuple((channel, lane) for channel in Channel for lane in Lane), (State.SENDING,))

    async def look(connection: AsyncConnection) -> list[str]:
        return [row.id for row in await connection.execute(query, {"now": now, "limit": limit})]

    found = await database.read(look)

    async def lose(connection: AsyncConnection) -> int:
        expired = await connection.execute(_expired(database.dialect), {"rows": rows.ids(found), "now": now})
        attempts = {row.id: row.attempts for row in expired}
        if attempts:
            await connection.execute(_lose(database.dialect), {"rows": rows.ids(attempts), "now": now})
            await outcomes.lose(connection, attempts, now)
        return len(attempts)

    lost = await database.write(lose) if found else 0
    return lost + await batch_leases.end_expired(database, now, limit)


@cache
def _first(queues: tuple[Queue, ...], states: tuple[State, ...]) -> sa.Select[Any]:
    """The first due rows of each queue in each state, in one statement."""
    again = (open_delivery.c.next_check_at > open_delivery.c.due_at).label("again")
    columns = [*(open_delivery.c[name] for name in ("id", "channel", "lane", "state", "crashes")), again]
    parts = []
    for channel, lane in queues:
        for state in states:
            part = (
                sa.select(*columns)
                .where(
                    open_delivery.c.lane == lane, open_delivery.c.channel == channel, open_delivery.c.state == state,
                    open_delivery.c.next_check_at <= sa.bindparam("now"),
                )
                .order_by(open_delivery.c.next_check_at).limit(sa.bindparam("limit"))
            )  # fmt: skip
            parts.append(sa.select(part.subquery()))
    due = sa.union_all(*parts).subquery()
    decided = sa.select(*due.c, delivery.c.type, delivery.c.expires_at)
    return decided.join(delivery, delivery.c.id == due.c.id)


@cache
def _backlogs(queues: tuple[Queue, ...]) -> sa.CompoundSelect[Any]:
    """Count what is due of each queue, in one statement."""
    return sa.union_all(
        *(
            sa.select(
                sa.literal(channel.value).label("channel"), sa.literal(lane.value).label("lane"),
                sa.func.count().label("deliveries"), sa.func.min(open_delivery.c.due_at).label("oldest"),
            ).where(
                open_delivery.c.lane == lane, open_delivery.c.channel == channel,
                open_delivery.c.state == State.PENDING, open_delivery.c.next_check_at <= sa.bindparam("until"),
                open_delivery.c.due_at <= sa.bindparam("now"),
            )
            for channel, lane in queues
        )
    )  # fmt: skip


@cache
def _signalled(dialect: str) -> sa.Update:
    wanted = rows.batch(dialect, [open_delivery.c.id])
    return rows.update(
        open_delivery,
        wanted,
        open_delivery.c.state.in_([State.PENDING, State.UNKNOWN]),
        open_delivery.c.next_check_at <= sa.bindparam("now"),
    ).values(next_check_at=sa.bindparam("again_at"))


@cache
def _expired(dialect: str) -> sa.Select[Any]:
    """Lock those of a batch whose lease has expired."""
    query = rows.locked(dialect, [open_delivery.c.id, open_delivery.c.attempts])
    is_held = open_delivery.c.state == State.SENDING
    return query.where(is_held, open_delivery.c.next_check_at <= sa.bindparam("now"))


@cache
def _lose(dialect: str) -> sa.Update:
    return rows.update(open_delivery, rows.batch(dialect, [open_delivery.c.id])).values(
        state=State.UNKNOWN.value,
        reason=Reason.LEASE_EXPIRED.value,
        crashes=open_delivery.c.crashes + 1,
        lease_token=None,
        next_check_at=sa.bindparam("now"),
        updated_at=sa.bindparam("now"),
    )
