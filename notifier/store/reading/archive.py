"""Events with all that belongs to them, read in pages: a copy of what retention may remove."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import groupby
from types import SimpleNamespace
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import KeyedColumnElement

from notifier.domain.events import BLANK
from notifier.domain.ids import first_id
from notifier.store.core import rows
from notifier.store.core.ageing import Place
from notifier.store.core.buckets import in_each
from notifier.store.core.database import Database
from notifier.store.core.schema import decision, delivery_note, event
from notifier.store.core.status import rendered
from notifier.store.delivery.events import WITH_PROGRESS
from notifier.store.reading import merging, tries
from notifier.store.reading.export import DELIVERY, NOTE
from notifier.store.reading.tries import AttemptRecord

EVENTS: Final = 200
"""Events on a page."""
BELONGING: Final = 5_000
"""Deliveries or decisions on a page: some megabytes, whatever a campaign's event has."""

EVENT: Final = (
    "id", "type", "source", "source_id", "subject", "occurred_at", "accepted_at", "decided_at", "quarantined_at",
    "handled_at", "data",
)  # fmt: skip
OF_DELIVERY: Final = (
    "id", "recipient_id", *DELIVERY[1:], "lane", "subject_key", "target", "redrive_of", "digest_id", "handled_at",
    *NOTE,
)  # fmt: skip
OF_DECISION: Final = ("type", "recipient_id", "decided_at", "answers", "standing")

Key = tuple[str, ...]
"""The place of a delivery or a decision among those of a page of events: its event's id, and the rest of its key."""


async def events(database: Database, after: Place, before: int) -> list[Any]:
    """The next page of the events accepted before an instant, oldest first; each is told once, by what all buckets know
    of it."""
    limit = merging.share(database, EVENTS)
    pages = await in_each(database, lambda bucket: _events(bucket, after, before, limit))
    if len(pages) == 1:
        return pages[0]
    found, _ = merging.merge(pages, [page[-1].id if len(page) == limit else None for page in pages], lambda row: row.id)
    return [_whole(list(copies)) for _, copies in groupby(found, key=lambda row: row.id)]


def _whole(copies: Sequence[Any]) -> Any:
    """An event by what several buckets have of it; what is blank in one is blank."""
    told = min(copies, key=lambda row: row.data != BLANK)
    decided_at, quarantined_at, handled_at = merging.progress(
        (row.decided_at, row.quarantined_at, row.handled_at) for row in copies
    )
    known = {"decided_at": decided_at, "quarantined_at": quarantined_at, "handled_at": handled_at}
    return SimpleNamespace(**{**told._asdict(), **known})


async def _events(database: Database, after: Place, before: int, limit: int) -> list[Any]:
    query = (
        WITH_PROGRESS.with_only_columns(*(WITH_PROGRESS.selected_columns[name] for name in EVENT))
        .where(event.c.id > after.id, event.c.id < first_id(before))
        .order_by(event.c.id)
        .limit(limit)
    )

    async def work(connection: AsyncConnection) -> list[Any]:
        return list(await connection.execute(query))

    return await database.read(work)


async def deliveries(
    database: Database, ids: Sequence[str], after: Key
) -> tuple[list[Any], Mapping[str, list[AttemptRecord]]]:
    """A page of the deliveries of these events, by event and id, and the attempts of each by its id."""
    limit = merging.share(database, BELONGING)
    found = await in_each(database, lambda bucket: _deliveries_here(bucket, ids, after, limit))
    if len(found) == 1:
        return found[0]
    made, _ = _merged([page for page, _ in found], limit, lambda row: (row.event_id, row.id))
    return made, {id_: tried for _, each in found for id_, tried in each.items()}


async def _deliveries_here(
    database: Database, ids: Sequence[str], after: Key, limit: int
) -> tuple[list[Any], Mapping[str, list[AttemptRecord]]]:
    async def work(connection: AsyncConnection) -> tuple[list[Any], Mapping[str, list[AttemptRecord]]]:
        parameters = _parameters(ids, after, limit)
        found = list(await connection.execute(_deliveries(database.dialect), parameters))
        return found, await tries.read(connection, database.dialect, [row.id for row in found])

    return await database.read(work)


async def decisions(database: Database, ids: Sequence[str], after: Key) -> list[Any]:
    """A page of the decisions about these events, by event, type and recipient."""
    limit = merging.share(database, BELONGING)
    pages = await in_each(database, lambda bucket: _decisions_here(bucket, ids, after, limit))
    if len(pages) == 1:
        return pages[0]
    made, end = _merged(pages, limit, lambda row: (row.event_id, row.type, row.recipient_id))
    return merging.told_once(made, more=end is not None)


def _merged(
    pages: Sequence[Sequence[Any]], limit: int, key: Callable[[Any], tuple[str, ...]]
) -> tuple[list[Any], tuple[str, ...] | None]:
    return merging.merge(pages, [key(page[-1]) if len(page) == limit else None for page in pages], key)


async def _decisions_here(database: Database, ids: Sequence[str], after: Key, limit: int) -> list[Any]:
    async def work(connection: AsyncConnection) -> list[Any]:
        parameters = _parameters(ids, after, limit)
        return list(await connection.execute(_decisions(database.dialect), parameters))

    return await database.read(work)


def _parameters(ids: Sequence[str], after: Key, limit: int) -> dict[str, Any]:
    wanted = [{"event_id": id_} for id_ in ids]
    return {"rows": wanted, "limit": limit, **{f"after_{number}": part for number, part in enumerate(after)}}


def _page(
    dialect: str,
    key: Sequence[KeyedColumnElement[str]],
    columns: Sequence[sa.ColumnElement[Any]],
    *besides: sa.Column[str],
) -> sa.Select[Any]:
    """The rows of a batch of events behind a place in the order of a key, with those `besides` that have the same id,
    if any."""
    wanted = rows.batch(dialect, [decision.c.event_id])
    behind: sa.ColumnElement[bool] = sa.false()
    for number, column in reversed(list(enumerate(key))):
        place: sa.BindParameter[str] = sa.bindparam(f"after_{number}")
        behind = sa.or_(column > place, sa.and_(column == place, behind))
    source = wanted.join(key[0].table, key[0] == wanted.c.event_id)
    for column in besides:
        source = source.outerjoin(column.table, column == key[1])
    return sa.select(key[0], *columns).select_from(source).where(behind).order_by(*key).limit(sa.bindparam("limit"))


@cache
def _deliveries(dialect: str) -> sa.Select[Any]:
    own = {**{column.key: column for column in delivery_note.c}, **{column.key: column for column in rendered.c}}
    key = (rendered.c.event_id, rendered.c.id)
    return _page(dialect, key, [own[name] for name in OF_DELIVERY], delivery_note.c.delivery_id)


@cache
def _decisions(dialect: str) -> sa.Select[Any]:
    key = (decision.c.event_id, decision.c.type, decision.c.recipient_id)
    return _page(dialect, key, [decision.c[name] for name in OF_DECISION])
