"""The conservation ledger: what was accepted, against where it all is now."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.deliveries import Channel, State
from notifier.store.core.books import seal, tally
from notifier.store.core.buckets import in_each, over, sums
from notifier.store.core.database import Database
from notifier.store.core.schema import lease, open_delivery, open_event
from notifier.store.delivery import tallies


class LedgerDays(msgspec.Struct, frozen=True, kw_only=True):
    """The days of the books: how many are sealed, the first and the last of them, and on how many of them something was
    corrected since; how many are open, and the first of them. In several buckets a day is open while it is in one."""

    sealed: int
    first_sealed: str | None
    last_sealed: str | None
    corrected: int
    open: int
    open_since: str | None


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """Counts that must agree.

    Every event is `decided`, `undecided` (the clock will signal it) or `quarantined` (a person has to redrive it).
    `events`, `decided` and `planned` are sums of the tallies that accepting, deciding and redriving wrote down, those
    of sealed days as they were carried over; `undecided` and `quarantined` count rows of what is open, so an event that
    nobody will look at shows.

    `planned` is how many deliveries the decisions (and redrives) made; `deliveries` counts the rows that are there, by
    state. They are written by different statements, so a row that is lost, doubled or made up shows.

    `imbalance` is how many deliveries and events are missing or too many; anything but 0 is an alarm. It is added up
    over buckets, each with books of its own, so that what one lacks doesn't make up for what another has too many.
    `copies` are events that were forwarded to another bucket, where they are decided as well: `events` and they are
    together what is `decided`, `undecided` and `quarantined`.
    """

    imbalance: int
    events: int
    copies: int
    decided: int
    undecided: int
    quarantined: int
    planned: int
    deliveries: dict[str, int]
    by_channel: dict[str, int]
    reasons: dict[str, int]
    days: LedgerDays

    @property
    def total(self) -> int:
        return sum(self.deliveries.values())

    @property
    def balanced(self) -> bool:
        return self.imbalance == 0

    def as_dict(self) -> dict[str, object]:
        """The ledger for JSON, with the verdict."""
        return {"balanced": self.balanced, **msgspec.to_builtins(self)}


async def read(database: Database) -> Ledger:
    """The ledger at one moment, of each bucket at one."""
    parts = await in_each(database, _read)
    return parts[0] if len(parts) == 1 else _added(parts, await in_each(database, _listed))


def _added(parts: Sequence[Ledger], days: Sequence["_Listed"]) -> Ledger:
    """The ledger of several buckets."""
    numbers = {
        name: sum(getattr(part, name) for part in parts)
        for name in ("imbalance", "events", "copies", "decided", "undecided", "quarantined", "planned")
    }
    open_, known = set[int]().union(*(each.open for each in days)), set[int]().union(*(each.sealed for each in days))
    sealed, corrected = known - open_, set[int]().union(*(each.corrected for each in days)) - open_
    return Ledger(
        **numbers, deliveries=sums([part.deliveries for part in parts]),
        by_channel=sums([part.by_channel for part in parts]),
        reasons=dict(sorted(sums([part.reasons for part in parts]).items())),
        days=LedgerDays(
            sealed=len(sealed), first_sealed=_date(min(sealed, default=None)),
            last_sealed=_date(max(sealed, default=None)), corrected=len(corrected), open=len(open_),
            open_since=_date(min(open_, default=None)),
        ),
    )  # fmt: skip


async def _read(database: Database) -> Ledger:
    async def work(connection: AsyncConnection) -> Ledger:
        # One statement, so one snapshot: between two statements a decision could be written and unbalance the sums for
        # a moment.
        reason = sa.func.coalesce(open_delivery.c.reason, "")
        open_ = sa.select(
            sa.literal("delivery"), open_delivery.c.state, open_delivery.c.channel, reason, sa.func.count(),
        ).group_by(open_delivery.c.state, open_delivery.c.channel, reason)  # fmt: skip
        waits = {"undecided": open_event.c.next_check_at, "quarantined": open_event.c.quarantined_at}
        opened = [
            sa.select(
                sa.literal("event"), sa.literal(state), sa.literal(""), sa.literal(""), sa.func.count()
            ).where(column.is_not(None))
            for state, column in waits.items()
        ]  # fmt: skip
        leased = sa.select(
            sa.literal("delivery"), sa.literal(State.SENDING.value), lease.c.channel, sa.literal(""),
            sa.cast(sa.func.sum(lease.c.waiting), sa.BigInteger),
        ).group_by(lease.c.channel)  # fmt: skip
        every: sa.CompoundSelect[Any] = sa.union_all(tallies.sums(), *opened, open_, leased)
        found = list(await connection.execute(every))
        outbox = {row.state: row.number for row in found if row.part == "event"}
        states = dict.fromkeys(State, 0)
        channels = {str(channel): 0 for channel in Channel}  # and the states of other releases with rows here
        reasons: dict[str, int] = {}
        for row in found:
            if row.part == "delivery":
                states[State(row.state)] += row.number
                channels[row.channel] = channels.get(row.channel, 0) + row.number
                if row.reason:
                    reasons[row.reason] = reasons.get(row.reason, 0) + row.number
        numbers = {name: outbox.get(name, 0) for name in ("decided", "undecided", "quarantined", "planned")}
        accepted, copies = outbox.get("accepted", 0), outbox.get("copied", 0)
        astray = accepted - numbers["decided"] - numbers["undecided"] - numbers["quarantined"]
        return Ledger(
            imbalance=abs(numbers["planned"] - sum(states.values())) + abs(astray),
            events=accepted - copies, copies=copies,
            **numbers,
            deliveries={str(key): value for key, value in states.items()},
            by_channel=channels,
            reasons=dict(sorted(reasons.items())), days=await _days(connection),
        )  # fmt: skip

    return await database.read(work)


async def _days(connection: AsyncConnection) -> LedgerDays:
    """The days of the books. Only what is open, or was corrected within the hour, has tallies of its day."""
    sealed = (await connection.execute(_SEALED)).one()
    listed = list(await connection.execute(_TOLD))
    open_ = sorted(row.day for row in listed if row.sealed is None)
    lately = [row for row in listed if row.sealed is not None and row.corrections is None]
    return LedgerDays(
        sealed=sealed.number, first_sealed=_date(sealed.first), last_sealed=_date(sealed.last),
        corrected=sealed.corrected + len(lately), open=len(open_), open_since=_date(min(open_, default=None)),
    )  # fmt: skip


class _Listed(NamedTuple):
    """A bucket's days: the sealed ones, those of them on which something was corrected, and the open ones."""

    sealed: set[int]
    corrected: set[int]
    open: set[int]


