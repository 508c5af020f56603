"""The details of one event or delivery, and what is known of activity at large. No address is read."""

from collections.abc import Collection, Sequence

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.deliveries import HeldChannel, Lane, State
from notifier.domain.preferences import read_preferences
from notifier.store.core import rows
from notifier.store.core.buckets import first, of_person, over, sums
from notifier.store.core.database import Database
from notifier.store.core.paging import PageKey
from notifier.store.core.schema import delivery, event, open_delivery, open_event, recipient
from notifier.store.core.status import rendered, status
from notifier.store.delivery.events import WITH_PROGRESS
from notifier.store.reading import dead, merging
from notifier.store.reading.tries import AttemptRecord

OF_EVENT = 100  # deliveries listed for one event: a campaign has any number

PEOPLE = 20  # people found by one address: a family shares a number, a fleet a mailbox


class DeliverySummary(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery as a line of a list."""

    id: str
    event_id: str
    recipient_id: str
    type: str
    channel: HeldChannel
    lane: Lane
    state: State
    reason: str | None
    created_at: int
    updated_at: int


class DeliveryDetails(DeliverySummary, frozen=True, kw_only=True):
    """All details of a delivery. `code` is the receipt's, `crashes` counts workers that died while holding it,
    `redriven_as` is the delivery that replaced it."""

    code: str | None
    due_at: int
    expires_at: int
    attempts: int
    crashes: int
    provider: str | None
    provider_reference: str | None
    locale: str | None
    redrive_of: str | None
    handled_at: int | None
    digest_id: str | None
    redriven_as: str | None = None
    tried: list[AttemptRecord] = []


class EventDetails(msgspec.Struct, frozen=True, kw_only=True):
    """An event without its data. `deliveries` is how many were made of it, None until it is decided."""

    id: str
    source: str
    source_id: str
    type: str
    subject: str | None
    occurred_at: int
    accepted_at: int
    decided_at: int | None
    deliveries: int | None
    quarantined_at: int | None
    handled_at: int | None
    tries: int


_OF_EVENT = WITH_PROGRESS.with_only_columns(
    *(column for column in WITH_PROGRESS.selected_columns if column.key in EventDetails.__struct_fields__)
)
_OWN = [rendered.c[name] for name in DeliveryDetails.__struct_fields__ if name not in ("redriven_as", "tried")]


def _place(line: DeliverySummary) -> PageKey:
    return PageKey(line.created_at, line.id)


async def get(database: Database, id_: str) -> tuple[DeliveryDetails, EventDetails] | None:
    """A delivery and its event; None where there is no such delivery."""
    found = await _get(database, id_)
    if found is None or len(database.buckets) == 1:
        return found
    of = await get_event(database, found[1].id)
    return found if of is None else (found[0], of[0])


@over(first)
async def _get(database: Database, id_: str) -> tuple[DeliveryDetails, EventDetails] | None:
    async def work(connection: AsyncConnection) -> tuple[DeliveryDetails, EventDetails] | None:
        row = (await connection.execute(sa.select(*_OWN).where(rendered.c.id == id_))).first()
        if row is None:
            return None
        told = rows.read(row, DeliveryDetails)
        tried, redriven_as = await dead.history(connection, database.dialect, id_)
        told = msgspec.structs.replace(told, tried=tried, redriven_as=redriven_as)
        of = await _event(connection, told.event_id)
        return None if of is None else (told, of)

    return await database.read(work)


_Listed = tuple[EventDetails, list[DeliverySummary]] | None


def _whole(found: Sequence[_Listed]) -> _Listed:
    """An event and its deliveries by what several buckets have of them."""
    parts = [each for each in found if each is not None]
    if not parts:
        return None
    of = [part[0] for part in parts]
    made = [each.deliveries for each in of if each.deliveries is not None]
    decided_at, quarantined_at, handled_at = merging.progress(
        (each.decided_at, each.quarantined_at, each.handled_at) for each in of
    )
    told = msgspec.structs.replace(
        of[0], subject=None if any(each.subject is None for each in of) else of[0].subject, decided_at=decided_at,
        quarantined_at=quarantined_at, handled_at=handled_at, deliveries=sum(made) if made else None,
        tries=max(each.tries for each in of),
    )  # fmt: skip
    return told, sorted((line for part in parts for line in part[1]), key=_place)[:OF_EVENT]


@over(_whole)
async def get_event(database: Database, id_: str) -> _Listed:
    """An event and its deliveries, `OF_EVENT` of them at most, oldest first; None where there is no such event."""

    async def work(connection: AsyncConnection) -> _Listed:
        told = await _event(connection, id_)
        if told is None:
            return None
        columns = [status.c[name] for name in DeliverySummary.__struct_fields__]
        # Unordered: sorting a campaign's million rows to show a hundred would take a second.
        found = await connection.execute(sa.select(*columns).where(status.c.event_id == id_).limit(OF_EVENT))
        lines = [rows.read(row, DeliverySummary) for row in found]
        return told, sorted(lines, key=_place)

    return await database.read(work)


@of_person
async def knows_recipient(database: Database, id_: str) -> bool:
    """Whether a recipient with this id exists or existed."""

    async def work(connection: AsyncConnection) -> bool:
        known = sa.select(recipient.c.id).where(recipient.c.id == id_).exists()
        written_to = sa.select(delivery.c.id).where(delivery.c.recipient_id == id_).exists()
        return bool((await connection.execute(sa.select(sa.or_(known, written_to)))).scalar_one())

    return await database.read(work)


@of_person
async def zone_of(database: Database, recipient_id: str) -> str | None:
    """A recipient's time zone: their own choice before what their service says; None where there is no
    such recipient."""
    query = sa.select(recipient.c.time_zone, recipient.c.preferences).where(recipient.c.id == recipient_id)

    async def work(connection: AsyncConnection) -> str | None:
        row = (await connection.execute(query)).first()
        return None if row is None else read_preferences(row.preferences).time_zone or row.time_zone

    return await database.read(work)


def _people(found: Sequence[list[str]]) -> list[str]:
    return sorted(id_ for part in found for id_ in part)[:PEOPLE]


@over(_people)
async def find_people(database: Database, ids: Collection[str], address_keys: Collection[str]) -> list[str]:
    """The ids of people with one of these ids or address keys, by indexes, `PEOPLE` of each at most."""
    questions = [
        sa.select(recipient.c.id).where(column.in_(given)).limit(PEOPLE)
        for column, given in (
            (recipient.c.id, ids),
            (recipient.c.phone_key, address_keys),
            (recipient.c.email_key, address_keys),
        )
        if given
    ]

    async def work(connection: AsyncConnection) -> list[str]:
        found = {row.id for question in questions for row in await connection.execute(question)}
        return sorted(found)

    return await database.read(work)


@over(sums)
async def made_since(database: Database, instant: int) -> dict[str, int]:
    """Count the deliveries of each type made since an instant; reads every one of them."""
    query = sa.select(delivery.c.type, sa.func.count().label("number")).where(delivery.c.created_at > instant)

    async def work(connection: AsyncConnection) -> dict[str, int]:
        return {row.type: row.number for row in await connection.execute(query.group_by(delivery.c.type))}

    return await database.read(work)


_Waiting = tuple[int | None, int | None]


def _longest(found: Sequence[_Waiting]) -> _Waiting:
    events, deliveries = ([at for at in each if at is not None] for each in zip(*found, strict=True))
    return min(events, default=None), min(deliveries, default=None)


@over(_longest)
async def waiting_since(database: Database) -> _Waiting:
    """When the longest-waiting event and delivery fell due; None where none is open."""

    async def work(connection: AsyncConnection) -> _Waiting:
        oldest = [
            sa.select(sa.func.min(table.c.next_check_at)).where(table.c.next_check_at.is_not(None)).scalar_subquery()
            for table in (open_event, open_delivery)
        ]
        row = (await connection.execute(sa.select(*oldest))).one()
        return row[0], row[1]

    return await database.read(work)


async def _event(connection: AsyncConnection, id_: str) -> EventDetails | None:
    row = (await connection.execute(_OF_EVENT.where(event.c.id == id_))).first()
    return None if row is None else rows.read(row, EventDetails)
