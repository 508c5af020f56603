"""Recounts: the rows of a day, against what the books say of it.

Rows are counted by ranges of ids, each in a statement of its own, so that none runs long and nothing is locked. The
books are read before and after: what differs counts only where they stood still meanwhile.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final, Literal

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.clock import DAY
from notifier.domain.deliveries import State
from notifier.domain.ids import first_id, instant_of
from notifier.domain.retention import Part
from notifier.store.core import rows
from notifier.store.core.books import seal, tally
from notifier.store.core.database import Database
from notifier.store.core.removal import retention_mark
from notifier.store.core.schema import delivery, event, open_delivery, open_event, plan
from notifier.store.core.status import NOW, status, status_of
from notifier.store.delivery import batch_leases, seals, tallies
from notifier.store.delivery.tallies import Kind

SLICE: Final = 10_000
"""Rows that one statement counts: some 200 ms."""
TRIES: Final = 3
"""Counts of a day whose books don't stand still."""

Verdict = Literal["agrees", "differs", "removed", "moved"]
Progress = Callable[[float], None]
"""Hears which share of a count is done."""

ACCEPTED, DECIDED, PLANNED, OPEN, COPIED = (
    ("event", state, "", "") for state in ("accepted", "decided", "planned", "open", "copied")
)


class RecountLine(msgspec.Struct, frozen=True, kw_only=True):
    """So many events or deliveries of a kind by the books, and so many by the rows."""

    part: str
    state: str
    channel: str
    reason: str
    books: int
    rows: int


class Recount(msgspec.Struct, frozen=True, kw_only=True):
    """What a recount of a day came to.

    The books and the rows agree, or they differ in `lines`. Where they differ because retention has removed rows
    (`removed`), the day can't be recounted any more; where the books moved during each count (`moved`), there is no
    verdict yet. `sealed_at` is when the day was sealed, None while it is open.
    """

    day: str
    verdict: Verdict
    sealed_at: int | None
    events: int
    deliveries: int
    lines: list[RecountLine]


_WORST: Final[Sequence[Verdict]] = ("differs", "moved", "removed", "agrees")
"""Verdicts of buckets in the order in which one is that of all."""


class _Books(msgspec.Struct, frozen=True):
    """What the books say of a day, with what is open of it."""

    sealed_at: int | None
    sums: dict[Kind, int]


async def recount(
    database: Database, day: int, progress: Progress = lambda _share: None, at_once: int = SLICE
) -> Recount:
    """Count the rows of a day (a number since 1970, UTC) and compare them with the books, bucket after bucket."""
    parts = len(database.buckets)
    found: list[Recount] = []

    def progressed(share: float) -> None:
        progress((len(found) + share) / parts)

    for bucket in database.buckets:
        found += [await _recount(bucket, day, progressed, at_once)]
    return found[0] if parts == 1 else _whole(found)


def _whole(found: Sequence[Recount]) -> Recount:
    """The recount of several buckets. Each has lines of its own where it differs; the day is sealed once it is in all
    that have anything of it."""
    sealed = [each.sealed_at for each in found if each.sealed_at is not None or each.events or each.deliveries]
    return Recount(
        day=found[0].day, verdict=min((each.verdict for each in found), key=_WORST.index),
        sealed_at=max((at for at in sealed if at is not None), default=None) if None not in sealed else None,
        events=sum(each.events for each in found), deliveries=sum(each.deliveries for each in found),
        lines=sorted(
            (line for each in found for line in each.lines),
            key=lambda line: (line.part, line.state, line.channel, line.reason),
        ),
    )  # fmt: skip


async def _recount(database: Database, day: int, progress: Progress, at_once: int) -> Recount:
    for _ in range(TRIES):
        before = await _books(database, day)
        found = await _count(database, day, progress, at_once)
        after = await _books(database, day)
        lines = _differing(after.sums, found)
        if not lines or before.sums == after.sums:
            break
    verdict: Verdict = "agrees"
    if lines:
        is_still = before.sums == after.sums
        verdict = "moved" if not is_still else "removed" if await _were_removed(database, day, lines) else "differs"
    return Recount(
        day=tallies.date_of(day), verdict=verdict, sealed_at=after.sealed_at, events=found.get(ACCEPTED, 0),
        deliveries=sum(number for kind, number in found.items() if kind[0] == "delivery"), lines=lines,
    )  # fmt: skip


def _differing(books: dict[Kind, int], found: dict[Kind, int]) -> list[RecountLine]:
    return [
        RecountLine(
            part=kind[0], state=kind[1], channel=kind[2], reason=kind[3], books=books.get(kind, 0),
            rows=found.get(kind, 0),
        )
        for kind in sorted({*books, *found})
        if books.get(kind, 0) != found.get(kind, 0)
    ]  # fmt: skip


async def _books(database: Database, day: int) -> _Books:
    """What the books say: the seal and what was corrected since, or the tallies of an open day; and what is open."""

    async def work(connection: AsyncConnection) -> _Books:
        told: Counter[Kind] = Counter()
        sealed_at = None
        for row in await connection.execute(_BOOKS, _bounds(day)):
            if row.sums is not None:
                sealed_at = row.number
                told.update(seals.added(seals.read(row.sums), seals.read(row.corrections)))
            else:
                told[row.part, row.state, row.channel, row.reason] += row.number
        for channel, number in (await _leased(connection, database.dialect, day)).items():
            told["delivery", State.SENDING.value, channel, ""] += number
        told.pop(COPIED, None)  # of the accepted ones, and nothing of which there are rows
        told[OPEN] = told[ACCEPTED] - told[DECIDED]
        return _Books(sealed_at, {kind: number for kind, number in told.items() if number})

    return await database.look(work)