async def _listed(database: Database) -> _Listed:
    """The days of one of several buckets, which have to be known one by one to be joined with the others'."""

    async def work(connection: AsyncConnection) -> _Listed:
        sealed = {row.day: row.corrected for row in await connection.execute(_EACH_SEALED)}
        told = {row.day for row in await connection.execute(_TOLD)}
        corrected = {day for day, is_corrected in sealed.items() if is_corrected or day in told}
        return _Listed(set(sealed), corrected, told - sealed.keys())

    return await database.read(work)


def _date(day: int | None) -> str | None:
    return None if day is None else tallies.date_of(day)


_SEALED: Final = sa.select(
    sa.func.count().label("number"), sa.func.min(seal.c.day).label("first"), sa.func.max(seal.c.day).label("last"),
    sa.func.count(seal.c.corrections).label("corrected"),
)  # fmt: skip
_EACH_SEALED: Final = sa.select(seal.c.day, seal.c.corrections.is_not(None).label("corrected"))
_told = sa.select(tally.c.day).distinct().where(tally.c.day > tallies.CARRIED).subquery("told")
_TOLD: Final = sa.select(_told.c.day, seal.c.day.label("sealed"), seal.c.corrections).select_from(
    _told.outerjoin(seal, seal.c.day == _told.c.day)
)


@over(all)
async def is_quiet(database: Database, until: int | None = None) -> bool:
    """Whether no work is left for the clock (until an instant, where one is given): no event to decide, no delivery to
    send or retry."""
    # The first row by the index: asked for any row, PostgreSQL would scan the table until it finds one.
    of = open_delivery.c
    by_index = (open_event.c.next_check_at,), (of.lane, of.channel, of.state, of.next_check_at), (lease.c.ends_at,)

    async def work(connection: AsyncConnection) -> bool:
        waiting = [
            sa.select(order[-1])
            .where(order[-1].is_not(None) if until is None else order[-1] <= until)
            .order_by(*order)
            .limit(1)
            .scalar_subquery()
            for order in by_index
        ]
        return (await connection.execute(sa.select(*waiting))).one() == (None, None, None)

    return await database.read(work)
