"""Clicks as they wait to be judged: a row for each link of a delivery that was followed lately."""

from functools import cache
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.clicks import Click
from notifier.domain.deliveries import State
from notifier.store.core import rows
from notifier.store.core.buckets import over, total
from notifier.store.core.database import Database
from notifier.store.core.effects import click
from notifier.store.core.schema import delivery, outcome


@over(total)
async def write(database: Database, delivery_id: str, link: int, now: int) -> int:
    """Write down that a link was followed; returns how many rows are new: none where the link waits already or the
    delivery isn't kept any more. It is in one bucket, which nobody can tell by its id."""
    row = {"delivery_id": delivery_id, "link": link, "at": now}

    async def work(connection: AsyncConnection) -> int:
        return (await connection.execute(_insert(database.dialect), {"rows": [row]})).rowcount

    return await database.write(work)


async def take_over(connection: AsyncConnection, dialect: str, until: int, limit: int) -> list[Click]:
    """Take away the clicks of deliveries of which a link was followed by then, at most `limit` of such links, first
    come first."""
    due = {row.delivery_id for row in await connection.execute(_DUE, {"until": until, "limit": limit})}
    if not due:
        return []
    wanted = {"rows": [{"delivery_id": id_} for id_ in sorted(due)]}
    found = [rows.read(row, Click) for row in await connection.execute(_of(dialect), wanted)]
    await connection.execute(_delete(dialect), wanted)
    return found


_DUE: Final = (
    sa.select(click.c.delivery_id)
    .where(click.c.at <= sa.bindparam("until"))
    .order_by(click.c.at)
    .limit(sa.bindparam("limit"))
    .with_for_update(skip_locked=True)
)


@cache
def _insert(dialect: str) -> sa.Insert:
    return rows.insert(
        dialect, click, list(click.c), lambda given: sa.exists().where(delivery.c.id == given.c.delivery_id)
    )  # fmt: skip


@cache
def _of(dialect: str) -> sa.Select[Any]:
    wanted = rows.batch(dialect, [click.c.delivery_id])
    clicks = rows.lookup(wanted, click, click.c.delivery_id == wanted.c.delivery_id)
    out = sa.and_(outcome.c.delivery_id == delivery.c.id, outcome.c.state.in_([State.SENT, State.DELIVERED]))
    sent_at = sa.select(sa.func.min(outcome.c.at)).where(out).correlate(delivery).scalar_subquery()
    return (
        sa.select(*click.c, delivery.c.recipient_id, sent_at.label("sent_at"))
        .select_from(rows.lookup(clicks, delivery, delivery.c.id == click.c.delivery_id))
    )  # fmt: skip


@cache
def _delete(dialect: str) -> sa.Delete:
    return rows.delete(dialect, click, rows.batch(dialect, [click.c.delivery_id]))
