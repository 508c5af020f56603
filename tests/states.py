"""Deliveries in any state, written without the way there."""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.deliveries import OVER
from notifier.store.core.database import Database
from notifier.store.core.schema import delivery, open_delivery, outcome
from notifier.store.core.status import rendered
from notifier.store.delivery import outcomes, tallies
from tests.written import dialect_of

TOLD = (
    "code", "started_at", "answer", "provider", "provider_reference", "locale", "time_zone", "content_hash", "version",
    "handled_at",
)  # fmt: skip


async def put(connection: AsyncConnection, *rows: dict[str, Any]) -> None:
    """Write deliveries, each given as `rendered` would read it."""
    for row in rows:
        values = {"step": 0, "reason": None, "updated_at": row["created_at"], "attempts": 0, "crashes": 0} | row
        decided = {column.name: values[column.name] for column in delivery.c if column.name in values}
        await connection.execute(sa.insert(delivery).values(decided))
        await _put_state(connection, values)


async def become(connection: AsyncConnection, ids: Sequence[str], **values: Any) -> None:
    """Change what is known of deliveries."""
    for row in list(await connection.execute(sa.select(rendered).where(rendered.c.id.in_(ids)))):
        before = row._asdict()
        after = before | values
        for table, key in ((open_delivery, open_delivery.c.id), (outcome, outcome.c.delivery_id)):
            await connection.execute(sa.delete(table).where(key == row.id))
        decided = {name: after[name] for name in ("type", "channel", "recipient_id", "state", "reason")}
        await connection.execute(sa.update(delivery).where(delivery.c.id == row.id).values(decided))
        if is_over(before):
            await _book(connection, before, -1)
        await _put_state(connection, after)


async def become_there(database: Database, ids: Sequence[str], **values: Any) -> None:
    """Change what is known of deliveries, in whatever bucket each is."""
    for each in database.buckets:
        await each.write(lambda connection: become(connection, ids, **values))


def is_over(row: Mapping[str, Any]) -> bool:
    return row["state"] in OVER or row.get("handled_at") is not None


async def _put_state(connection: AsyncConnection, row: Mapping[str, Any]) -> None:
    told = {name: row[name] for name in TOLD if row.get(name) is not None}
    if told or row["attempts"]:
        last = {"number": 1, "at": row["updated_at"], "attempts": row["attempts"], "crashes": row["crashes"]}
        became = {"delivery_id": row["id"], "state": row["state"], "reason": row["reason"]}
        await connection.execute(sa.insert(outcome).values(last | became | told))
    if is_over(row):
        await _book(connection, row, 1)
    else:
        now = {column.name: row[column.name] for column in open_delivery.c if column.name in row}
        await connection.execute(sa.insert(open_delivery).values(now))


async def _book(connection: AsyncConnection, row: Mapping[str, Any], number: int) -> None:
    await tallies.add(connection, dialect_of(connection), [outcomes.over(SimpleNamespace(**row), number)])
