"""Pages of a table that grows without end, newest first, by keyset.

A page scans a bounded number of rows in the order of an index, and says how far it came: a filter's matches may be
rare, and no page may cost more because of that.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import KeyedColumnElement

from notifier.store.core import rows
from notifier.store.core.database import Database

T = TypeVar("T", bound=msgspec.Struct)

LOOKED_AT = 20_000  # rows for a page, at most: some 20 ms on an index that is in memory


Order = tuple[KeyedColumnElement[int], KeyedColumnElement[str]]
"""The columns by which pages follow each other: an instant and the id, of one table."""


class PageKey(NamedTuple):
    """A row's place in the order: its instant and its id."""

    at: int
    id: str


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A page of rows, newest first. `next` is the key after which the next page begins, None on the last; `cut` says
    that the page ended at the scan limit."""

    rows: list[T]
    next: PageKey | None
    cut: bool = False


async def find(
    database: Database,
    model: type[T],
    order: Order,
    *,
    within: Sequence[sa.ColumnElement[bool]] = (),
    only: Mapping[str, Any],
    after: PageKey | None,
    limit: int,
) -> Page[T]:
    """A page of rows as `model`, newest first by `order`, a column of instants and the id.

    `within` are conditions that an index serves together with the order; `only` are columns and the values that rows
    are looked through for.
    """
    at, id_ = order
    columns = {column.name: column for column in (*(at.table.c[name] for name in model.__struct_fields__), at, id_)}
    columns |= {name: at.table.c[name] for name in only}
    ordered = sa.select(*columns.values()).where(*within, *_past(order, after)).order_by(at.desc(), id_.desc())
    looked_at = ordered.limit(LOOKED_AT).subquery()
    newest = (looked_at.c[at.name].desc(), looked_at.c[id_.name].desc())
    narrowed = sa.select(looked_at).where(*(looked_at.c[name] == value for name, value in only.items()))
    query = narrowed.order_by(*newest).limit(limit + 1) if only else ordered.limit(limit + 1)
    last = sa.select(at, id_).where(*within, *_past(order, after)).order_by(at.desc(), id_.desc())

    async def work(connection: AsyncConnection) -> Page[T]:
        found = list(await connection.execute(query))
        page = [rows.read(row, model) for row in found[:limit]]
        if len(found) > limit:
            mark = found[limit - 1]._mapping  # noqa: SLF001
            return Page(rows=page, next=PageKey(mark[at.name], mark[id_.name]))
        end = (await connection.execute(last.offset(LOOKED_AT - 1).limit(1))).first() if only else None
        return Page(rows=page, next=None if end is None else PageKey(*end), cut=end is not None)

    return await database.read(work)


def _past(order: Order, place: PageKey | None) -> list[sa.ColumnElement[bool]]:
    if place is None:
        return []
    at, id_ = order
    return [at <= place.at, sa.or_(at < place.at, id_ < place.id)]
