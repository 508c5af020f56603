"""The database after a scenario, compared with the sandbox's arrivals, message by message."""

from collections import Counter
from collections.abc import Collection, Sequence

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.chaos.witness import Arrival
from notifier.domain.clock import SECOND
from notifier.domain.deliveries import OPEN, Channel, State
from notifier.reconcile import HANDED_OVER
from notifier.sandbox.stand_in import stand_ins
from notifier.store.core import rows
from notifier.store.core.database import Database
from notifier.store.core.status import rendered as delivery
from notifier.store.delivery import events

LATE = 1 * SECOND  # after its time to live: what was begun before may still be on its way


class EventRow(msgspec.Struct, frozen=True):
    """An event in the ledger. Instants in epoch milliseconds."""

    id: str
    source_id: str
    type: str
    accepted_at: int
    decided_at: int | None
    quarantined_at: int | None
    deliveries: int | None


class DeliveryRow(msgspec.Struct, frozen=True):
    """A delivery in the ledger."""

    id: str
    event_id: str
    type: str
    channel: Channel
    state: State
    reason: str | None
    attempts: int
    crashes: int
    due_at: int
    expires_at: int
    updated_at: int

    @property
    def key(self) -> tuple[str, str]:
        return self.channel, self.id


class LedgerSnapshot(msgspec.Struct, frozen=True):
    """Every event and delivery by its id."""

    events: dict[str, EventRow]
    deliveries: dict[str, DeliveryRow]


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """The result of comparing ledger and arrivals.

    `lost`: accepted events without a decision, planned deliveries that don't exist, deliveries not in an end state, and
    deliveries recorded as sent that never arrived. `duplicated`: arrivals after a delivery's first.
    `unrecorded`: arrivals of deliveries recorded neither as sent nor as unknown. `late`: arrivals after the time to
    live. `states`: deliveries by state.
    """

    accepted: int
    lost: int
    duplicated: int
    unrecorded: int
    late: int
    states: dict[str, int]


async def read(database: Database) -> LedgerSnapshot:
    """Read the ledger as it stands."""

    async def work(connection: AsyncConnection) -> LedgerSnapshot:
        every = events.WITH_PROGRESS.subquery()
        found = await connection.execute(sa.select(*(every.c[name] for name in EventRow.__struct_fields__)))
        deliveries = await connection.execute(sa.select(*(delivery.c[name] for name in DeliveryRow.__struct_fields__)))
        return LedgerSnapshot(
            {row.id: rows.read(row, EventRow, strict=True) for row in found},
            {row.id: rows.read(row, DeliveryRow) for row in deliveries},
        )

    return await database.read(work)


async def in_hand(database: Database, until: int | None = None) -> set[tuple[str, str]]:
    """Return channel and id of the deliveries that workers hold now, and held already at `until` where given."""
    query = sa.select(delivery.c.channel, delivery.c.id).where(delivery.c.state == State.SENDING)
    if until is not None:
        query = query.where(delivery.c.updated_at <= until)

    async def work(connection: AsyncConnection) -> set[tuple[str, str]]:
        return {(row.channel, row.id) for row in await connection.execute(query)}

    return await database.read(work)


async def count(database: Database, *conditions: sa.ColumnElement[bool]) -> int:
    """Count the deliveries that fulfil all conditions."""

    async def work(connection: AsyncConnection) -> int:
        query = sa.select(sa.func.count()).select_from(delivery).where(*conditions)
        return int((await connection.execute(query)).scalar_one())

    return await database.read(work)


def compare(
    ledger: LedgerSnapshot, arrivals: Sequence[Arrival], accepted: Collection[str], each: int | None = None
) -> Findings:
    """Compare the ledger with the arrivals. `accepted` are the ids of events answered 202; `each` is how many
    deliveries every one of them must have, where that is the same for all."""
    by_key = {row.key: row for row in ledger.deliveries.values()}
    taken = Counter(arrival.key for arrival in arrivals if arrival.verdict == "accepted")
    undecided = [id_ for id_ in accepted if not _is_decided(ledger.events.get(id_))]
    planned = sum(told.deliveries or 0 for told in ledger.events.values())
    expected = planned if each is None else each * len(set(accepted))
    unsettled = [row for row in by_key.values() if row.state in OPEN]
    never = [
        key for key, row in by_key.items() if row.state in HANDED_OVER and row.channel in stand_ins() and not taken[key]
    ]
    recorded = HANDED_OVER | {State.UNKNOWN}
    return Findings(
        accepted=len(set(accepted)),
        lost=len(undecided) + max(expected, planned) - min(len(by_key), planned) + len(unsettled) + len(never),
        duplicated=sum(times - 1 for times in taken.values()),
        unrecorded=sum(1 for key in taken if key not in by_key or by_key[key].state not in recorded),
        late=sum(
            1
            for arrival in arrivals
            if arrival.verdict == "accepted"
            and arrival.key in by_key
            and arrival.received_at > by_key[arrival.key].expires_at + LATE
        ),
        states=dict(Counter(row.state.value for row in by_key.values())),
    )


def first_arrivals(arrivals: Sequence[Arrival]) -> dict[tuple[str, str], Arrival]:
    """Return the time of each message's first acceptance by a provider."""
    first: dict[tuple[str, str], Arrival] = {}
    for arrival in arrivals:
        if arrival.verdict == "accepted":
            first.setdefault(arrival.key, arrival)
    return first


def handoff(
    ledger: LedgerSnapshot, arrivals: Sequence[Arrival], of: Collection[str] | None = None
) -> dict[Channel, list[int]]:
    """Milliseconds from an event's acceptance to the first arrival of each of its messages, by channel; `of` names
    the events to look at."""
    first = first_arrivals(arrivals)
    waited: dict[Channel, list[int]] = {}
    for row in ledger.deliveries.values():
        if row.key in first and (of is None or row.event_id in of):
            told = ledger.events[row.event_id]
            waited.setdefault(row.channel, []).append(first[row.key].received_at - told.accepted_at)
    return waited


def p99(ledger: LedgerSnapshot, arrivals: Sequence[Arrival], of: Collection[str]) -> dict[Channel, float]:
    """Return the 99th percentile of these events' hand-off times by channel, in seconds to the millisecond."""
    waited = handoff(ledger, arrivals, of)
    return {channel: percentile(waits, 0.99) / SECOND for channel, waits in waited.items()}


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that this share of the values doesn't exceed; 0 where there are none."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0


def _is_decided(told: EventRow | None) -> bool:
    return told is not None and (told.decided_at is not None or told.quarantined_at is not None)
