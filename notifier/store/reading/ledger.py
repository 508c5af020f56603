"""The conservation ledger: what was accepted, against where it all is now."""

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.deliveries import Channel, State
from notifier.store.core.database import Database
from notifier.store.core.schema import delivery, event


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """Counts that must agree.

    Every event is `decided`, `undecided` (the clock will signal it) or `quarantined` (a person has to redrive it); each
    is counted by columns of its own, so an event that nobody will look at shows.

    `planned` is the sum that the decisions (and redrives) wrote down, event by event, of the deliveries they made;
    `deliveries` counts the rows that are there, by state. They are written by different statements, so a row that is
    lost, doubled or made up shows.
    """

    events: int
    decided: int
    undecided: int
    quarantined: int
    planned: int
    deliveries: dict[str, int]
    by_channel: dict[str, int]
    reasons: dict[str, int]

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
        return {"balanced": self.balanced, **msgspec.structs.asdict(self)}


async def read(database: Database) -> Ledger:
    """The ledger at one moment."""

    async def work(connection: AsyncConnection) -> Ledger:
        # One statement, so one snapshot: between two, a decision could slip in and unbalance them for a moment.
        waits = sa.and_(event.c.decided_at.is_(None), event.c.signal_at.is_not(None))
        events = sa.select(
            sa.literal("event").label("part"), sa.literal("").label("state"), sa.literal("").label("channel"),
            sa.literal("").label("reason"), sa.func.count().label("number"),
            sa.func.count(event.c.decided_at).label("decided"),
            sa.func.count(sa.case((waits, 1))).label("undecided"),
            sa.func.count(event.c.quarantined_at).label("quarantined"),
            sa.func.coalesce(sa.func.sum(event.c.deliveries), 0).label("planned"),
        )  # fmt: skip
        reason = sa.func.coalesce(delivery.c.reason, "")
        deliveries = sa.select(
            sa.literal("delivery"), delivery.c.state, delivery.c.channel, reason, sa.func.count(),
            *[sa.literal(0)] * 4,
        ).group_by(delivery.c.state, delivery.c.channel, reason)  # fmt: skip
        found = list(await connection.execute(sa.union_all(events, deliveries)))
        outbox = next(row for row in found if row.part == "event")
        states = dict.fromkeys(State, 0)
        channels = {str(channel): 0 for channel in Channel}  # and those of another release whose rows are here
        reasons: dict[str, int] = {}
        for row in found:
            if row.part == "delivery":
                states[State(row.state)] += row.number
                channels[row.channel] = channels.get(row.channel, 0) + row.number
                if row.reason:
                    reasons[row.reason] = reasons.get(row.reason, 0) + row.number
        return Ledger(
            events=outbox.number, decided=outbox.decided, undecided=outbox.undecided,
            quarantined=outbox.quarantined, planned=int(outbox.planned),
            deliveries={str(key): value for key, value in states.items()},
            by_channel=channels,
            reasons=dict(sorted(reasons.items())),
        )  # fmt: skip

    return await database.read(work)


async def is_quiet(database: Database, until: int | None = None) -> bool:
    """Whether no work is left for the clock (until an instant, where one is given): no event to decide, no delivery to
    send or retry."""
    # The first one by its index: asked for any, PostgreSQL reads the whole table until it meets one.
    by_index = (event.c.signal_at,), (delivery.c.lane, delivery.c.channel, delivery.c.state, delivery.c.signal_at)

    async def work(connection: AsyncConnection) -> bool:
        waiting = [
            sa.select(order[-1])
            .where(order[-1].is_not(None) if until is None else order[-1] <= until)
            .order_by(*order)
            .limit(1)
            .scalar_subquery()
            for order in by_index
        ]
        return (await connection.execute(sa.select(*waiting))).one() == (None, None)

    return await database.read(work)
