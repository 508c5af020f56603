"""Leases: a worker claims deliveries under a token and settles them while the lease lasts, when nobody else has them.

A delivery whose lease expired is unknown, for the provider may have it.
"""

from collections.abc import Mapping, Sequence, Set
from functools import cache
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.deliveries import UNREACHED, State, may_come_before
from notifier.store.core import rows
from notifier.store.core.database import Database
from notifier.store.core.schema import attempt, delivery
from notifier.store.delivery import deliveries, digests, fallback_steps, receipts
from notifier.store.delivery.deliveries import Ready
from notifier.store.people import addresses, suppressions
from notifier.store.people.addresses import Gone
from notifier.store.people.suppressions import Suppression


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of an attempt, its recipient and its lease, as rows of `delivery`."""

    id: str
    recipient_id: str
    lease_token: str
    state: State
    reason: str | None
    code: str | None = None
    due_at: int
    signal_at: int | None
    attempts: int
    provider: str | None
    provider_reference: str | None
    locale: str | None
    time_zone: str | None = None
    content_hash: str | None = None
    version: int | None = None


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt at a provider: its number from 1, and its outcome."""

    delivery_id: str
    number: int
    started_at: int
    ended_at: int
    provider: str
    outcome: str
    code: str | None


async def claim(database: Database, ids: Sequence[str], token: str, now: int, lease_ends: int) -> list[Ready]:
    """Claim deliveries that are still pending and due, under a token until the lease ends.

    Returns the claimed ones, with what is known of them at this moment; a digest's items are settled. Once claimed, the
    provider may have a delivery; before, it surely has not.
    """

    async def work(connection: AsyncConnection) -> list[Ready]:
        # By key order, as receipts lock them: two that meet wait for each other instead of deadlocking.
        mine = {"rows": rows.ids(sorted(ids)), "token": token}
        times = {"now": now, "lease_ends": lease_ends}
        if not (await connection.execute(_take(database.dialect), mine | times)).rowcount:
            return []
        found = list(await connection.execute(_taken(database.dialect), mine))
        held = [row.digest_id for row in found if row.digest_id is not None]
        await digests.settle_items(connection, database.dialect, held, now)
        return await deliveries.read(connection, database.dialect, found)

    return await database.write(work)


async def renew(database: Database, held: Mapping[str, str], now: int, lease_ends: int) -> Set[str]:
    """Extend the leases of deliveries being sent (ids under their tokens) to an instant; returns the ids still held."""

    async def work(connection: AsyncConnection) -> Set[str]:
        wanted = [{"id": id_, "lease_token": held[id_]} for id_ in sorted(held)]
        parameters = {"rows": rows.encode(wanted), "lease_ends": lease_ends, "now": now}
        if (await connection.execute(_renew(database.dialect), parameters)).rowcount == len(held):
            return held.keys()
        kept = await connection.execute(_kept(database.dialect), {"rows": rows.encode(wanted)})
        return set(kept.scalars())

    return await database.write(work)


async def settle(
    database: Database,
    settled: Sequence[Settled],
    attempts: Sequence[Attempt],
    gone: Sequence[Gone],
    now: int,
    bad: Sequence[Suppression] = (),
) -> int:
    """Record outcomes of deliveries still under their leases, forget dead addresses and suppress bad ones; returns how
    many were recorded.

    Where a receipt was quicker its state stands; where the recipient was erased meanwhile, nothing is kept of their
    words. Fewer than handed in means that leases ran out meanwhile: the state is
    not theirs to write then, but tries, devices and addresses are recorded all the same.
    """

    async def work(connection: AsyncConnection) -> int:
        parameters = {"rows": rows.encode(sorted(settled, key=lambda each: each.id)), "now": now}
        recorded = (await connection.execute(_settle(database.dialect), parameters)).rowcount
        if recorded != len(settled):
            recorded += await receipts.settle_overtaken(connection, database.dialect, parameters)
        if attempts:
            await connection.execute(_insert_attempts(database.dialect), {"rows": rows.encode(attempts)})
        if gone:
            await addresses.forget(connection, gone)
        await suppressions.add(connection, database.dialect, bad, now)
        ended = [each.id for each in settled if each.state in UNREACHED]
        await fallback_steps.bring_forward(connection, database.dialect, ended, now)
        return recorded

    return await database.write(work)


@cache
def _take(dialect: str) -> sa.Update:
    wanted = rows.batch(dialect, [delivery.c.id])
    return (
        sa.update(delivery)
        .where(
            delivery.c.id == wanted.c.id,
            delivery.c.state.in_(sorted(may_come_before(State.SENDING))),
            delivery.c.due_at <= sa.bindparam("now"),
        )
        .values(
            state=State.SENDING.value,
            lease_token=sa.bindparam("token"),
            signal_at=sa.bindparam("lease_ends"),
            attempts=delivery.c.attempts + 1,
            updated_at=sa.bindparam("now"),
        )
    )


@cache
def _taken(dialect: str) -> sa.Select[Any]:
    return deliveries.ready(dialect).where(delivery.c.lease_token == sa.bindparam("token"))


@cache
def _renew(dialect: str) -> sa.Update:
    wanted = rows.batch(dialect, [delivery.c.id, delivery.c.lease_token])
    return (
        sa.update(delivery)
        .where(*_is_held(wanted))
        .values(signal_at=sa.bindparam("lease_ends"), updated_at=sa.bindparam("now"))
    )


@cache
def _kept(dialect: str) -> sa.Select[str]:
    wanted = rows.batch(dialect, [delivery.c.id, delivery.c.lease_token])
    return sa.select(delivery.c.id).join(wanted, sa.and_(*_is_held(wanted)))


def _is_held(wanted: sa.FromClause) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        delivery.c.id == wanted.c.id,
        delivery.c.lease_token == wanted.c.lease_token,
        delivery.c.state == State.SENDING,
    )


@cache
def _settle(dialect: str) -> sa.Update:
    names = Settled.__struct_fields__
    outcome = rows.batch(dialect, [delivery.c[name] for name in names])
    return (
        sa.update(delivery)
        .where(
            delivery.c.id == outcome.c.id,
            delivery.c.lease_token == outcome.c.lease_token,
            delivery.c.state == State.SENDING,
        )
        .values(
            {name: outcome.c[name] for name in names if name not in ("id", "recipient_id")}
            | receipts.words(outcome)
            | {"lease_token": None, "updated_at": sa.bindparam("now")}
        )
    )


@cache
def _insert_attempts(dialect: str) -> sa.Insert:
    return rows.insert(dialect, attempt, [attempt.c[name] for name in Attempt.__struct_fields__])
