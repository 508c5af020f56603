"""How whoever writes a row of somebody's keeps that person from being changed or erased meanwhile; and how a whole
document is written only over the one that its writer has seen."""

from collections.abc import Callable, Collection
from functools import cache
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.store import rows
from notifier.store.schema import recipient

T = TypeVar("T")
Check = Callable[[T | None], None]
"""Asked before a document is written, in the same transaction: raises where the one that stands (None where there is
none) is not the one that was meant."""


def anything(_: object) -> None:
    """Whatever stands may be written over."""


async def lock(connection: AsyncConnection, dialect: str, ids: Collection[str]) -> set[str]:
    """Keep these recipients from being changed or erased until the transaction ends; those of them who are there.

    Whoever writes a row of somebody's asks first: what is written for a person after they are erased would tell of them
    for ever.
    """
    found = await connection.execute(_lock(dialect), {"rows": rows.ids(ids)})
    return {row.id for row in found}


@cache
def _lock(dialect: str) -> sa.Select[tuple[str]]:
    return rows.locked(dialect, [recipient.c.id])
