"""Sums by key to which every transaction appends rows of its own, and nobody updates one: no transaction waits for
another. `fold` replaces rows of equal keys by their sum from time to time."""

import secrets
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.store.core import rows
from notifier.store.core.database import Database

Key = tuple[Any, ...]
"""The values of a table's key columns, in their order."""


class Sums:
    """The sums in a table with the columns `id`, `number` and those of its key, of which the first is the day or the
    hour that a row is of."""

    def __init__(self, table: sa.Table, key: tuple[sa.Column[Any], ...]) -> None:
        self.key: Final = key
        self._table: Final = table
        self._inserts: dict[str, sa.Insert] = {}
        self._deletes: dict[str, sa.Delete] = {}

    async def add(self, connection: AsyncConnection, dialect: str, sums: Mapping[Key, int]) -> None:
        """Append a row for each key; none where its number is 0."""
        made = [self._row(key, number) for key, number in sums.items() if number]
        if made:
            if dialect not in self._inserts:
                self._inserts[dialect] = rows.append(dialect, self._table, list(self._table.c))
            await connection.execute(self._inserts[dialect], {"rows": made})

    async def delete(self, connection: AsyncConnection, dialect: str, ids: Iterable[str]) -> None:
        """Take rows away by id."""
        if dialect not in self._deletes:
            wanted = rows.batch(dialect, [self._table.c.id])
            self._deletes[dialect] = rows.delete(dialect, self._table, wanted)
        await connection.execute(self._deletes[dialect], {"rows": rows.ids(ids)})

    async def fold(self, database: Database, limit: int, since: int | None = None) -> int:
        """Replace rows of equal keys by their sum; returns how many rows fewer there are.

        At most `limit` rows are read, of the day or hour that has most to merge, of all or of those from `since` on:
        more than it has different keys. All from `since` on are looked through.
        Whoever reads meanwhile has the same sums. Of two who fold at once each takes rows of its own.
        """

        async def look(connection: AsyncConnection) -> int | None:
            found: int | None = await connection.scalar(*self._fullest(since))
            return found

        fullest = await database.read(look)
        if fullest is None:
            return 0

        async def work(connection: AsyncConnection) -> int:
            of: dict[Key, list[Any]] = defaultdict(list)
            query = self._of_one.with_for_update(skip_locked=True)
            for row in await connection.execute(query, {"of": fullest, "limit": limit}):
                of[self.key_of(row)].append(row)
            merged = {key: same for key, same in of.items() if len(same) > 1}
            if not merged:
                return 0
            gone = [row.id for same in merged.values() for row in same]
            await self.delete(connection, database.dialect, gone)
            sums: dict[Key, int] = {key: sum(row.number for row in same) for key, same in merged.items()}
            await self.add(connection, database.dialect, sums)
            return len(gone) - sum(number != 0 for number in sums.values())

        return await database.write(work)

    def key_of(self, row: sa.Row[Any]) -> Key:
        """The key of a row."""
        return tuple(getattr(row, column.name) for column in self.key)

    def _row(self, key: Key, number: int) -> dict[str, Any]:
        named = {column.name: each for column, each in zip(self.key, key, strict=True)}
        return {"id": secrets.token_hex(16), **named, "number": number}

    def _fullest(self, since: int | None) -> tuple[sa.Select[Any], dict[str, int]]:
        return (self._fullest_of_all, {}) if since is None else (self._fullest_since, {"since": since})

    @cached_property
    def _fullest_of_all(self) -> sa.Select[Any]:
        return self._most(sa.select(self.key[0], sa.func.count().label("number")))

    @cached_property
    def _fullest_since(self) -> sa.Select[Any]:
        each = sa.select(self.key[0], sa.func.count().label("number"))
        return self._most(each.where(self.key[0] >= sa.bindparam("since")))

    def _most(self, each: sa.Select[Any]) -> sa.Select[Any]:
        """The day or hour with the most rows that others have the key of."""
        same = each.group_by(*self.key).having(sa.func.count() > 1).subquery()
        of = same.c[self.key[0].name]
        return sa.select(of).group_by(of).order_by((sa.func.sum(same.c.number) - sa.func.count()).desc()).limit(1)

    @cached_property
    def _of_one(self) -> sa.Select[Any]:
        return sa.select(self._table).where(self.key[0] == sa.bindparam("of")).limit(sa.bindparam("limit"))
