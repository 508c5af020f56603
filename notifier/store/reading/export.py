"""All data about one person, read in pages along the indexes, so that a long history needs no memory."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.store.core import rows
from notifier.store.core.database import Database
from notifier.store.core.schema import attempt, decision, delivery, delivery_note, event, recipient, suppression
from notifier.store.people.addresses import KEYED

PAGE = 200  # deliveries or decisions read at once, with what belongs to them

DELIVERY = (
    "id", "type", "channel", "state", "reason", "code", "created_at", "updated_at", "due_at", "expires_at", "provider",
    "provider_reference", "locale", "time_zone", "content_hash",
)  # fmt: skip
NOTE = ("seen_at", "read_at", "archived_at")
ATTEMPT = ("number", "started_at", "ended_at", "provider", "outcome", "code")
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
) -> tuple[list[Any], Mapping[str, list[Any]]]:
    """A page of one person's deliveries, oldest first, each with its event; and the attempts of each by its id.

    `after` is the last row of the page before.
    """
    place = (delivery.c.created_at, delivery.c.id)
    query = (
        sa.select(
            *(delivery.c[name] for name in DELIVERY),
            delivery.c.event_id,
            event.c.type.label("event_type"),
            *(event.c[name] for name in EVENT),
            *(delivery_note.c[name] for name in NOTE),
        )
        .join(event, event.c.id == delivery.c.event_id)
        .outerjoin(delivery_note, delivery_note.c.delivery_id == delivery.c.id)
        .where(delivery.c.recipient_id == recipient_id, *_behind(place, after))
        .order_by(*place)
        .limit(PAGE)
    )

    async def work(connection: AsyncConnection) -> tuple[list[Any], Mapping[str, list[Any]]]:
        found = list(await connection.execute(query))
        tried: dict[str, list[Any]] = {row.id: [] for row in found}
        if found:
            wanted = {"rows": rows.encode([{"delivery_id": id_} for id_ in tried])}
            for row in await connection.execute(_attempts(database.dialect), wanted):
                tried[row.delivery_id].append(row)
        return found, tried

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


def _behind(place: Sequence[sa.Column[Any]], after: Any | None) -> list[sa.ColumnElement[bool]]:
    if after is None:
        return []
    values = [getattr(after, column.name) for column in place]
    return [sa.tuple_(*place) > sa.tuple_(*(sa.literal(value) for value in values))]


@cache
def _attempts(dialect: str) -> sa.Select[Any]:
    wanted = rows.batch(dialect, [attempt.c.delivery_id])
    return (
        sa.select(attempt.c.delivery_id, *(attempt.c[name] for name in ATTEMPT))
        .join(wanted, wanted.c.delivery_id == attempt.c.delivery_id)
        .order_by(attempt.c.delivery_id, attempt.c.number)
    )
