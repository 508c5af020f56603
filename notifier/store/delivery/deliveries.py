"""Deliveries: written by `decide`, signalled by the clock, loaded with everything needed to send them. `leases` is how
workers hold them."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.campaigns import Pause
from notifier.domain.channels import Reach
from notifier.domain.deliveries import DEAD, OVER, UNREACHED, Channel, Lane, Reason, State
from notifier.domain.recipient_facts import RecipientFacts
from notifier.domain.trace_context import TraceContext, parted
from notifier.store.core import rows
from notifier.store.core.buckets import first, over, total
from notifier.store.core.columns import tail_of
from notifier.store.core.database import Database
from notifier.store.core.effects import campaign
from notifier.store.core.schema import (
    decision,
    delivery,
    device,
    earlier_delivery,
    event,
    open_delivery,
    recipient,
    supersession,
    suppression,
)
from notifier.store.core.status import status
from notifier.store.delivery import batch_leases, campaigns, digests, earlier, fallback_steps, outcomes
from notifier.store.delivery.batch_leases import BatchLease
from notifier.store.delivery.decisions import Decision, stored
from notifier.store.delivery.digests import Item
from notifier.store.delivery.outcomes import End
from notifier.store.delivery.supersessions import Supersession
from notifier.store.people import addresses, recipient_facts
from notifier.store.people.suppressions import ADDRESS_KEY


class NewDelivery(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A delivery as `decide` writes it: pending and due, ended at once with a reason, or taken by who decides it.

    A row of `delivery`, and of `open_delivery` where it isn't over.
    """

    id: str
    event_id: str
    recipient_id: str
    type: str
    channel: Channel
    target: str
    lane: Lane
    subject_key: str
    state: State
    reason: str | None
    created_at: int
    updated_at: int
    due_at: int
    expires_at: int
    next_check_at: int | None
    attempts: int = 0
    step: int = 0
    digest_id: str | None = None
    lease_token: str | None = None
    redrive_of: str | None = None
    variant: str | None = None


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery with everything needed to check it again and send it. It holds addresses, so its repr shows none.

    `data` are its event's, None where they can't be read. `reach` are its recipient's addresses, `address_key` that of
    the number or mailbox it goes to, `standing` where its recipient stands now; None where they are gone.
    `mark` is what has made deliveries about the same thing out of date, `reached` says whether an earlier step has
    reached the person, `told` whether they heard of what the message closes.
    `held` are the data of what a digest holds, None where it is none. `pause` is its campaign's, if there was one.
    `traces` are the contexts of the events that it tells of, as far as they are traced; its own event's comes first.
    """

    id: str
    event_id: str
    recipient_id: str
    type: str
    channel: Channel
    lane: Lane
    target: str
    subject_key: str
    created_at: int
    expires_at: int
    redrive_of: str | None
    variant: str | None
    attempts: int
    crashes: int
    occurred_at: int
    accepted_at: int
    data: dict[str, Any] | None
    reach: Reach
    facts: RecipientFacts | None
    address_key: str | None
    supersession: Supersession | None
    reached: bool
    told: bool
    digest_items: tuple[str, ...] | None
    traces: tuple[TraceContext, ...]
    pause: Pause | None = None

    @property
    def starts_at(self) -> int:
        """When the event happened, at the latest its acceptance: a producer's fast clock doesn't put it behind later
        events."""
        return min(self.occurred_at, self.accepted_at)

    def __repr__(self) -> str:
        return f"<Ready {self.id}>"


class Subject(msgspec.Struct, frozen=True):
    """A delivery's notification type and subject."""

    id: str
    type: str
    subject_key: str


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery's move from one state to another that no worker holds; it happens only from `before`."""

    id: str
    before: State
    state: State
    reason: str | None
    due_at: int
    next_check_at: int | None


async def existing(connection: AsyncConnection, dialect: str, ids: Sequence[str]) -> set[str]:
    """Ids of those deliveries that are already in the store."""
    found = await connection.execute(_existing(dialect), {"rows": rows.ids(ids)})
    return {row.id for row in found}


