"""Pages of a table that grows without end, newest first, by keyset.

A page scans a bounded number of rows in the order of an index, and says how far it came: a filter's matches may be
rare, and no page may cost more because of that.
"""

from collections.abc import Callable, Mapping, Sequence
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
    looked_at: int = LOOKED_AT,
) -> Page[T]:
    """A page of rows as `model`, newest first by `order`, a column of instants and the id.

    `within` are conditions that an index serves together with the order; `only` are columns and the values that rows
    are looked through for, `looked_at` of them at most.
    """
    at, id_ = order
    columns = {column.name: column for column in (*(at.table.c[name] for name in model.__struct_fields__), at, id_)}
    columns |= {name: at.table.c[name] for name in only}
    ordered = sa.select(*columns.values()).where(*within, *_past(order, after)).order_by(at.desc(), id_.desc())
    scanned = ordered.limit(looked_at).subquery()
    newest = (scanned.c[at.name].desc(), scanned.c[id_.name].desc())
    narrowed = sa.select(scanned).where(*(scanned.c[name] == value for name, value in only.items()))
    query = narrowed.order_by(*newest).limit(limit + 1) if only else ordered.limit(limit + 1)
    last = sa.select(at, id_).where(*within, *_past(order, after)).order_by(at.desc(), id_.desc())

    async def work(connection: AsyncConnection) -> Page[T]:
        found = list(await connection.execute(query))
        page = [rows.read(row, model) for row in found[:limit]]
        if len(found) > limit:
            mark = found[limit - 1]._mapping  # noqa: SLF001
            return Page(rows=page, next=PageKey(mark[at.name], mark[id_.name]))
        end = (await connection.execute(last.offset(looked_at - 1).limit(1))).first() if only else None
        return Page(rows=page, next=None if end is None else PageKey(*end), cut=end is not None)

    return await database.read(work)


def merge(pages: Sequence[Page[T]], key: Callable[[T], PageKey], limit: int) -> Page[T]:
    """One page of those that several tables have behind the same place.

    It goes no further than the first of them that ends: what else that table has would be missing.
    """
    end = max((each.next for each in pages if each.next is not None), default=None)
    known = [row for each in pages for row in each.rows if end is None or key(row) >= end]
    known.sort(key=key, reverse=True)
    if len(known) > limit:
        return Page(rows=known[:limit], next=key(known[limit - 1]))
    return Page(rows=known, next=end, cut=any(each.cut and each.next == end for each in pages))


def _past(order: Order, place: PageKey | None) -> list[sa.ColumnElement[bool]]:
    if place is None:
        return []
    at, id_ = order
    return [at <= place.at, sa.or_(at < place.at, id_ < place.id)]
