"""The sums of effects, to which any transaction appends what it does."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.effects import Effect
from notifier.store.core.effects import effect
from notifier.store.core.sums import Key, Sums

SUMS: Final = Sums(
    effect,
    (effect.c.hour, effect.c.type, effect.c.channel, effect.c.locale, effect.c.variant, effect.c.what, effect.c.after),
)


async def add(connection: AsyncConnection, dialect: str, effects: Iterable[Effect]) -> None:
    """Append effects, equal ones as one row."""
    await SUMS.add(connection, dialect, by_key(effects))


def by_key(effects: Iterable[Effect]) -> dict[Key, int]:
    """The sums of effects, by the key that equal ones share."""
    sums: dict[Key, int] = defaultdict(int)
    for each in effects:
        sums[each.hour, each.type, each.channel, each.locale, each.variant, each.what, each.after] += each.number
    return sums