_WHOSE = ("id", "event_id", "created_at")


async def add(connection: AsyncConnection, dialect: str, deliveries: Sequence[NewDelivery]) -> list[NewDelivery]:
    """Write deliveries that don't exist yet; returns those that belong to their events: other events had already made
    the rest."""
    if not deliveries:
        return []
    new = list(deliveries)
    if (await connection.execute(_insert(dialect), {"rows": deliveries})).rowcount != len(deliveries):
        wanted = [{name: getattr(each, name) for name in _WHOSE} for each in deliveries]
        found = {row.id for row in await connection.execute(_own(dialect), {"rows": wanted})}
        new = [each for each in deliveries if each.id in found]
    if open_ := [each for each in new if each.state not in OVER and each.lease_token is None]:
        await connection.execute(_open(dialect), {"rows": open_})
    await batch_leases.add(connection, dialect, _leases(new))
    await outcomes.decide(connection, dialect, new)
    return new


def _leases(taken: Iterable[NewDelivery]) -> list[BatchLease]:
    """The leases on deliveries that are written as taken; each token is of one channel."""
    found: dict[str, list[NewDelivery]] = {}
    for each in taken:
        if each.lease_token is not None:
            found.setdefault(each.lease_token, []).append(each)
    return [
        BatchLease(
            token=token, channel=held[0].channel, ends_at=held[0].next_check_at or held[0].created_at,
            waiting=len(held), deliveries=[each.id for each in held],
        )
        for token, held in found.items()
    ]  # fmt: skip


async def add_decisions(connection: AsyncConnection, dialect: str, decisions: Sequence[Decision]) -> None:
    """Write decisions and their reasons."""
    if decisions:
        await connection.execute(_insert_decisions(dialect), {"rows": stored(decisions)})


async def has_decisions(connection: AsyncConnection, event_id: str, type_: str) -> bool:
    """Whether any decision was made about an event for a type."""
    query = sa.select(sa.literal(1)).where(decision.c.event_id == event_id, decision.c.type == type_).limit(1)
    return (await connection.execute(query)).first() is not None


IS_KNOWN = open_delivery.c.channel.in_(sorted(Channel))
"""Whether a delivery's channel is one of this release: those of another are left to processes of that one."""

_AS_THEY_ARE = (
    "id", "event_id", "recipient_id", "type", "target", "subject_key", "created_at", "expires_at", "redrive_of",
    "variant", "attempts", "crashes", "occurred_at", "accepted_at", "address_key",
)  # fmt: skip
"""Columns that become members of `Ready` unchanged."""


async def load(database: Database, ids: Sequence[str], state: State) -> list[Ready]:
    """Load deliveries that are in a state, without claiming them: two workers may load the same ones."""

    async def work(connection: AsyncConnection) -> list[Ready]:
        query = ready(database.dialect).where(open_delivery.c.state == sa.bindparam("state"))
        found = await connection.execute(query, {"rows": rows.ids(ids), "state": state})
        return await read(connection, database.dialect, list(found))

    return await database.read(work) if ids else []


async def read(connection: AsyncConnection, dialect: str, found: Sequence[sa.Row[Any]]) -> list[Ready]:
    """The deliveries of rows that a query made of `ready` answered."""
    known = {row.id: row for row in found if row.preferences is not None}
    devices = {id_: row.device_value is not None for id_, row in known.items()}
    standings = await recipient_facts.make(connection, dialect, known, devices)
    digest_ids = {row.digest_id for row in found if row.digest_id is not None}
    items = await digests.items(connection, dialect, digest_ids) if digest_ids else {}
    documents = {row.event_id: parted(row.document) for row in found}  # an event has a delivery for each channel
    data = {event_id: _data(document) for event_id, (document, _) in documents.items()}
    return [
        Ready(
            **{name: getattr(row, name) for name in _AS_THEY_ARE}, channel=Channel(row.channel), lane=Lane(row.lane),
            reached=bool(row.reached), reach=addresses.reach(row), data=data[row.event_id],
            facts=standings.get(row.id), supersession=_mark(row), told=True,
            digest_items=None if row.digest_id is None else tuple(each.data for each in items.get(row.digest_id, ())),
            traces=_traces(documents[row.event_id][1], items.get(row.digest_id, ())), pause=campaigns.pause_of(row),
        )
        for row in found
    ]  # fmt: skip


