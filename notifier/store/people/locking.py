"""Locks that keep a person from being changed or erased while one of their rows is written; and a check that a document
overwrites only the version that its writer has seen."""

from collections.abc import Callable, Collection
from functools import cache
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.store.core import rows
from notifier.store.core.schema import recipient

T = TypeVar("T")
Check = Callable[[T | None], None]
"""Called before a document is written, in the same transaction: raises if the stored one (None if there is none) is not
the expected one."""


def anything(_: object) -> None:
    """Accept any stored document: overwrite without a check."""


async def lock(connection: AsyncConnection, dialect: str, ids: Collection[str]) -> set[str]:
    """Lock recipients against change and erasure until the transaction ends; returns those who exist.

    Every writer of a person's rows calls this first: a row written after the person's erasure would tell of them for
    ever.
    """
    found = await connection.execute(_lock(dialect), {"rows": rows.names(ids)})
    return {row.id for row in found}


@cache
def _lock(dialect: str) -> sa.Select[tuple[str]]:
    return rows.locked(dialect, [recipient.c.id])
