"""The books balance at every moment, whatever goes on at once."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace

import msgspec
import pytest
import sqlalchemy as sa

from notifier.domain.catalog import Catalog
from notifier.domain.deliveries import State
from notifier.domain.messages import Device
from notifier.domain.recipients import RecipientDetails
from notifier.domain.segments import Segment
from notifier.pipeline.dead import discard, redrive
from notifier.pipeline.decide import decide
from notifier.pipeline.engine import WorkerEngine
from notifier.pipeline.expand import expand
from notifier.store.core.schema import open_event
from notifier.store.delivery import deliveries, open_events, tallies
from notifier.store.delivery.deliveries import Move
from notifier.store.people import recipients, segments
from notifier.store.reading import ledger
from tests.pipeline.samples import COMPLETE, NOW, OFFER, Report
from tests.pipeline.steps import rows
from tests.samples import UNLIMITED

EVENTS = 24  # told one by one; each fourth is a campaign
PATIENCE = 60  # seconds
EVERYBODY = msgspec.convert(
    {"name": "Gold", "all": [{"field": "kind", "operator": "eq", "value": "driver"}]}, Segment
)  # fmt: skip


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return UNLIMITED


@pytest.fixture
async def people(engine: WorkerEngine) -> None:
    given = {
        f"p{each}": RecipientDetails(email=f"p{each}@example.com", devices=[Device(value=f"token-{each}")])
        for each in range(7)
    }
    await recipients.put(engine.database, given, NOW)
    await segments.put(engine.database, "gold", EVERYBODY, NOW)


@pytest.mark.usefixtures("people")
async def test_they_balance_while_events_are_told_decided_put_aside_and_redriven_and_tallies_are_merged(
    engine: WorkerEngine, driver: str, report: Report
) -> None:
    # Given events that come one after the other, and everything that can be done with them at the same time
    small, database, dice = replace(engine, chunk=2), engine.database, random.Random(7)  # noqa: S311 (the same each run)
    told: list[str] = []
    over = asyncio.Event()

    async def tell(number: int) -> None:
        if number % 4:
            told.append(await report("charging.complete", **{**COMPLETE, "session_id": str(number)}))
        else:
            told.append(await report("marketing.offer", **{**OFFER, "campaign_id": str(number)}))

    def some(most: int = 5) -> list[str]:
        return dice.sample(told, min(len(told), most))

    async def let_deliveries_fail() -> None:
        waiting = await rows(engine, state=State.PENDING)
        moves = [
            Move(id=row.id, before=State.PENDING, state=State.FAILED, reason="refused", due_at=NOW, next_check_at=None)
            for row in dice.sample(waiting, min(len(waiting), 4))
        ]
        await deliveries.move(database, moves, NOW)

    async def put_aside() -> None:
        await open_events.quarantine(database, some(1), NOW)

    async def take_up() -> None:
        dead = [row.id for row in await rows(engine, state=State.FAILED)]
        await redrive(engine, [*some(), *dice.sample(dead, min(len(dead), 3))], "ada")

    async def put_away() -> None:
        await discard(engine, [row.id for row in await rows(engine, state=State.FAILED)][:1], "ada")

    async def look() -> None:
        while not over.is_set():
            books = await ledger.read(database)
            assert books.balanced, books

    # When all of that goes on at once
    works: tuple[Callable[[], Awaitable[object]], ...] = (
        lambda: decide(small, some()), lambda: expand(small, some(2)), lambda: tallies.fold(database, 40),
        lambda: tallies.fold(database, 1_000), let_deliveries_fail, put_aside, take_up, put_away,
    )  # fmt: skip
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        looking = tasks.create_task(look())
        for number in range(EVENTS):
            await asyncio.gather(tell(number), *(work() for work in works))

        # And what is left is decided
        await redrive(engine, told, "ada")
        await decide(small, told)
        for id_ in told:
            while await expand(small, [id_]) or await is_open(engine, id_):
                pass
        over.set()
        await looking

    # Then nobody has ever seen books that don't balance, nor do they now
    books = await ledger.read(database)
    assert (books.balanced, books.events, books.undecided, books.quarantined) == (True, EVENTS, 0, 0)
    assert books.deliveries["failed"] > 0
    assert books.planned == books.total > 2 * EVENTS


async def is_open(engine: WorkerEngine, id_: str) -> bool:
    async with engine.database.engine.connect() as connection:
        return (await connection.execute(sa.select(open_event).where(open_event.c.id == id_))).first() is not None
