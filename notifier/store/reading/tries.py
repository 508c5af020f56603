"""Tries: the outcomes of deliveries for which a provider was asked."""

from collections.abc import Collection
from functools import cache
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.store.core import rows
from notifier.store.core.schema import outcome


class AttemptRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt at a provider."""

    number: int
    started_at: int
    ended_at: int
    provider: str
    outcome: str
    code: str | None


ATTEMPT = AttemptRecord.__struct_fields__
TRY = (
    outcome.c.attempts.label("number"), outcome.c.started_at, outcome.c.at.label("ended_at"), outcome.c.provider,
    outcome.c.answer.label("outcome"), outcome.c.code,
)  # fmt: skip
"""The columns of an outcome that was a try, as an `AttemptRecord`."""


async def read(connection: AsyncConnection, dialect: str, ids: Collection[str]) -> dict[str, list[AttemptRecord]]:
    """The attempts of each of these deliveries, in order; an empty list where there was none."""
    tried: dict[str, list[AttemptRecord]] = {id_: [] for id_ in ids}
    if tried:
        wanted = [{"delivery_id": id_} for id_ in tried]
        for row in await connection.execute(_tries(dialect), {"rows": wanted}):
            tried[row.delivery_id].append(AttemptRecord(**{name: getattr(row, name) for name in ATTEMPT}))
    return tried


@cache
def _tries(dialect: str) -> sa.Select[Any]:
    wanted = rows.batch(dialect, [outcome.c.delivery_id])
    return (
        sa.select(outcome.c.delivery_id, *TRY)
        .join(wanted, wanted.c.delivery_id == outcome.c.delivery_id)
        .where(outcome.c.answer.is_not(None))
        .order_by(outcome.c.delivery_id, outcome.c.number)
    )
