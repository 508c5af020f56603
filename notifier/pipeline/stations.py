"""Stations: reports of ports are taken in batches, and the clock looks at those that time alone changes."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final

from notifier.pipeline.engine import Engine
from notifier.runtime.background import every
from notifier.store.stations import evses
from notifier.store.stations.evses import Changed, StatusReport

EVERY: Final = 5.0
"""Seconds between two looks: availabilities count after 45, silence after an hour."""
DUE: Final = 500
"""Ports that are looked at in one transaction."""
BATCH: Final = 1_000
"""Reports that are taken in one transaction."""


async def take(engine: Engine, reports: Sequence[StatusReport]) -> list[list[Changed]]:
    """Take reports in their order; returns for each the ports that it named, as they were and are."""
    return await evses.report_statuses(engine.whole.database, reports, engine.clock.now())


async def run(engine: Engine, stop: asyncio.Event) -> None:
    """Look at ports until told to stop, beside the clock's ticks."""
    await every("stations", EVERY, partial(look, engine), stop)


async def look(engine: Engine) -> None:
    """Look at all ports whose time has come."""
    database = engine.whole.database
    while len(await evses.look_at_due(database, engine.clock.now(), DUE)) == DUE:
        pass
