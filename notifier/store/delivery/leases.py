"""Leases: a worker claims deliveries under a token and settles them while the lease lasts, when nobody else has them.

A delivery whose lease expired is unknown, for the provider may have it. `late` has what a worker tells after that.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from functools import cache, partial
from operator import itemgetter
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.deliveries import OVER, UNREACHED, Channel, State, may_come_before
from notifier.domain.effects import Effect
from notifier.store.core import effect_sums, rows
from notifier.store.core.database import Database
from notifier.store.core.schema import delivery, open_delivery
from notifier.store.core.status import status
from notifier.store.delivery import batch_leases, deliveries, digests, fallback_steps, late, outcomes
from notifier.store.delivery.deliveries import Ready
from notifier.store.delivery.outcomes import Opened, Outcome
from notifier.store.people import addresses, locking, suppressions
from notifier.store.people.addresses import Gone
from notifier.store.people.suppressions import Suppression


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a delivery held under a lease, and what comes next.

    `channel` is for the books; `together` says that the lease is one of `batch_leases`.
    """

    id: str
    recipient_id: str
    channel: Channel
    crashes: int = 0
    lease_token: str
    together: bool = False
    state: State
    reason: str | None
    code: str | None = None
    due_at: int
    next_check_at: int | None
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


class _Lost(Exception):
    """Not all deliveries are under their leases any more."""


async def claim(database: Database, ids: Sequence[str], token: str, now: int, lease_ends: int) -> list[Ready]:
    """Claim deliveries that are still pending and due, under a token until the lease ends.

    Returns the claimed ones, with what is known of them at this moment; a digest's items are settled. Once claimed, the
    provider may have a delivery; before, it surely has not.
    """

    async def work(connection: AsyncConnection) -> list[Ready]:
        # In key order, as receipts lock rows: two concurrent transactions wait for each other instead of deadlocking.
        mine = {"rows": rows.ids(sorted(ids)), "token": token}
        times = {"now": now, "lease_ends": lease_ends}
        if not (await connection.execute(_take(database.dialect), mine | times)).rowcount:
            return []
        found = list(await connection.execute(_taken(database.dialect), mine))
        held = [row.digest_id for row in found if row.digest_id is not None]
        await digests.settle_items(connection, database.dialect, held, now)
        return await deliveries.read(connection, database.dialect, found)

    return await database.write(work)


async def renew(
    database: Database, held: Mapping[str, str], together: Mapping[str, str], now: int, lease_ends: int
) -> Set[str]:
    """Extend the leases of deliveries being sent (ids under their tokens; `together` those of `batch_leases`) to an
    instant; returns the ids still held."""

    async def work(connection: AsyncConnection) -> Set[str]:
        alone = await renew_alone(connection) if held else set[str]()
        if not together:
            return alone
        kept = await batch_leases.renew(connection, database.dialect, set(together.values()), lease_ends)
        return alone | {id_ for id_, token in together.items() if token in kept}

    async def renew_alone(connection: AsyncConnection) -> Set[str]:
        wanted = [{"id": id_, "lease_token": held[id_]} for id_ in sorted(held)]
        parameters = {"rows": wanted, "lease_ends": lease_ends, "now": now}
        if (await connection.execute(_renew(database.dialect), parameters)).rowcount == len(held):
            return held.keys()
        kept = await connection.execute(_kept(database.dialect), {"rows": wanted})
        return set(kept.scalars())

    return await database.write(work)


