"""The audit: who did what by hand, and when. Rows are only ever added, in the transaction of what they tell of."""

import secrets
from collections.abc import Sequence
from functools import cache

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.store import rows
from notifier.store.schema import audit


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One action on one subject (an id). `actor` is a key's name or `cli:<user>`; `detail` holds no personal data."""

    id: str = msgspec.field(default_factory=lambda: secrets.token_hex(16))
    at: int
    actor: str
    action: str
    subject: str
    detail: str = ""


async def add(connection: AsyncConnection, dialect: str, entries: Sequence[Entry]) -> int:
    """Write entries; how many of their ids were new."""
    if not entries:
        return 0
    return (await connection.execute(_insert(dialect), {"rows": rows.encode(entries)})).rowcount


@cache
def _insert(dialect: str) -> sa.Insert:
    return rows.insert(dialect, audit, [audit.c[name] for name in Entry.__struct_fields__])
