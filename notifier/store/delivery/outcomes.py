"""Outcomes: what became of a delivery, one row after the other; and how a delivery is opened again, or is over."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Protocol

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.changes import TOLD, Change
from notifier.domain.deliveries import OVER, HeldChannel, Reason, State
from notifier.domain.ids import instant_of
from notifier.store.core import rows
from notifier.store.core.schema import delivery, open_delivery, outcome
from notifier.store.core.status import TELLING
from notifier.store.delivery import changes, tallies
from notifier.store.delivery.tallies import Tally


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a delivery at an instant.

    `answer` is what the provider said to a try, None where this was none; `started_at` is when the last try began.
    `recipient_id` is whom the words are for: nothing of what explains them is kept where that person was erased
    meanwhile.
    """

    delivery_id: str
    recipient_id: str
    at: int
    state: State
    reason: str | None = None
    code: str | None = None
    attempts: int = 0
    crashes: int = 0
    started_at: int | None = None
    answer: str | None = None
    provider: str | None = None
    provider_reference: str | None = None
    locale: str | None = None
    time_zone: str | None = None
    content_hash: str | None = None
    version: int | None = None
    handled_at: int | None = None


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """An open delivery that this transaction has locked."""

    id: str
    recipient_id: str
    channel: HeldChannel
    state: State
    reason: str | None
    attempts: int
    crashes: int


class Ended(Protocol):
    """A delivery that is over."""

    @property
    def id(self) -> str: ...
    @property
    def channel(self) -> str: ...
    @property
    def state(self) -> State: ...
    @property
    def reason(self) -> str | None: ...


class Decided(Ended, Protocol):
    """A delivery as it was decided."""

    @property
    def created_at(self) -> int: ...


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """What is open of a delivery from now on; due as it was decided where `due_at` is None."""

    id: str
    state: State
    reason: str | None
    code: str | None = None
    due_at: int | None = None
    next_check_at: int | None = None
    attempts: int
    crashes: int


class End(msgspec.Struct, frozen=True):
    """How an open delivery ends."""

    state: State
    reason: str | None


async def decide(connection: AsyncConnection, dialect: str, decided: Sequence[Decided]) -> None:
    """Tell of new deliveries that a decision ended or left to a digest, and enter those that are over into the
    books."""
    told = (
        Change(delivery_id=each.id, state=each.state, at=each.created_at, reason=each.reason)
        for each in decided
        if each.state in TOLD
    )
    await changes.add(connection, told)
    await book(connection, dialect, (each for each in decided if each.state in OVER))


async def append(connection: AsyncConnection, dialect: str, outcomes: Sequence[Outcome]) -> None:
    """Write outcomes, each behind the last one of its delivery, and tell of them; the caller has locked the
    deliveries."""
    await append_beside(connection, dialect, outcomes)
    await changes.add(connection, map(_change, outcomes))


async def append_beside(connection: AsyncConnection, dialect: str, outcomes: Sequence[Outcome]) -> None:
    """Write outcomes that leave their deliveries' states as they are."""
    if outcomes:
        await connection.execute(_append(dialect), {"rows": outcomes})


async def append_first(connection: AsyncConnection, dialect: str, outcomes: Sequence[Outcome]) -> int:
    """Write the first outcomes of deliveries, and tell of them; returns of how many there was none, and where that
    isn't all the transaction must not be committed."""
    if not outcomes:
        return 0
    written = (await connection.execute(_append(dialect, first=True), {"rows": outcomes})).rowcount
    await changes.add(connection, map(_change, outcomes))
    return written


async def lose(connection: AsyncConnection, attempts: Mapping[str, int], now: int) -> None:
    """Tell of deliveries, by their attempts, that are unknown because a lease on them expired: no outcome says so."""
    lost = (
        Change(delivery_id=id_, state=State.UNKNOWN, at=now, attempts=number, reason=Reason.LEASE_EXPIRED)
        for id_, number in attempts.items()
    )
    await changes.add(connection, lost)


async def lock(connection: AsyncConnection, dialect: str, ids: Iterable[str]) -> dict[str, Held]:
    """Lock those of these deliveries that are open until the transaction ends."""
    found = await connection.execute(_lock(dialect), {"rows": rows.ids(sorted(ids))})
    return {row.id: rows.read(row, Held) for row in found}


async def note(
    connection: AsyncConnection, dialect: str, ended: Mapping[str, End], held: Mapping[str, Held], now: int
) -> None:
    """Write how locked deliveries ended. One that is a dead letter stays open for a person."""
    told = [
        Outcome(
            delivery_id=id_, recipient_id=held[id_].recipient_id, at=now, state=how.state, reason=how.reason,
            attempts=held[id_].attempts, crashes=held[id_].crashes,
        )
        for id_, how in ended.items()
    ]  # fmt: skip
    await append(connection, dialect, told)


