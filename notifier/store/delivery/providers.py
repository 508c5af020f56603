"""What all processes know of a provider, where nothing quicker than the database keeps it: a row that each locks to
change."""

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.store.core import rows
from notifier.store.core.database import Database
from notifier.store.core.schema import provider

T = TypeVar("T")


class SharedProviderState(msgspec.Struct, frozen=True):
    """Of one provider, in milliseconds since 1970: its rate is used up to an instant, its traffic began at one
    after a standstill, it rests until one; and whether a breaker `tripped`, or the provider asked for that."""

    spoken_for: float = 0.0
    began: float = 0.0
    rests_until: float = 0.0
    tripped: bool = False


async def read(database: Database, id_: str) -> SharedProviderState:
    """The shared state of a provider."""

    async def work(connection: AsyncConnection) -> SharedProviderState:
        return _known((await connection.execute(_query(), {"of": id_})).first())

    return await database.read(work)


async def change(
    database: Database, id_: str, how: Callable[[SharedProviderState], tuple[SharedProviderState, T]]
) -> T:
    """Change a provider's shared state by a pure function, one process after the other; returns the
    function's answer."""

    async def work(connection: AsyncConnection) -> T:
        blank = {"id": id_, **_columns(SharedProviderState())}
        before = _known(await rows.hold(connection, database.dialect, provider, _query().params(of=id_), blank))
        after, answer = how(before)
        if after != before:
            await connection.execute(_update(), {"of": id_, **_columns(after)})
        return answer

    return await database.write(work)


def _known(row: sa.Row[Any] | None) -> SharedProviderState:
    if row is None:
        return SharedProviderState()
    return SharedProviderState(row.spoken_for / 1000, row.began / 1000, row.rests_until / 1000, bool(row.tripped))


def _columns(known: SharedProviderState) -> dict[str, int]:
    """In microseconds: at a thousand messages a second their slots are one millisecond apart."""
    instants = {name: round(getattr(known, name) * 1000) for name in ("spoken_for", "began", "rests_until")}
    return {**instants, "tripped": int(known.tripped)}


@cache
def _query() -> sa.Select[Any]:
    columns = (provider.c.spoken_for, provider.c.began, provider.c.rests_until, provider.c.tripped)
    return sa.select(*columns).where(provider.c.id == sa.bindparam("of"))


@cache
def _update() -> sa.Update:
    return sa.update(provider).where(provider.c.id == sa.bindparam("of"))
