"""Lists of deliveries, newest first, by what services and staff ask for. No address and no text is read.

Each filter that an index serves is asked of it: the recipient, the event, instants, and what waits, which is open. The
others are looked for among so many rows for a page (`core.paging`), so that no list costs more because little fits it.
"""

from collections.abc import Callable, Collection, Sequence
from functools import cache, partial
from operator import eq, ge, lt
from typing import Any, Final, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.deliveries import Channel, HeldChannel, State
from notifier.domain.keys import UNBOUND, Bounds
from notifier.store.core import buckets, paging, rows
from notifier.store.core.buckets import first, over, total
from notifier.store.core.database import Database
from notifier.store.core.paging import Page, PageKey
from notifier.store.core.schema import delivery, event, open_delivery
from notifier.store.core.status import NOW, joined, of_batch, status_of
from notifier.store.core.twins import of_tests
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


ALWAYS_OPEN: Final = (State.PENDING, State.UNKNOWN)
"""States in which every delivery has a row of `open_delivery`."""

_LISTED = (
    *(NOW[name] for name in ListedDelivery.__struct_fields__ if name in NOW),
    *(event.c.source, event.c.source_id, event.c.type.label("event_type")),
)
_ONE = (
    sa.select(*_LISTED)
    .select_from(joined(delivery).join(event, event.c.id == delivery.c.event_id))
    .where(delivery.c.id == sa.bindparam("id"))
)
_PLANNED = WITH_PROGRESS.where(event.c.id == sa.bindparam("id"))
_DIGEST = DigestState.__struct_fields__


class _Search(NamedTuple):
    """How a list is found, by `paging.find`; without `looked_at` an index leaves few deliveries."""

    where: sa.FromClause
    within: list[sa.ColumnElement[bool]]
    only: list[sa.ColumnElement[bool]]
    looked_at: int | None


async def find(
    database: Database, wanted: DeliveryFilter, after: PageKey | None, limit: int, bounds: Bounds = UNBOUND
) -> Page[ListedDelivery]:
    """A page of those deliveries whose events are within the bounds, newest first."""
    there = database if wanted.recipient is None else buckets.of(database, wanted.recipient)
    search = await _search(there, wanted, bounds)
    if search is None:
        return Page(rows=[], next=None)
    order = delivery.c.created_at, delivery.c.id
    find_in = partial(
        paging.find, model=ListedDelivery, query=_listed(database.dialect), order=order,
        where=search.where, within=search.within, only=search.only, after=after, limit=limit,
        looked_at=None if search.looked_at is None else search.looked_at // len(there.buckets),
    )  # fmt: skip
    pages = await buckets.in_each(there, find_in)
    found = pages[0] if len(pages) == 1 else paging.merge(pages, _place, limit)
    # MariaDB compares sources without the blanks at their ends.
    told = [line for line in found.rows if bounds.cover(line.source, line.event_type)]
    return msgspec.structs.replace(found, rows=told)


async def _search(database: Database, wanted: DeliveryFilter, bounds: Bounds) -> _Search | None:
    """How to find what fits a filter within the bounds; None where nothing does."""
    column, at = delivery.c, delivery.c.created_at
    within = _given((column.recipient_id, eq, wanted.recipient), (at, ge, wanted.since), (at, lt, wanted.until))
    only = _given((column.type, eq, wanted.type), (column.channel, eq, wanted.channel))
    where: sa.FromClause = delivery
    looked_at: int | None = paging.LOOKED_AT
    if wanted.event is not None:
        named = await _named(database, wanted.event)
        if named is None or not bounds.cover(named.source, named.type):
            return None
        few = wanted.recipient is None and named.deliveries <= paging.LOOKED_AT
        (within if few else only).append(column.event_id == named.id)
        looked_at = None if few else looked_at
    if wanted.state is not None:
        only.append(NOW["state"] == wanted.state)
        where, looked_at = joined(delivery), looked_at and paging.LOOKED_UP
        if wanted.state in ALWAYS_OPEN and wanted.recipient is None and await _are_few(database, wanted.state):
            within.append(open_delivery.c.state == wanted.state)
            looked_at = None
    if wanted.event is None and bounds.test is not None:
        only.append(of_tests(column.type, test=bounds.test))
    if wanted.event is None and bounds.narrow:
        only += covered(bounds)
        where, looked_at = where.join(event, event.c.id == column.event_id), looked_at and paging.LOOKED_UP
    return _Search(where, within, only, looked_at)


@cache
def _listed(dialect: str) -> sa.Select[Any]:
    told = joined(of_batch(dialect)).join(event, event.c.id == delivery.c.event_id)
    return sa.select(*_LISTED).select_from(told).order_by(delivery.c.created_at.desc(), delivery.c.id.desc())


def _given(*conditions: tuple[Any, Callable[[Any, Any], Any], Any]) -> list[sa.ColumnElement[bool]]:
    return [compare(column, value) for column, compare, value in conditions if value is not None]


async def _are_few(database: Database, state: State) -> bool:
    """Whether so few deliveries are open in a state that they can be sorted."""
    return await _count_open(database, state) <= paging.LOOKED_UP


@over(total)
async def _count_open(database: Database, state: State) -> int:
    """Count the open deliveries of a state, up to one more than are few."""
    some = sa.select(open_delivery.c.id).where(open_delivery.c.state == state).limit(paging.LOOKED_UP + 1).subquery()

    async def work(connection: AsyncConnection) -> int:
        return (await connection.execute(sa.select(sa.func.count()).select_from(some))).scalar_one()

    return await database.read(work)


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