def _traces(own: TraceContext | None, items: Sequence[Item]) -> tuple[TraceContext, ...]:
    """The contexts of a delivery's event and of what it holds as a digest, each once."""
    if own is None and not items:
        return ()
    return tuple(dict.fromkeys(each for each in (own, *(item.trace for item in items)) if each is not None))


def _data(document: str) -> dict[str, Any] | None:
    """An event's data; None where another version wrote data that this one can't read, so that others
    aren't held up."""
    try:
        return msgspec.json.decode(document, type=dict[str, Any])
    except msgspec.DecodeError:
        return None


def _mark(row: Any) -> Supersession | None:
    if row.marked_until is None:
        return None
    return Supersession(
        subject_key=row.subject_key, until=row.marked_until, reason=Reason(row.marked_reason),
        event_id=row.marked_event_id,
    )  # fmt: skip


async def move(database: Database, moves: Sequence[Move], now: int) -> int:
    """Move deliveries that no worker holds; returns how many were still in the state where their move begins."""
    wanted = {move.id: move for move in moves}

    async def work(connection: AsyncConnection) -> int:
        dialect = database.dialect
        locked = await outcomes.lock(connection, dialect, wanted)
        held = {id_: each for id_, each in locked.items() if each.state == wanted[id_].before}
        ends = {id_: End(wanted[id_].state, wanted[id_].reason) for id_ in held}
        going_on = [wanted[id_] for id_ in held if wanted[id_].state not in OVER]
        await outcomes.end(connection, dialect, {id_: how for id_, how in ends.items() if how.state in OVER}, held, now)
        dead = {id_: how for id_, how in ends.items() if how.state in DEAD}
        await outcomes.note(connection, dialect, dead, held, now)
        if going_on:
            await connection.execute(_move(dialect), {"rows": going_on, "now": now})
        unreached = [id_ for id_ in held if wanted[id_].state in UNREACHED]
        await fallback_steps.bring_forward(connection, dialect, unreached, now)
        return len(held)

    return await database.write(work) if moves else 0


@over(first)
async def get(database: Database, id_: str) -> Subject | None:
    """A delivery's type and subject, by its id or the one that it had; None where there is no such delivery."""
    query = sa.select(delivery.c.id, delivery.c.type, delivery.c.subject_key).where(delivery.c.id == sa.bindparam("id"))

    async def work(connection: AsyncConnection) -> Subject | None:
        row = await earlier.row_of_delivery(connection, database.dialect, query, id_)
        return None if row is None else Subject(*row)

    return await database.read(work)


@over(total)
async def waiting(database: Database, now: int) -> int:
    """Count deliveries that are due in the future and were never tried."""
    query = sa.select(sa.func.count()).where(
        open_delivery.c.state == State.PENDING, open_delivery.c.due_at > now, open_delivery.c.attempts == 0
    )

    async def work(connection: AsyncConnection) -> int:
        return int((await connection.execute(query)).scalar_one())

    return await database.read(work)


def _all(found: Sequence[dict[tuple[str, str], State]]) -> dict[tuple[str, str], State]:
    return {key: state for part in found for key, state in part.items()}


@over(_all)
async def states(database: Database, since: int = 0) -> dict[tuple[str, str], State]:
    """The state of each delivery created since an instant, by channel and id: for comparisons, not for the hot path."""
    query = sa.select(status.c.channel, status.c.id, status.c.state).where(status.c.created_at >= since)

    async def work(connection: AsyncConnection) -> dict[tuple[str, str], State]:
        found = await connection.execute(query)
        return {(row.channel, row.id): State(row.state) for row in found}

    return await database.read(work)


