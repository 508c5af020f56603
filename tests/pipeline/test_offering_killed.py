"""Processes that offer free ports are killed at any moment: each who waits hears once, and no port goes to two."""

import asyncio
import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from notifier.domain.availability_alerts import OFFER
from notifier.domain.clock import ManualClock
from notifier.domain.recipients import RecipientDetails
from notifier.domain.stations import STABLE, EvseStatus
from notifier.pipeline import availability, stations
from notifier.pipeline.availability import PORT_FREE
from notifier.pipeline.engine import WorkerEngine
from notifier.store.core.schema import event
from notifier.store.core.stations import availability_alert
from notifier.store.people import recipients
from notifier.store.stations import locations
from notifier.store.stations.evses import StatusReport
from tests import everywhere
from tests.pipeline.samples import NOW
from tests.places import place

PLACES = 48
PORTS = ("1", "2")
WAIT = 3
KILLS = 8
LONGEST = 0.15
"""Seconds after which a process is killed at the latest: about what it takes to offer and tell what is free."""

PATIENCE = 30
"""Seconds in which the last process has told everybody."""


@asynccontextmanager
async def offering(url: str, now: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that offers at an instant, and that is killed at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.pipeline.offering", url, str(now), stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"begun\n"
        yield process
    finally:
        process.kill()
        await process.wait()


async def test_who_waits_hears_once_whenever_the_clock_is_killed(
    engine: WorkerEngine, database_url: str, clock: ManualClock
) -> None:
    # Given three who wait at each of many places with two ports
    chance = random.Random(7)  # noqa: S311 (moments, the same in every run)
    places = [f"NL-TNM-{number}" for number in range(PLACES)]
    waiting = {id_: [f"{id_}-p{number}" for number in range(WAIT)] for id_ in places}
    await recipients.put(engine.database, {who: RecipientDetails() for each in waiting.values() for who in each}, NOW)
    for id_, people in waiting.items():
        await locations.update(engine.database, id_, lambda _, id_=id_: place(id_, PORTS))  # type: ignore[misc]
        for who in people:
            await availability.ask(engine, who, id_, None)

    async def free(ids: list[str]) -> None:
        said = [
            StatusReport(id=f"{id_}-{port}", status=EvseStatus.AVAILABLE, at=clock.now(), source="ocpp")
            for id_ in ids
            for port in PORTS
        ]
        await stations.take(engine, said)
        clock.advance(STABLE)

    async def all_told(heard: int) -> bool:
        alerts = await everywhere.rows(engine.database, availability_alert)
        return sum(row.evse_id is not None and row.tell_at is None for row in alerts) == heard

    # When ports get free here and there, and one process after the other offers them and is killed
    for number in range(KILLS):
        await free(places[number::KILLS])
        async with offering(database_url, clock.now()):
            await asyncio.sleep(chance.uniform(0, LONGEST))
    for heard in (PLACES * len(PORTS), PLACES * WAIT):  # those whom the ports suffice for, and then the others
        async with offering(database_url, clock.now()), asyncio.timeout(PATIENCE):
            while not await all_told(heard):  # noqa: ASYNC110 (another process does it)
                await asyncio.sleep(0.05)
        clock.advance(OFFER)

    # Then each has heard once, of a port that nobody else was told of within the time of an offer
    told = [json.loads(row.data) for row in await everywhere.rows(engine.database, event) if row.type == PORT_FREE]
    assert Counter(each["driver_id"] for each in told) == Counter(who for each in waiting.values() for who in each)
    offers = Counter((each["station_id"], each["port"], each["until"]) for each in told)
    assert max(offers.values()) == 1
    for id_, people in waiting.items():
        first = {each["driver_id"] for each in told if each["station_id"] == id_ and each["driver_id"] != people[-1]}
        assert first == set(people[:-1])