async def end(
    connection: AsyncConnection, dialect: str, ended: Mapping[str, End], held: Mapping[str, Held], now: int
) -> None:
    """End locked deliveries for good."""
    await note(connection, dialect, ended, held, now)
    told = (msgspec.structs.replace(held[id_], state=how.state, reason=how.reason) for id_, how in ended.items())
    await retire(connection, dialect, list(told))


async def retire(connection: AsyncConnection, dialect: str, ended: Sequence[Ended]) -> None:
    """Take deliveries out of what is open, and enter them into the books as they are."""
    await close(connection, dialect, [each.id for each in ended])
    await book(connection, dialect, ended)


async def book(connection: AsyncConnection, dialect: str, ended: Iterable[Ended]) -> None:
    """Enter deliveries that are over into the books."""
    await tallies.add(connection, dialect, [over(each) for each in ended])


async def open_(
    connection: AsyncConnection, dialect: str, opened: Sequence[Opened], now: int, *, first: bool = False
) -> int:
    """Write what is open of deliveries of which nothing is; returns of how many. With `first`, not of those that have
    an outcome already."""
    if not opened:
        return 0
    parameters = {"rows": opened, "now": now}
    return (await connection.execute(_open(dialect, first=first), parameters)).rowcount


async def close(connection: AsyncConnection, dialect: str, ids: Collection[str]) -> None:
    """Take deliveries out of what is open."""
    if ids:
        await connection.execute(_close(dialect), {"rows": rows.ids(sorted(ids))})


def _change(outcome: Outcome) -> Change:
    return Change(
        delivery_id=outcome.delivery_id, state=outcome.state, at=outcome.at, attempts=outcome.attempts,
        reason=outcome.reason, code=outcome.code,
    )  # fmt: skip


def over(ended: Ended, number: int = 1) -> Tally:
    """The entry in the books of a delivery that is over, or (-1) of one that isn't any more."""
    return Tally(
        day=tallies.day(instant_of(ended.id)), part="delivery", state=ended.state, channel=ended.channel,
        reason=ended.reason or "", number=number,
    )  # fmt: skip


@cache
def _append(dialect: str, *, first: bool = False) -> sa.Insert:
    names = [name for name in Outcome.__struct_fields__ if name not in ("delivery_id", "recipient_id")]
    new = rows.batch(dialect, [outcome.c.delivery_id, delivery.c.recipient_id, *(outcome.c[name] for name in names)])
    before = outcome.alias("before")
    last = sa.select(sa.func.max(before.c.number)).where(before.c.delivery_id == new.c.delivery_id).scalar_subquery()
    number = sa.literal(1) if first else sa.func.coalesce(last, 0) + 1
    theirs = delivery.c.recipient_id == new.c.recipient_id
    told = [sa.case((theirs, new.c[name]), else_=None) if name in TELLING else new.c[name] for name in names]
    query = sa.select(new.c.delivery_id, number, *told).join(delivery, delivery.c.id == new.c.delivery_id)
    if first:
        query = query.where(~sa.exists().where(before.c.delivery_id == delivery.c.id))
    return sa.insert(outcome).from_select(["delivery_id", "number", *names], rows.apart(dialect, query))


@cache
def _open(dialect: str, *, first: bool) -> sa.Insert:
    told = ("state", "reason", "code", "next_check_at", "attempts", "crashes")
    decided = ("id", "lane", "channel", "subject_key")
    new = rows.batch(dialect, [open_delivery.c[name] for name in ("id", "due_at", *told)])
    query = sa.select(
        *(delivery.c[name] for name in decided), sa.func.coalesce(new.c.due_at, delivery.c.due_at),
        *(new.c[name] for name in told), sa.bindparam("now", type_=sa.BigInteger()),
    ).join(new, new.c.id == delivery.c.id)  # fmt: skip
    if first:
        query = query.where(~sa.exists().where(outcome.c.delivery_id == delivery.c.id))
    return sa.insert(open_delivery).from_select([*decided, "due_at", *told, "updated_at"], rows.apart(dialect, query))


@cache
def _lock(dialect: str) -> sa.Select[Any]:
    wanted = rows.batch(dialect, [open_delivery.c.id])
    own = ("id", "channel", "state", "reason", "attempts", "crashes")
    there = rows.lookup(wanted, open_delivery, open_delivery.c.id == wanted.c.id)
    query = (
        sa.select(*(open_delivery.c[name] for name in own), delivery.c.recipient_id)
        .select_from(rows.lookup(there, delivery, delivery.c.id == open_delivery.c.id))
        .order_by(open_delivery.c.id)
    )
    return rows.locking(query, dialect, open_delivery)


@cache
def _close(dialect: str) -> sa.Delete:
    wanted = rows.batch(dialect, [open_delivery.c.id])
    return rows.delete(dialect, open_delivery, wanted)
