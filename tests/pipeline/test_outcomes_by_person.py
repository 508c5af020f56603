"""An outcome may be awaited of a person: whatever they were told of, it is theirs once it comes; no row names them."""

from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from notifier.domain.clock import DAY, MINUTE, ManualClock
from notifier.domain.consent import Consent
from notifier.domain.effects import ANY, What, hour_of
from notifier.domain.recipients import RecipientDetails
from notifier.domain.segments import Segment
from notifier.pipeline.counting import count
from notifier.pipeline.engine import WorkerEngine
from notifier.pipeline.erasure import ENDED, sweep
from notifier.pipeline.expand import expand
from notifier.store.core.effects import awaited_outcome
from notifier.store.delivery import effects
from notifier.store.people import consents, erasures, recipients, segments
from tests import everywhere
from tests.conftest import prepare
from tests.pipeline.samples import NOW, OFFER, Report

EVERYBODY = msgspec.convert(
    {"name": "Everybody", "all": [{"field": "time_zone", "operator": "eq", "value": "Europe/Brussels"}]}, Segment
)
PEOPLE = [f"p{number}" for number in range(6)]


@pytest.fixture(params=["sqlite", "postgresql", "mariadb", "buckets"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path, empty_sqlite: Path, migrated: set[str]) -> str:
    """An empty database of each engine, and one with buckets."""
    return prepare(request, tmp_path, empty_sqlite, migrated)


@pytest.fixture
async def offer(engine: WorkerEngine, report: Report) -> None:
    """Six people who were made an offer by mail."""
    given = {
        id_: RecipientDetails(email=f"{id_}@example.com", time_zone="Europe/Brussels", tokens=[f"NL-TST-{id_}"])
        for id_ in PEOPLE
    }
    await recipients.put(engine.database, given, NOW)
    word = Consent(category="offers", channel="email", granted=True, wording="1", source="app")
    for id_ in PEOPLE:
        await consents.add(engine.database, id_, word, "test", NOW)
    await segments.put(engine.database, "gold", EVERYBODY, NOW)
    event = await report("marketing.offer", **OFFER)
    for _ in range(2):  # where it was accepted, and then its copies
        for each in engine.buckets:
            await expand(each, [event])


async def charged(engine: WorkerEngine, report: Report, session: str, **named: Any) -> None:
    started = {"session_id": session, "station": "Gent Zuid", "started_at": "2026-03-10T17:40:00Z", **named}
    await everywhere.decide(engine, [await report("session.started", **started)])


async def counted(engine: WorkerEngine) -> Counter[str]:
    for each in engine.buckets:
        await count(each)
    found = Counter[str]()
    for one in await effects.read(engine.database, hour_of(NOW - DAY), hour_of(engine.clock.now()) + 1, ["offer"]):
        found[one.what] += one.number if one.channel == ANY else 0
    return found


async def test_an_offer_is_answered_by_whoever_charges_within_a_week(
    engine: WorkerEngine, clock: ManualClock, report: Report, offer: None
) -> None:
    # When one of them charges, known by id, another by token, and twice; a stranger; and one after eight days
    clock.advance(DAY)
    await charged(engine, report, "1", driver_id="p1")
    await charged(engine, report, "2", token="NL-TST-p2")
    await charged(engine, report, "3", driver_id="p1")
    await charged(engine, report, "4", driver_id="nobody")
    clock.advance(7 * DAY)
    await charged(engine, report, "5", driver_id="p3")

    # Then the offer is awaited of six, and answered by two of them
    found = await counted(engine)
    assert (found[What.EXPOSED], found[What.ANSWERED]) == (6, 2)


async def test_what_is_awaited_of_a_person_says_of_whom_nowhere_and_an_erasure_ends_it(
    engine: WorkerEngine, clock: ManualClock, report: Report, offer: None
) -> None:
    # Given what is awaited of each
    before = await everywhere.rows(engine.database, awaited_outcome)
    assert len({row.subject_key for row in before}) == len(PEOPLE)
    assert not any(id_ in str(value) for row in before for value in row for id_ in PEOPLE)

    # When one is erased
    await erasures.begin(engine.database, ["p1"], "test", clock.now())
    for _ in range(2):
        for each in engine.buckets:
            await sweep(each)
        clock.advance(ENDED + MINUTE)

    # Then one key is gone, and a newcomer of that id answers nothing
    after = await everywhere.rows(engine.database, awaited_outcome)
    keys = {row.subject_key for row in after}
    assert len(keys & {row.subject_key for row in before}) == len(PEOPLE) - 1
    await recipients.put(engine.database, {"p1": RecipientDetails(email="new@example.com")}, clock.now())
    await charged(engine, report, "1", driver_id="p1")
    found = await counted(engine)
    assert found[What.ANSWERED] == 0
    clock.advance(8 * DAY)
    assert (await counted(engine))[What.EXPOSED] == len(PEOPLE)
