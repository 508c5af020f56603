"""Effects: what messages achieved, summed by hour; and by day once nobody looks at the hours any more."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.effects import Effect
from notifier.store.core import effect_sums, rows
from notifier.store.core.buckets import in_each
from notifier.store.core.database import Database
from notifier.store.core.effect_sums import SUMS
from notifier.store.core.effects import effect
from notifier.store.core.sums import Key

HOURS_OF_A_DAY: Final = 24
BY_HOUR: Final = 3 * HOURS_OF_A_DAY
"""Hours for which sums are kept by the hour: afterwards a page tells of days."""
LOOK_BACK: Final = 5
"""Days that are made whole in each round, so that none is missed by a clock that stood still for some."""

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


async def read(database: Database, since: int, until: int, types: Sequence[str] = ()) -> list[Effect]:
    """The effects of the hours from `since` to before `until`, of some types or of all."""

    async def look(bucket: Database) -> list[Effect]:
        async def work(connection: AsyncConnection) -> list[Effect]:
            query = _READ.where(effect.c.type.in_(types)) if types else _READ
            found = await connection.execute(query, {"since": since, "until": until})
            return [rows.read(row, Effect) for row in found]

        return await bucket.read(work)

    parts = await in_each(database, look)
    return parts[0] if len(parts) == 1 else _joined(each for part in parts for each in part)


def _joined(effects: Iterable[Effect]) -> list[Effect]:
    sums: dict[tuple[Any, ...], int] = defaultdict(int)
    for each in effects:
        sums[each.hour, each.type, each.channel, each.locale, each.variant, each.what, each.after] += each.number
    names = [column.name for column in SUMS.key]
    return [Effect(**dict(zip(names, key, strict=True)), number=number) for key, number in sorted(sums.items())]


_UNLOCKED: Final = (
    sa.select(effect)
    .where(effect.c.hour.in_(sa.bindparam("hours", expanding=True)))
    .limit(sa.bindparam("limit"))
    .with_for_update(skip_locked=True)
)
_READ: Final = (
    sa.select(*SUMS.key, sa.cast(sa.func.sum(effect.c.number), sa.BigInteger).label("number"))
    .where(effect.c.hour >= sa.bindparam("since"), effect.c.hour < sa.bindparam("until"))
    .group_by(*SUMS.key)
    .order_by(*SUMS.key)
)
