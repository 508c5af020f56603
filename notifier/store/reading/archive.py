"""Events with all that belongs to them, read in pages: a copy of what retention may remove."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import KeyedColumnElement

from notifier.domain.ids import first_id
from notifier.store.core import rows
from notifier.store.core.ageing import Place
from notifier.store.core.database import Database
from notifier.store.core.schema import decision, delivery_note, event
from notifier.store.core.status import rendered
from notifier.store.delivery.events import WITH_PROGRESS
from notifier.store.reading import tries
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
    """The next page of the events accepted before an instant, oldest first."""
    query = (
        WITH_PROGRESS.with_only_columns(*(WITH_PROGRESS.selected_columns[name] for name in EVENT))
        .where(event.c.id > after.id, event.c.id < first_id(before))
        .order_by(event.c.id)
        .limit(EVENTS)
    )

    async def work(connection: AsyncConnection) -> list[Any]:
        return list(await connection.execute(query))

    return await database.read(work)


async def deliveries(
    database: Database, ids: Sequence[str], after: Key
) -> tuple[list[Any], Mapping[str, list[AttemptRecord]]]:
    """A page of the deliveries of these events, by event and id, and the attempts of each by its id."""

    async def work(connection: AsyncConnection) -> tuple[list[Any], Mapping[str, list[AttemptRecord]]]:
        parameters = {"rows": [{"event_id": id_} for id_ in ids], **_parameters(after)}
        found = list(await connection.execute(_deliveries(database.dialect), parameters))
        return found, await tries.read(connection, database.dialect, [row.id for row in found])

    return await database.read(work)


async def decisions(database: Database, ids: Sequence[str], after: Key) -> list[Any]:
    """A page of the decisions about these events, by event, type and recipient."""

    async def work(connection: AsyncConnection) -> list[Any]:
        parameters = {"rows": [{"event_id": id_} for id_ in ids], **_parameters(after)}
        return list(await connection.execute(_decisions(database.dialect), parameters))

    return await database.read(work)


def _parameters(after: Key) -> dict[str, str]:
    return {f"after_{number}": part for number, part in enumerate(after)}


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
    return sa.select(key[0], *columns).select_from(source).where(behind).order_by(*key).limit(BELONGING)


@cache
def _deliveries(dialect: str) -> sa.Select[Any]:
    own = {**{column.key: column for column in delivery_note.c}, **{column.key: column for column in rendered.c}}
    key = (rendered.c.event_id, rendered.c.id)
    return _page(dialect, key, [own[name] for name in OF_DELIVERY], delivery_note.c.delivery_id)


@cache
def _decisions(dialect: str) -> sa.Select[Any]:
    key = (decision.c.event_id, decision.c.type, decision.c.recipient_id)
    return _page(dialect, key, [decision.c[name] for name in OF_DECISION])
