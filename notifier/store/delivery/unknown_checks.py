"""Unknown deliveries while their providers are asked: held by `next_check_at`, and counted as crashes until the answer.

A status query has to render the message, and a message whose rendering kills a worker must not do so again and again.
"""

from collections.abc import Sequence
from functools import cache

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.deliveries import State
from notifier.store.core import rows
from notifier.store.core.database import Database
from notifier.store.core.schema import open_delivery
from notifier.store.delivery.deliveries import IS_KNOWN


async def begin(database: Database, ids: Sequence[str], free_until: int, held_until: int) -> list[str]:
    """Take unknown deliveries that nobody holds beyond `free_until`.

    Each counts as a crash until `end`. The clock looks again at `held_until`.
    """

    async def work(connection: AsyncConnection) -> list[str]:
        found = await connection.execute(_free(database.dialect), {"rows": rows.ids(ids), "free_until": free_until})
        taken = list(found.scalars())
        if taken:
            await connection.execute(_hold(database.dialect), {"rows": rows.ids(taken), "held_until": held_until})
        return taken

    return await database.write(work)


async def end(database: Database, ids: Sequence[str], look_at: int) -> None:
    """End the checks: take the crash counts back, as the worker lives, and give deliveries that are still unknown to
    the clock."""

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(_release(database.dialect), {"rows": rows.ids(ids), "look_at": look_at})

    await database.write(work)


@cache
def _free(dialect: str) -> sa.Select[str]:
    wanted = rows.batch(dialect, [open_delivery.c.id])
    query = (
        sa.select(open_delivery.c.id)
        .select_from(rows.lookup(wanted, open_delivery, open_delivery.c.id == wanted.c.id))
        .where(
            open_delivery.c.state == State.UNKNOWN,
            open_delivery.c.next_check_at <= sa.bindparam("free_until"),
            IS_KNOWN,
        )
    )
    return rows.locking(query, dialect, open_delivery, skip_locked=True)


@cache
def _hold(dialect: str) -> sa.Update:
    wanted = rows.batch(dialect, [open_delivery.c.id])
    return rows.update(open_delivery, wanted).values(
        crashes=open_delivery.c.crashes + 1, next_check_at=sa.bindparam("held_until")
    )


@cache
def _release(dialect: str) -> sa.Update:
    wanted = rows.batch(dialect, [open_delivery.c.id])
    look_at = sa.case(
        (open_delivery.c.state == State.UNKNOWN, sa.bindparam("look_at")), else_=open_delivery.c.next_check_at
    )
    return rows.update(open_delivery, wanted).values(crashes=open_delivery.c.crashes - 1, next_check_at=look_at)