async def settle(
    database: Database,
    settled: Sequence[Settled],
    attempts: Sequence[Attempt],
    gone: Sequence[Gone],
    now: int,
    bad: Sequence[Suppression] = (),
    paid: Sequence[Effect] = (),
) -> int:
    """Record outcomes of deliveries still under their leases, forget dead addresses, suppress bad ones, and count what
    was `paid`; returns how many were recorded.

    Where a receipt was quicker its state stands; where the recipient was erased meanwhile, nothing is kept of their
    words. Fewer than handed in means that leases ran out meanwhile: the state is not theirs to write then, but tries,
    devices and addresses are recorded all the same.
    """
    tries = {each.delivery_id: each for each in attempts}

    async def work(connection: AsyncConnection, *, sure: bool) -> int:
        dialect = database.dialect
        if gone:
            # People before their deliveries, as whoever decides about them locks both: two that meet in another order
            # would wait for each other.
            await locking.lock(connection, dialect, {each.recipient_id for each in gone})
        held, recorded = settled, len(settled)
        if not sure:
            held, recorded = await _record_late(connection, dialect, settled, tries, now)
        await _record(connection, dialect, held, tries, now)
        if gone:
            await addresses.forget(connection, gone)
        await suppressions.add(connection, dialect, bad, now)
        await effect_sums.add(connection, dialect, paid)
        ended = [each.id for each in settled if each.state in UNREACHED]
        await fallback_steps.bring_forward(connection, dialect, ended, now)
        return recorded

    try:
        return await database.write(partial(work, sure=True))
    except _Lost:
        return await database.write(partial(work, sure=False))


async def _record(
    connection: AsyncConnection, dialect: str, settled: Sequence[Settled], tries: Mapping[str, Attempt], now: int
) -> None:
    """Write outcomes of deliveries that are under their leases; _Lost where one isn't."""
    together = [each for each in settled if each.together]
    alone = [each for each in settled if not each.together]
    over = [each for each in alone if each.state in OVER]
    open_ = sorted((each for each in alone if each.state not in OVER), key=lambda each: each.id)
    if over and (await connection.execute(_end(dialect), {"rows": _held(over)})).rowcount != len(over):
        raise _Lost
    if open_:
        parameters = {"rows": open_, "now": now}
        if (await connection.execute(_go_on(dialect), parameters)).rowcount != len(open_):
            raise _Lost
    await outcomes.append(connection, dialect, _told(alone, tries, now))
    await _record_together(connection, dialect, together, tries, now)
    await outcomes.book(connection, dialect, (each for each in settled if each.state in OVER))


async def _record_together(
    connection: AsyncConnection, dialect: str, settled: Sequence[Settled], tries: Mapping[str, Attempt], now: int
) -> None:
    """Write the first outcomes of deliveries that were taken as they were decided, and what is open of them."""
    if not settled:
        return
    if not await batch_leases.take_off(connection, dialect, [each.lease_token for each in settled]):
        raise _Lost
    opened = [_opened(each) for each in settled if each.state not in OVER]
    if await outcomes.open_(connection, dialect, opened, now, first=True) != len(opened):
        raise _Lost
    told = _told(settled, tries, now)
    if await outcomes.append_first(connection, dialect, told) != len(told):
        raise _Lost


def _opened(settled: Settled) -> Opened:
    return Opened(
        id=settled.id, state=settled.state, reason=settled.reason, code=settled.code, due_at=settled.due_at,
        next_check_at=settled.next_check_at, attempts=settled.attempts, crashes=settled.crashes,
    )  # fmt: skip


def _told(settled: Iterable[Settled], tries: Mapping[str, Attempt], now: int) -> list[Outcome]:
    """The outcomes to be kept: not of what was only put off."""
    return [
        outcome_of(each, tries.get(each.id), now) for each in settled if each.id in tries or each.state != State.PENDING
    ]


async def _record_late(
    connection: AsyncConnection, dialect: str, settled: Sequence[Settled], tries: Mapping[str, Attempt], now: int
) -> tuple[list[Settled], int]:
    """Write the tries of deliveries that aren't under their leases any more; returns the other deliveries, and how many
    outcomes count as recorded with them."""
    await late.lock(connection, dialect, [each.id for each in settled])
    wanted = {"rows": _held(settled)}
    kept = {(id_, False) for id_ in (await connection.execute(_kept(dialect), wanted)).scalars()}
    kept |= {(id_, True) for id_ in (await connection.execute(_kept_together(dialect), wanted)).scalars()}
    held = [each for each in settled if (each.id, each.together) in kept]
    own = {each.id for each in held}
    told = [outcome_of(each, tries[each.id], now) for each in settled if each.id not in own and each.id in tries]
    return held, len(held) + await late.append(connection, dialect, told)


