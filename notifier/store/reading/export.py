"""All data about one person, read in pages along the indexes, so that a long history needs no memory."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import KeyedColumnElement

from notifier.store.core.database import Database
from notifier.store.core.schema import decision, delivery_note, event, recipient, suppression
from notifier.store.core.status import rendered
from notifier.store.people.addresses import KEYED
from notifier.store.reading import tries
from notifier.store.reading.tries import AttemptRecord

PAGE = 200  # deliveries or decisions read at once, with their attempts and messages

DELIVERY = (
    "id", "type", "channel", "state", "reason", "code", "created_at", "updated_at", "due_at", "expires_at", "provider",
    "provider_reference", "locale", "time_zone", "content_hash", "variant",
)  # fmt: skip
NOTE = ("seen_at", "read_at", "archived_at", "clicked_at")
EVENT = ("source", "source_id", "subject", "occurred_at", "accepted_at", "data")


async def suppressions(database: Database, recipient_id: str) -> list[Any]:
    """Why and since when a person's number (`sms`) or mailbox (`email`) is suppressed."""
    parts = [
        sa.select(sa.literal(channel).label("channel"), suppression.c.reason, suppression.c.since)
        .join(recipient, key == suppression.c.address_key)
        .where(recipient.c.id == recipient_id)
        for channel, key in ((channel.value, recipient.c[column]) for channel, column in KEYED.items())
    ]

    async def work(connection: AsyncConnection) -> list[Any]:
        return list(await connection.execute(sa.union_all(*parts)))

    return await database.read(work)


async def deliveries(
    database: Database, recipient_id: str, after: Any | None
) -> tuple[list[Any], Mapping[str, list[AttemptRecord]]]:
    """A page of one person's deliveries, oldest first, each with its event; and the attempts of each by its id.

    `after` is the last row of the page before.
    """
    place = (rendered.c.created_at, rendered.c.id)
    query = (
        sa.select(
            *(rendered.c[name] for name in DELIVERY),
            rendered.c.event_id,
            event.c.type.label("event_type"),
            *(event.c[name] for name in EVENT),
            *(delivery_note.c[name] for name in NOTE),
        )
        .join(event, event.c.id == rendered.c.event_id)
        .outerjoin(delivery_note, delivery_note.c.delivery_id == rendered.c.id)
        .where(rendered.c.recipient_id == recipient_id, *_behind(place, after))
        .order_by(*place)
        .limit(PAGE)
    )

    async def work(connection: AsyncConnection) -> tuple[list[Any], Mapping[str, list[AttemptRecord]]]:
        found = list(await connection.execute(query))
        return found, await tries.read(connection, database.dialect, [row.id for row in found])

    return await database.read(work)


async def decisions(database: Database, recipient_id: str, after: Any | None) -> list[Any]:
    """A page of the decisions about one person, oldest first."""
    place = (decision.c.decided_at, decision.c.event_id, decision.c.type)
    query = (
        sa.select(*place, decision.c.answers, decision.c.standing)
        .where(decision.c.recipient_id == recipient_id, *_behind(place, after))
        .order_by(*place)
        .limit(PAGE)
    )

    async def work(connection: AsyncConnection) -> list[Any]:
        return list(await connection.execute(query))

    return await database.read(work)


def _behind(place: Sequence[KeyedColumnElement[Any]], after: Any | None) -> list[sa.ColumnElement[bool]]:
    if after is None:
        return []
    values = [sa.literal(getattr(after, column.key), column.type) for column in place]
    return [sa.tuple_(*place) > sa.tuple_(*values)]
