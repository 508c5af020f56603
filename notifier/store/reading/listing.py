"""Lists of deliveries, newest first, by what services and staff ask for. No address and no text is read.

Each filter that an index serves is asked of it: the recipient, the event, instants. The others are looked for among so
many rows for a page (`core.paging`), so that no list costs more because little fits it.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from operator import eq, ge, lt
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.deliveries import Channel, HeldChannel, State
from notifier.domain.keys import UNBOUND, Bounds
from notifier.store.core import buckets, paging, rows
from notifier.store.core.buckets import first, over
from notifier.store.core.database import Database
from notifier.store.core.paging import Page, PageKey
from notifier.store.core.schema import delivery, event
from notifier.store.core.status import COLUMNS, JOINED, status_of
from notifier.store.delivery import earlier
from notifier.store.delivery.events import WITH_PROGRESS
from notifier.store.reading import dead
from notifier.store.reading.bounded import covered
from notifier.store.reading.tries import AttemptRecord


class DeliveryFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Criteria for deliveries; None matches any. They were created from `since` to before `until`."""

    type: str | None = None
    channel: Channel | None = None
    state: State | None = None
    recipient: str | None = None
    event: str | None = None
    since: int | None = None
    until: int | None = None


class ListedDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery as it is now, and the event that it is of. One that was collected has the id of its digest, and a
    digest its own."""

    id: str
    event_id: str
    source: str
    source_id: str
    event_type: str
    recipient_id: str
    type: str
    channel: HeldChannel
    state: State
    reason: str | None
    code: str | None
    created_at: int
    updated_at: int
    due_at: int
    attempts: int
    digest_id: str | None
    redrive_of: str | None


class DigestState(msgspec.Struct, frozen=True, kw_only=True):
    """A digest as it is now."""

    id: str
    state: State
    reason: str | None
    updated_at: int


class DeliveryDossier(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery with its attempts, and the delivery that replaced it."""

    line: ListedDelivery
    tried: list[AttemptRecord]
    redriven_as: str | None


class _Named(msgspec.Struct, frozen=True):
    """An event by its present id, and how many deliveries were planned of it."""

    id: str
    source: str
    type: str
    deliveries: int


_NOW = {column.key: column for column in COLUMNS}
_EVENT = (event.c.source, event.c.source_id, event.c.type.label("event_type"))
_LISTED = sa.select(*(_NOW[name] for name in ListedDelivery.__struct_fields__ if name in _NOW), *_EVENT).select_from(
    JOINED.join(event, event.c.id == delivery.c.event_id)
)
_ONE = _LISTED.where(delivery.c.id == sa.bindparam("id"))
_PLANNED = WITH_PROGRESS.where(event.c.id == sa.bindparam("id"))
_DIGEST = DigestState.__struct_fields__


async def find(
    database: Database, wanted: DeliveryFilter, after: PageKey | None, limit: int, bounds: Bounds = UNBOUND
) -> Page[ListedDelivery]:
    """A page of those deliveries whose events are within the bounds, newest first."""
    within, only = _conditions(wanted)
    few = False
    if wanted.event is not None:
        named = await _named(database, wanted.event)
        if named is None or not bounds.cover(named.source, named.type):
            return Page(rows=[], next=None)
        few = wanted.recipient is None and named.deliveries <= paging.LOOKED_AT
        (within if few else only).append(delivery.c.event_id == named.id)
    else:
        only += covered(bounds)
    where = database if wanted.recipient is None else buckets.of(database, wanted.recipient)
    find_in = partial(
        paging.find, model=ListedDelivery, query=_LISTED, order=(delivery.c.created_at, delivery.c.id), within=within,
        only=only, after=after, limit=limit, looked_at=None if few else paging.LOOKED_AT // len(where.buckets),
    )  # fmt: skip
    pages = await buckets.in_each(where, find_in)
    found = pages[0] if len(pages) == 1 else paging.merge(pages, _place, limit)
    # MariaDB compares sources without the blanks at their ends.
    told = [line for line in found.rows if bounds.cover(line.source, line.event_type)]
    return msgspec.structs.replace(found, rows=told)


def _conditions(wanted: DeliveryFilter) -> tuple[list[sa.ColumnElement[bool]], list[sa.ColumnElement[bool]]]:
    """What an index serves of a filter together with the order, and what rows are looked through for."""
    column, at = delivery.c, delivery.c.created_at
    within = ((column.recipient_id, eq, wanted.recipient), (at, ge, wanted.since), (at, lt, wanted.until))
    only = ((column.type, eq, wanted.type), (column.channel, eq, wanted.channel), (_NOW["state"], eq, wanted.state))
    return _given(within), _given(only)


def _given(conditions: Iterable[tuple[Any, Callable[[Any, Any], Any], Any]]) -> list[sa.ColumnElement[bool]]:
    return [compare(column, value) for column, compare, value in conditions if value is not None]


def _place(line: ListedDelivery) -> PageKey:
    return PageKey(line.created_at, line.id)


def _sum(found: Sequence[_Named | None]) -> _Named | None:
    parts = [each for each in found if each is not None]
    return msgspec.structs.replace(parts[0], deliveries=sum(each.deliveries for each in parts)) if parts else None


@over(_sum)
async def _named(database: Database, id_: str) -> _Named | None:
    """An event by its id, or by the one that it had before ids were dated."""

    async def work(connection: AsyncConnection) -> _Named | None:
        row = await earlier.row_of_event(connection, database.dialect, _PLANNED, id_)
        return None if row is None else _Named(row.id, row.source, row.type, row.deliveries or 0)

    return await database.read(work)


@over(first)
async def get(database: Database, id_: str, bounds: Bounds = UNBOUND) -> DeliveryDossier | None:
    """A delivery by its id, or by the one that it had before ids were dated; None where there is none whose event is
    within the bounds."""

    async def work(connection: AsyncConnection) -> DeliveryDossier | None:
        row = await earlier.row_of_delivery(connection, database.dialect, _ONE, id_)
        line = None if row is None else rows.read(row, ListedDelivery)
        if line is None or not bounds.cover(line.source, line.event_type):
            return None
        tried, redriven_as = await dead.history(connection, database.dialect, line.id)
        return DeliveryDossier(line=line, tried=tried, redriven_as=redriven_as)

    return await database.read(work)


def _each(found: Sequence[dict[str, DigestState]]) -> dict[str, DigestState]:
    return {id_: each for part in found for id_, each in part.items()}


@over(_each)
async def digests_of(database: Database, lines: Collection[ListedDelivery]) -> dict[str, DigestState]:
    """The digests, by their ids, in which these deliveries go out."""
    wanted = rows.ids({each.digest_id for each in lines if each.digest_id not in (None, each.id)})

    async def work(connection: AsyncConnection) -> dict[str, DigestState]:
        found = await connection.execute(status_of(database.dialect, _DIGEST), {"rows": wanted})
        return {row.id: rows.read(row, DigestState) for row in found}

    return await database.read(work) if wanted else {}
