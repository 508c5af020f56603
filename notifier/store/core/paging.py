"""Pages of a table that grows without end, newest first, by keyset.

A page scans a bounded number of rows in the order of an index, and says how far it came: a filter's matches may be
rare, and no page may cost more because of that.
"""

from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import KeyedColumnElement

from notifier.domain.ids import LENGTH
from notifier.store.core import rows
from notifier.store.core.database import Database

T = TypeVar("T", bound=msgspec.Struct)

LOOKED_AT = 20_000  # rows for a page, at most: some 20 ms on an index that is in memory
LOOKED_UP = 5_000  # rows for a page, where each is looked up in other tables too
LAST = "f" * LENGTH  # the id behind all ids: a page that was cut tells an instant, and no row that didn't fit


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
    query: sa.Select[Any],
    order: Order,
    *,
    where: sa.FromClause | None = None,
    within: Sequence[sa.ColumnElement[bool]] = (),
    only: Sequence[sa.ColumnElement[bool]],
    after: PageKey | None,
    limit: int,
    looked_at: int | None = LOOKED_AT,
) -> Page[T]:
    """A page of rows as `model`, newest first by `order`: a column of instants and the id. `query` reads a batch of
    rows by their ids, in that order.

    `within` are conditions that an index serves together with the order; `only` are those that rows are looked through
    for, of `looked_at` rows at most and of one instant at least, in `where`: the order's table, joined to those that
    the conditions ask. Without `looked_at` an index serves `within` alone, and leaves few enough rows to be sorted.
    """
    at, id_ = order
    first = at + 0 if looked_at is None else at  # an expression, for which no index of instants is walked
    newest = sa.select(at, id_).select_from(at.table if where is None else where)
    newest = newest.where(*within, *_past(order, after), *only).order_by(first.desc(), id_.desc()).limit(limit + 1)
    walked = sa.select(at).where(*within, *([] if after is None else [at <= after.at])).order_by(at.desc())

    async def work(connection: AsyncConnection) -> Page[T]:
        end = await connection.scalar(walked.offset(looked_at).limit(1)) if only and looked_at else None
        # The instant that is too many is left to the next page, whole, unless this one begins there.
        least = None if end is None else end + 1 if after is None else min(end + 1, after.at)
        found = list(await connection.execute(newest if least is None else newest.where(at >= least)))
        page = found[:limit]
        given = {"rows": rows.names(id_ for _, id_ in page)}
        told = [rows.read(row, model) for row in await connection.execute(query, given)] if page else []
        if len(found) > limit:
            return Page(rows=told, next=PageKey(*page[-1]))
        return Page(rows=told, next=None if least is None else PageKey(least - 1, LAST), cut=least is not None)

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
