"""A campaign goes through its segment chunk by chunk: a worker that ends anywhere leaves nobody out and tells none
twice, and the ledger balances after every chunk."""

import asyncio
from dataclasses import replace
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from notifier.domain.deliveries import Reason, State
from notifier.domain.messages import Device
from notifier.domain.recipients import RecipientDetails
from notifier.domain.segments import Segment
from notifier.pipeline import clock as ticking
from notifier.pipeline.decide import decide
from notifier.pipeline.engine import EXPAND_AGAIN, WorkerEngine
from notifier.pipeline.expand import expand
from notifier.store.core.schema import decision, recipient
from notifier.store.core.status import rendered as delivery
from notifier.store.delivery import open_events
from notifier.store.delivery.events import WITH_PROGRESS
from notifier.store.people import recipients, segments
from notifier.store.reading import ledger
from tests.pipeline.samples import NOW, OFFER, Report

CHUNK = 3
GOLD = msgspec.convert(
    {"name": "Gold", "all": [{"field": "attribute.plan", "operator": "eq", "value": "gold"}]}, Segment
)
CONSENTS = '{"offers":{"email":true,"push":true}}'


@pytest.fixture
def small(engine: WorkerEngine) -> WorkerEngine:
    """An engine with chunks of three."""
    return replace(engine, chunk=CHUNK)


@pytest.fixture
async def people(engine: WorkerEngine) -> set[str]:
    """Ten people, of whom seven belong to the segment `gold`; those with an even number agreed to offers."""
    given = {
        f"p{number}": RecipientDetails(
            email=f"p{number}@example.com",
            devices=[Device(value=f"token-{number}")],
            time_zone="Europe/Brussels",
            attributes={"plan": "free" if number % 3 == 2 else "gold"},
        )
        for number in range(10)
    }
    await recipients.put(engine.database, given, NOW)
    agreed = [id_ for id_ in given if int(id_[1:]) % 2 == 0]
    async with engine.database.engine.begin() as connection:
        await connection.execute(sa.update(recipient).where(recipient.c.id.in_(agreed)).values(consents=CONSENTS))
    await segments.put(engine.database, "gold", GOLD, NOW)
    return {id_ for id_, each in given.items() if each.attributes["plan"] == "gold"}


async def rows(engine: WorkerEngine) -> list[tuple[str, str, str, str | None]]:
    names = ("recipient_id", "channel", "state", "reason")
    async with engine.database.engine.connect() as connection:
        return [tuple(row) for row in await connection.execute(sa.select(*(delivery.c[name] for name in names)))]


async def the_event(engine: WorkerEngine) -> Any:
    async with engine.database.engine.connect() as connection:
        return (await connection.execute(WITH_PROGRESS)).one()


async def test_every_member_is_decided_once_though_each_chunk_is_followed_by_a_crash(
    small: WorkerEngine, people: set[str], report: Report
) -> None:
    # Given a campaign; nobody takes the signals of this test, so every chunk is a worker that ended before its signal
    id_ = await report("marketing.offer", **OFFER)

    # When the clock's signal brings it up again and again
    chunks = 0
    while not await expand(small, [id_]):
        chunks += 1
        row = await the_event(small)
        assert (row.decided_at, row.tries) == (None, 0)  # what gets on is not put aside
        assert row.next_check_at == small.clock.now() + EXPAND_AGAIN
        books = await ledger.read(small.database)
        assert (books.balanced, books.planned, books.undecided) == (True, len(await rows(small)), 1)
        assert chunks < 10

    # Then there were as many chunks as it takes, and each member has an answer on both channels
    assert chunks == 3
    found = await rows(small)
    assert sorted((who, channel) for who, channel, _, _ in found) == sorted(
        (who, channel) for who in people for channel in ("email", "push")
    )
    agreed = {who for who, _, state, _ in found if state == State.PENDING}
    assert agreed == {who for who in people if int(who[1:]) % 2 == 0}
    assert {reason for who, _, _, reason in found if who not in agreed} == {Reason.NO_CONSENT}
    async with small.database.engine.connect() as connection:
        decided = (await connection.execute(sa.select(sa.func.count()).select_from(decision))).scalar()
    assert decided == len(people)
    books = await ledger.read(small.database)
    assert (books.balanced, books.decided, books.planned) == (True, 1, 2 * len(people))
    assert await expand(small, [id_]) == 0


