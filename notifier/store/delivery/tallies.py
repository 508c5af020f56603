"""Tallies: how many events and deliveries there are, written down as they change, so that no audit counts what is over.

Each transaction that changes the books appends rows of its own (`core.sums`). Once a day is sealed (`seals`), its rows
are carried over: they become rows of no day (`CARRIED`), so that an audit reads as many sums after years as after a
month.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.clock import DAY, to_datetime
from notifier.store.core.books import tally
from notifier.store.core.sums import Key, Sums

CARRIED: Final = -1
"""The day of what was carried over from sealed days."""

Kind = tuple[str, str, str, str]
"""What a sum is of: part, state, channel and reason."""

_SUMS: Final = Sums(tally, (tally.c.day, tally.c.part, tally.c.state, tally.c.channel, tally.c.reason))


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """So many events or deliveries of a day more in a state; fewer where `number` is negative.

    An event is `accepted` and then `decided`, and `planned` are the deliveries made of it, all on the day of its
    acceptance (`day`). A delivery counts on the day with which its id is dated.
    """

    day: int
    part: Literal["event", "delivery"]
    state: str
    channel: str = ""
    reason: str = ""
    number: int


def day(instant: int) -> int:
    """The day of an instant: a number since 1970, in UTC."""
    return instant // DAY


def date_of(day: int) -> str:
    """A day as a date, such as 2026-03-09."""
    return to_datetime(day * DAY).date().isoformat()


async def add(connection: AsyncConnection, dialect: str, tallies: Sequence[Tally]) -> None:
    """Append tallies, those of one day, part, state, channel and reason as one row."""
    sums: dict[Key, int] = defaultdict(int)
    for each in tallies:
        sums[each.day, each.part, each.state, each.channel, each.reason] += each.number
    await _SUMS.add(connection, dialect, sums)


fold = _SUMS.fold


async def carry_over(connection: AsyncConnection, dialect: str, day: int, limit: int) -> dict[Kind, int]:
    """Make all rows of a day rows of no day, for whoever reads in one moment with the next; returns their sums.

    At most `limit` rows are read at once. Where somebody merges rows of the day meanwhile, this waits for their sum.
    """
    whole: dict[Kind, int] = defaultdict(int)
    while found := list(await connection.execute(_EACH_OF_A_DAY, {"day": day, "limit": limit})):
        await _SUMS.delete(connection, dialect, [row.id for row in found])
        for row in found:
            whole[row.part, row.state, row.channel, row.reason] += row.number
    carried = {kind: number for kind, number in whole.items() if number}
    await _SUMS.add(connection, dialect, {(CARRIED, *kind): number for kind, number in carried.items()})
    return carried


def sums() -> sa.Select[Any]:
    """The sum of all days for each part, state, channel and reason, as a query to be part of another one."""
    kinds = _SUMS.key[1:]
    number = sa.cast(sa.func.sum(tally.c.number), sa.BigInteger)  # PostgreSQL sums to a decimal
    return sa.select(*kinds, number.label("number")).group_by(*kinds)


_EACH_OF_A_DAY = (
    sa.select(tally).where(tally.c.day == sa.bindparam("day")).limit(sa.bindparam("limit")).with_for_update()
)
