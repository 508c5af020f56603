"""Identities: when a thing was first seen. It dates the thing's id (`domain.ids`), so that whoever hears of the thing
again, on whatever day, makes the same id of it."""

from collections.abc import Mapping
from functools import cache

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.store.core import rows
from notifier.store.core.schema import identity


async def first_seen(connection: AsyncConnection, dialect: str, seen: Mapping[str, int]) -> Mapping[str, int]:
    """The instants at which things were first seen, by their undated ids; of a new one it is the instant given for it.

    Of two transactions that see a new thing at once, the second gives way to the first.
    """
    if not seen:
        return seen
    new = [{"id": id_, "first_at": at} for id_, at in seen.items()]
    if (await connection.execute(_insert(dialect), {"rows": new})).rowcount == len(seen):
        return seen
    return await known(connection, dialect, seen)


async def known(connection: AsyncConnection, dialect: str, seen: Mapping[str, int]) -> Mapping[str, int]:
    """As `first_seen`, and nothing is written."""
    found = await connection.execute(_known(dialect), {"rows": rows.ids(seen)})
    return {**seen, **{row.id: row.first_at for row in found}}


@cache
def _insert(dialect: str) -> sa.Insert:
    return rows.append_missing(dialect, identity, list(identity.c))


@cache
def _known(dialect: str) -> sa.Select[tuple[str, int]]:
    wanted = rows.batch(dialect, [identity.c.id])
    source = rows.lookup(wanted, identity, identity.c.id == wanted.c.id)
    return sa.select(identity.c.id, identity.c.first_at).select_from(source)