async def test_two_workers_at_once_do_not_double_a_chunk(small: WorkerEngine, people: set[str], report: Report) -> None:
    id_ = await report("marketing.offer", **OFFER)

    for _ in range(4):
        await asyncio.gather(*(expand(small, [id_]) for _ in range(3)))

    assert len(await rows(small)) == 2 * len(people)
    assert (await the_event(small)).decided_at is not None
    assert (await ledger.read(small.database)).balanced


async def test_a_chunk_signals_the_next_and_the_clock_where_that_was_lost(
    small: WorkerEngine, people: set[str], report: Report
) -> None:
    # Given a campaign of which a chunk is decided
    id_ = await report("marketing.offer", **OFFER)
    before = await small.signals.depths()
    await expand(small, [id_])

    # Then the next chunk is signalled, and the event again when nobody took it
    assert (await small.signals.depths())["expand"] == before["expand"] + 1
    small.clock.advance(EXPAND_AGAIN)  # type: ignore[attr-defined]
    await ticking.tick(small)
    assert (await small.signals.depths())["careful"] == before["careful"] + 1


async def test_a_campaign_for_a_segment_that_is_not_there_says_so(small: WorkerEngine, report: Report) -> None:
    assert await expand(small, [await report("marketing.offer", **OFFER)]) == 1

    assert await rows(small) == [("", "none", "suppressed", Reason.UNKNOWN_SEGMENT)]
    assert (await ledger.read(small.database)).balanced


async def test_a_segment_that_is_removed_on_the_way_reaches_nobody_more(
    small: WorkerEngine, people: set[str], report: Report
) -> None:
    id_ = await report("marketing.offer", **OFFER)
    await expand(small, [id_])
    reached = len(await rows(small))
    await segments.delete(small.database, "gold")

    assert await expand(small, [id_]) == 1

    found = await rows(small)
    assert len(found) == reached + 1
    assert ("", "none", "suppressed", Reason.UNKNOWN_SEGMENT) in found
    assert (await ledger.read(small.database)).balanced


async def test_a_segment_of_nobody_is_told_as_such(small: WorkerEngine, people: set[str], report: Report) -> None:
    nobody = msgspec.convert({"name": "x", "all": [{"field": "country", "operator": "eq", "value": "XX"}]}, Segment)
    await segments.put(small.database, "gold", nobody, NOW)
    id_ = await report("marketing.offer", **OFFER)

    while not await expand(small, [id_]):
        assert await rows(small) == []

    assert await rows(small) == [("", "none", "suppressed", Reason.EMPTY_AUDIENCE)]


async def test_the_same_campaign_told_again_tells_nobody_twice(
    small: WorkerEngine, people: set[str], report: Report
) -> None:
    # Given a campaign that is through, but for its caps
    for _ in range(2):
        id_ = await report("marketing.offer", **OFFER)
        while not await expand(small, [id_]):
            pass

    assert len(await rows(small)) == 2 * len(people)
    books = await ledger.read(small.database)
    assert (books.balanced, books.decided) == (True, 2)


async def test_other_events_of_a_batch_are_decided_beside_a_campaign(
    small: WorkerEngine, people: set[str], report: Report
) -> None:
    # Given a batch of a campaign and an event that withdraws another one
    ids = [await report("marketing.offer", **OFFER), await report("marketing.offer_withdrawn", campaign_id="other")]

    # When it is decided, then the second is done
    before = (await small.signals.depths())["expand"]
    assert await decide(small, ids) == 1

    # And the campaign waits for its turn: nobody has to tell of it again soon
    assert (await small.signals.depths())["expand"] == before + 1
    assert await rows(small) == []
    assert (await ledger.read(small.database)).undecided == 1
    assert await open_events.due(small.database, NOW + EXPAND_AGAIN - 1, NOW + EXPAND_AGAIN, 10) == {}