async def _leased(connection: AsyncConnection, dialect: str, day: int) -> Counter[str]:
    """How many deliveries of a day are under leases and have no outcome yet, by channel."""
    ids = [id_ for id_ in await batch_leases.waiting(connection) if tallies.day(instant_of(id_)) == day]
    query = status_of(dialect, ("channel",)).where(NOW["batch_token"].is_not(None))
    found = await connection.execute(query, {"rows": rows.ids(ids)}) if ids else ()
    return Counter(row.channel for row in found)


async def _count(database: Database, day: int, progress: Progress, at_once: int) -> dict[Kind, int]:
    """The rows of a day, by kind."""
    found: Counter[Kind] = Counter()
    share = 0.0
    async for row, share in _slices(database, event.c.id, _EVENTS, day, at_once):
        for kind, number in ((ACCEPTED, row.events), (DECIDED, row.decided), (PLANNED, row.planned)):
            found[kind] += int(number or 0)
        progress(share / 2)
    async for row, _ in _slices(database, open_event.c.id, _WAITING, day, at_once):
        found[OPEN] += row.number
        found[PLANNED] += int(row.planned or 0)
    async for row, share in _slices(database, delivery.c.id, _DELIVERIES, day, at_once):
        found["delivery", row.state, row.channel, row.reason] += row.number
        progress((1 + share) / 2)
    progress(1)
    return {kind: number for kind, number in found.items() if number}


async def _slices(
    database: Database, id_: sa.Column[str], query: sa.Select[*tuple[Any, ...]], day: int, at_once: int
) -> AsyncIterator[tuple[Any, float]]:
    """What a query finds in each range of ids of a day, and which share of the day has been looked at then."""
    end = (
        sa.select(id_)
        .where(id_ >= sa.bindparam("first", type_=id_.type), id_ < sa.bindparam("last", type_=id_.type))
        .order_by(id_).offset(at_once).limit(1)
    )  # fmt: skip
    bounds = _bounds(day)

    async def work(connection: AsyncConnection) -> tuple[str | None, list[Any]]:
        next_ = await connection.scalar(end, bounds)
        return next_, list(await connection.execute(query, bounds | ({} if next_ is None else {"last": next_})))

    while bounds["first"]:
        next_, found = await database.look(work)
        share = 1.0 if next_ is None else (instant_of(next_) - day * DAY) / DAY
        for row in found:
            yield row, share
        bounds = bounds | {"first": next_ or ""}


async def _were_removed(database: Database, day: int, lines: list[RecountLine]) -> bool:
    """Whether rows are missing only where retention has come as far as the day, so that it may have removed them."""
    marks = sa.select(retention_mark.c.name).where(retention_mark.c.at >= day * DAY)

    async def work(connection: AsyncConnection) -> set[str]:
        return {name.partition("/")[0] for name in (await connection.execute(marks)).scalars()}

    reached = await database.read(work)
    part = {"event": Part.EVENTS, "delivery": Part.DELIVERIES}
    return all(each.rows < each.books and part[each.part] in reached for each in lines)


def _bounds(day: int) -> dict[str, Any]:
    return {"day": day, "first": first_id(day * DAY), "last": first_id((day + 1) * DAY)}


def _in_range(id_: Any) -> sa.ColumnElement[bool]:
    first, last = (sa.bindparam(name, type_=delivery.c.id.type) for name in ("first", "last"))
    return sa.and_(id_ >= first, id_ < last)


def _books_of_a_day() -> sa.CompoundSelect[Any]:
    """All that the books say of a day in one statement, so that of what is carried over nothing is told twice."""
    kinds = (tally.c.part, tally.c.state, tally.c.channel, tally.c.reason)
    nothing = sa.cast(sa.null(), sa.Text)
    reason = sa.func.coalesce(open_delivery.c.reason, "")
    number = sa.cast(sa.func.sum(tally.c.number), sa.BigInteger).label("number")
    open_ = (sa.literal("delivery"), open_delivery.c.state, open_delivery.c.channel, reason)
    told = sa.select(*kinds, number, nothing.label("sums"), nothing.label("corrections"))
    words = [sa.literal("").label(column.name) for column in kinds]
    return sa.union_all(
        told.where(tally.c.day == sa.bindparam("day")).group_by(*kinds),
        sa.select(*words, seal.c.sealed_at, seal.c.sums, seal.c.corrections).where(seal.c.day == sa.bindparam("day")),
        sa.select(*open_, sa.func.count(), nothing, nothing)
        .where(_in_range(open_delivery.c.id)).group_by(open_delivery.c.state, open_delivery.c.channel, reason),
    )  # fmt: skip


_BOOKS: Final = _books_of_a_day()
_EVENTS: Final = (
    sa.select(
        sa.func.count().label("events"), sa.func.count(plan.c.event_id).label("decided"),
        sa.func.sum(plan.c.deliveries).label("planned"),
    )
    .select_from(event.outerjoin(plan, plan.c.event_id == event.c.id))
    .where(_in_range(event.c.id))
)  # fmt: skip
_WAITING: Final = sa.select(
    sa.func.count().label("number"), sa.func.sum(open_event.c.deliveries).label("planned")
).where(_in_range(open_event.c.id))
_reason = sa.func.coalesce(status.c.reason, "")
_DELIVERIES: Final = (
    sa.select(status.c.state, status.c.channel, _reason.label("reason"), sa.func.count().label("number"))
    .where(_in_range(status.c.id))
    .group_by(status.c.state, status.c.channel, _reason)
)
