"""Effects: what messages achieved, summed by hour; and by day once nobody looks at the hours any more."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from functools import cache
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.effects import ANY, BY_HOUR, HOURS_OF_A_DAY, OF_PEOPLE, Effect
from notifier.store.core import effect_sums, rows
from notifier.store.core.buckets import in_each
from notifier.store.core.database import Database
from notifier.store.core.effect_sums import SUMS
from notifier.store.core.effects import effect
from notifier.store.core.sums import Key

LOOK_BACK: Final = 5
"""Days that are made whole in each round, so that none is missed by a clock that stood still for some."""

APART: Final = frozenset({"channel", "locale", "variant", "after"})
"""What effects of a type and an hour may be told apart by."""

add = effect_sums.add
fold = SUMS.fold


async def make_whole(database: Database, hour: int, limit: int) -> int:
    """Make the rows of days that ended `BY_HOUR` before an hour rows of their first hours, at most `limit` of them;
    returns how many there were."""
    day = (hour - BY_HOUR) // HOURS_OF_A_DAY
    hours = [
        start + hour
        for start in range((day - LOOK_BACK) * HOURS_OF_A_DAY, day * HOURS_OF_A_DAY, HOURS_OF_A_DAY)
        for hour in range(1, HOURS_OF_A_DAY)
    ]

    async def work(connection: AsyncConnection) -> int:
        found = list(await connection.execute(_UNLOCKED, {"hours": hours, "limit": limit}))
        sums: dict[Key, int] = defaultdict(int)
        for row in found:
            of, *rest = SUMS.key_of(row)
            sums[of - of % HOURS_OF_A_DAY, *rest] += row.number
        if found:
            await SUMS.delete(connection, database.dialect, [row.id for row in found])
            await SUMS.add(connection, database.dialect, sums)
        return len(found)

    return await database.write(work)


async def forget(database: Database, before: int, limit: int) -> int:
    """Remove the sums of hours before one, at most `limit` rows; returns how many there were."""
    query = sa.select(effect.c.id).where(effect.c.hour < before).limit(limit)

    async def work(connection: AsyncConnection) -> int:
        found = list(await connection.scalars(query.with_for_update(skip_locked=True)))
        if found:
            await SUMS.delete(connection, database.dialect, found)
        return len(found)

    return await database.write(work)


async def read(
    database: Database, since: int, until: int, types: Collection[str] = (), *,
    by: Collection[str] = APART, cuts: Sequence[int] = (),
) -> list[Effect]:  # fmt: skip
    """The effects of the hours from `since` to before `until`, of some types or of all.

    They are summed over what `by` leaves out of `APART`, each person counted once; and over the hours from each of the
    `cuts`, in their order, to the next: as of the first. Hours before all cuts are told apart.
    """
    query = _reading(frozenset(by), len(cuts), bool(types))
    given: dict[str, Any] = {"since": since, "until": until, **{f"cut_{n}": hour for n, hour in enumerate(cuts)}}
    if types:
        given["types"] = list(types)

    async def look(bucket: Database) -> list[Effect]:
        async def work(connection: AsyncConnection) -> list[Effect]:
            return rows.read_all(await connection.execute(query, given), Effect)

        return await bucket.read(work)

    parts = await in_each(database, look)
    return parts[0] if len(parts) == 1 else _joined(each for part in parts for each in part)


def _joined(effects: Iterable[Effect]) -> list[Effect]:
    names, sums = [column.name for column in SUMS.key], effect_sums.by_key(effects)
    return [Effect(**dict(zip(names, key, strict=True)), number=number) for key, number in sorted(sums.items())]


@cache
def _reading(by: frozenset[str], cuts: int, of_types: bool) -> sa.Select[Any]:
    within = [effect.c.hour >= sa.bindparam("since"), effect.c.hour < sa.bindparam("until")]
    if of_types:
        within.append(effect.c.type.in_(sa.bindparam("types", expanding=True)))
    if "channel" not in by:
        within.append(sa.or_(effect.c.what.not_in(OF_PEOPLE), effect.c.channel == ANY))
    named = [column for column in SUMS.key[1:] if column.name not in APART - by]
    # Grouped outside of where the hour is worked out: by PostgreSQL two such expressions with parameters differ.
    each = sa.select(_first_of(cuts).label("hour"), *named, effect.c.number).where(*within).subquery()
    key = [each.c[name] for name in ("hour", *(column.name for column in named))]
    left_out = sorted(APART - by)
    constant: list[sa.Label[Any]] = [
        sa.literal_column("0" if name == "after" else "''").label(name) for name in left_out
    ]
    number = sa.cast(sa.func.sum(each.c.number), sa.BigInteger).label("number")
    return sa.select(*key, *constant, number).group_by(*key).order_by(*key)


def _first_of(cuts: int) -> sa.ColumnElement[int]:
    """The last cut up to an hour, or the hour itself."""
    places = [(effect.c.hour >= _whole(f"cut_{n}"), _whole(f"cut_{n}")) for n in reversed(range(cuts))]
    return sa.case(*places, else_=effect.c.hour) if places else effect.c.hour


def _whole(name: str) -> sa.ColumnElement[int]:
    return sa.cast(sa.bindparam(name), sa.Integer)


_UNLOCKED: Final = (
    sa.select(effect)
    .where(effect.c.hour.in_(sa.bindparam("hours", expanding=True)))
    .limit(sa.bindparam("limit"))
    .with_for_update(skip_locked=True)
)