@cache
def _existing(dialect: str) -> sa.Select[tuple[str]]:
    wanted = rows.batch(dialect, [delivery.c.id])
    return sa.select(delivery.c.id).join(wanted, wanted.c.id == delivery.c.id)


@cache
def _own(dialect: str) -> sa.Select[tuple[str]]:
    wanted = rows.batch(dialect, [delivery.c[name] for name in _WHOSE])
    return sa.select(delivery.c.id).join(wanted, sa.and_(*(wanted.c[name] == delivery.c[name] for name in _WHOSE)))


@cache
def _insert(dialect: str) -> sa.Insert:
    columns = [column for column in delivery.c if column.name in NewDelivery.__struct_fields__]

    def told_earlier(new: sa.FromClause) -> sa.Exists:
        return sa.exists().where(earlier_delivery.c.tail == tail_of(dialect, new.c.id))

    return rows.append_missing(dialect, delivery, columns, told_earlier)


@cache
def _open(dialect: str) -> sa.Insert:
    columns = [column for column in open_delivery.c if column.name in NewDelivery.__struct_fields__]
    return rows.append(dialect, open_delivery, columns)


@cache
def _insert_decisions(dialect: str) -> sa.Insert:
    return rows.append(dialect, decision, [decision.c[name] for name in Decision.__struct_fields__])


@cache
def ready(dialect: str) -> sa.Select[Any]:
    """The query behind `read`, for callers that add which deliveries they want."""
    wanted = rows.batch(dialect, [delivery.c.id])
    own = ("id", "event_id", "recipient_id", "type", "channel", "lane", "target", "subject_key")
    return (
        sa.select(
            *(delivery.c[name] for name in (*own, "created_at", "expires_at", "redrive_of", "digest_id", "variant")),
            fallback_steps.REACHED.label("reached"),
            # The number of finished attempts: a claim counts the one that it begins.
            (open_delivery.c.attempts - sa.case((open_delivery.c.state == State.SENDING, 1), else_=0)).label(
                "attempts"
            ),
            open_delivery.c.crashes,
            event.c.occurred_at,
            event.c.accepted_at,
            event.c.data.label("document"),
            *(recipient.c[name] for name in ("name", "email", "phone", *recipient_facts.COLUMNS)),
            *(device.c[name].label(f"device_{name}") for name in ("kind", "value", "platform")),
            ADDRESS_KEY.label("address_key"),
            *(
                sa.case((delivery.c.channel == channel, suppression.c.reason)).label(f"suppressed_{channel}")
                for channel in addresses.KEYED
            ),
            *(supersession.c[name].label(f"marked_{name}") for name in ("until", "reason", "event_id")),
            *campaigns.PAUSE,
        )
        .select_from(rows.lookup(wanted, open_delivery, open_delivery.c.id == wanted.c.id))
        .join(delivery, delivery.c.id == open_delivery.c.id)
        .join(event, event.c.id == delivery.c.event_id)
        .outerjoin(recipient, recipient.c.id == delivery.c.recipient_id)
        .outerjoin(device, sa.and_(device.c.id == delivery.c.target, device.c.recipient_id == delivery.c.recipient_id))
        .outerjoin(suppression, suppression.c.address_key == ADDRESS_KEY)
        .outerjoin(supersession, supersession.c.subject_key == delivery.c.subject_key)
        .outerjoin(campaign, campaign.c.event_id == delivery.c.event_id)
    )


@cache
def _move(dialect: str) -> sa.Update:
    names = ("id", "state", "reason", "due_at", "next_check_at")
    moves = rows.batch(dialect, [open_delivery.c[name] for name in names])
    return rows.update(open_delivery, moves).values(
        {name: moves.c[name] for name in names[1:]} | {"updated_at": sa.bindparam("now")}
    )
