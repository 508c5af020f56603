"""The conservation ledger: what was accepted, against where it all is now."""

from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.deliveries import Channel, State
from notifier.store.core.books import seal, tally
from notifier.store.core.database import Database
from notifier.store.core.schema import lease, open_delivery, open_event
from notifier.store.delivery import tallies


class LedgerDays(msgspec.Struct, frozen=True, kw_only=True):
    """The days of the books: how many are sealed, the first and the last of them, and on how many of them something was
    corrected since; how many are open, and the first of them."""

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
    """

    events: int
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
    def imbalance(self) -> int:
        """Deliveries and events that are missing or too many; anything but 0 is an alarm."""
        astray = self.events - self.decided - self.undecided - self.quarantined
        return abs(self.planned - self.total) + abs(astray)

    @property
    def balanced(self) -> bool:
        return self.imbalance == 0

    def as_dict(self) -> dict[str, object]:
        """The ledger for JSON, with the verdict."""
        return {"balanced": self.balanced, **msgspec.to_builtins(self)}


async def read(database: Database) -> Ledger:
    """The ledger at one moment."""

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
        return Ledger(
            events=outbox.get("accepted", 0), **numbers,
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


def _date(day: int | None) -> str | None:
    return None if day is None else tallies.date_of(day)


_SEALED: Final = sa.select(
    sa.func.count().label("number"), sa.func.min(seal.c.day).label("first"), sa.func.max(seal.c.day).label("last"),
    sa.func.count(seal.c.corrections).label("corrected"),
)  # fmt: skip
_told = sa.select(tally.c.day).distinct().where(tally.c.day > tallies.CARRIED).subquery("told")
_TOLD: Final = sa.select(_told.c.day, seal.c.day.label("sealed"), seal.c.corrections).select_from(
    _told.outerjoin(seal, seal.c.day == _told.c.day)
)


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
