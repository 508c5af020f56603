"""Sealing: the clock closes the books of a day once all of it is over."""

import asyncio
from functools import partial
from typing import Final

import structlog

from notifier.domain.clock import HOUR
from notifier.pipeline.engine import Engine
from notifier.runtime.background import every
from notifier.store.delivery import seals, tallies

EVERY: Final = 3600.0
"""Seconds between two looks at which days are over."""
SETTLED: Final = 6 * HOUR
"""Milliseconds after which a day that has ended may be sealed. What was accepted at its last moment is committed long
since, and most receipts are in, which else would be corrections."""

log = structlog.get_logger(__name__)


async def run(engine: Engine, stop: asyncio.Event) -> None:
    """Seal days until told to stop, beside the clock's ticks."""
    await every("sealing", EVERY, partial(seal, engine, stop), stop)


async def seal(engine: Engine, stop: asyncio.Event) -> list[int]:
    """Seal the days that are over, and carry over what was corrected on sealed ones; returns the days sealed.

    Each day has a transaction of its own. One on which something is opened again while it is sealed is sealed as it
    was, and corrected by what comes of it.
    """
    now = engine.clock.now()
    last = tallies.day(now - SETTLED) - 1
    told = await seals.told(engine.database, last)
    kept_open = await seals.open_days(engine.database, last) if told else set()
    sealed: list[int] = []
    for each in told:
        if stop.is_set():
            break
        if (each.sealed or each.day not in kept_open) and await seals.carry_over(engine.database, each.day, now):
            sealed.append(each.day)
    if sealed:
        log.info("sealing.sealed", days=len(sealed), first=tallies.date_of(sealed[0]), last=tallies.date_of(sealed[-1]))
    return sealed