def outcome_of(settled: Settled, attempt: Attempt | None, now: int) -> Outcome:
    """The row that keeps an outcome."""
    return Outcome(
        delivery_id=settled.id, recipient_id=settled.recipient_id, at=now if attempt is None else attempt.ended_at,
        state=settled.state, reason=settled.reason, code=settled.code, attempts=settled.attempts,
        crashes=settled.crashes,
        started_at=None if attempt is None else attempt.started_at, answer=None if attempt is None else attempt.outcome,
        provider=settled.provider if attempt is None else attempt.provider,
        provider_reference=settled.provider_reference, locale=settled.locale, time_zone=settled.time_zone,
        content_hash=settled.content_hash, version=settled.version,
    )  # fmt: skip


def _held(settled: Sequence[Settled]) -> list[dict[str, str]]:
    return sorted(({"id": each.id, "lease_token": each.lease_token} for each in settled), key=itemgetter("id"))


@cache
def _take(dialect: str) -> sa.Update:
    wanted = rows.batch(dialect, [open_delivery.c.id])
    return rows.update(
        open_delivery,
        wanted,
        open_delivery.c.state.in_(sorted(may_come_before(State.SENDING))),
        open_delivery.c.due_at <= sa.bindparam("now"),
        deliveries.IS_KNOWN,
    ).values(
        state=State.SENDING.value,
        lease_token=sa.bindparam("token"),
        next_check_at=sa.bindparam("lease_ends"),
        attempts=open_delivery.c.attempts + 1,
        updated_at=sa.bindparam("now"),
    )


@cache
def _taken(dialect: str) -> sa.Select[Any]:
    return deliveries.ready(dialect).where(open_delivery.c.lease_token == sa.bindparam("token"))


@cache
def _renew(dialect: str) -> sa.Update:
    wanted = rows.batch(dialect, [open_delivery.c.id, open_delivery.c.lease_token])
    return rows.update(open_delivery, wanted, *_is_held(wanted)).values(
        next_check_at=sa.bindparam("lease_ends"), updated_at=sa.bindparam("now")
    )


@cache
def _kept(dialect: str) -> sa.Select[str]:
    wanted = rows.batch(dialect, [open_delivery.c.id, open_delivery.c.lease_token])
    found = rows.lookup(wanted, open_delivery, open_delivery.c.id == wanted.c.id)
    return sa.select(open_delivery.c.id).select_from(found).where(*_is_held(wanted))


def _is_held(wanted: sa.FromClause) -> tuple[sa.ColumnElement[bool], ...]:
    return open_delivery.c.lease_token == wanted.c.lease_token, open_delivery.c.state == State.SENDING


@cache
def _kept_together(dialect: str) -> sa.Select[str]:
    wanted = rows.batch(dialect, [delivery.c.id, delivery.c.lease_token])
    return sa.select(status.c.id).join(
        wanted, sa.and_(wanted.c.id == status.c.id, wanted.c.lease_token == status.c.batch_token)
    )


@cache
def _end(dialect: str) -> sa.Delete:
    wanted = rows.batch(dialect, [open_delivery.c.id, open_delivery.c.lease_token])
    return rows.delete(dialect, open_delivery, wanted, *_is_held(wanted))


@cache
def _go_on(dialect: str) -> sa.Update:
    names = ("state", "reason", "code", "due_at", "next_check_at", "attempts")
    outcome = rows.batch(dialect, [open_delivery.c[name] for name in ("id", "lease_token", *names)])
    return rows.update(open_delivery, outcome, *_is_held(outcome)).values(
        {name: outcome.c[name] for name in names} | {"lease_token": None, "updated_at": sa.bindparam("now")}
    )
