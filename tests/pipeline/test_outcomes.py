"""What messages achieve: outcomes are awaited from the decision on, come or don't, and are counted once."""

import asyncio
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.clock import DAY, HOUR, MINUTE, ManualClock
from notifier.domain.cloudevents import EventReader
from notifier.domain.deliveries import Channel, State
from notifier.domain.effects import Effect, hour_of
from notifier.domain.ids import make_id
from notifier.domain.preferences import Preferences
from notifier.domain.recipients import RecipientDetails
from notifier.domain.twins import twin
from notifier.pipeline.accept import Accepted, Intake
from notifier.pipeline.claim_batcher import LEASE
from notifier.pipeline.counting import count, merge
from notifier.pipeline.decide import decide
from notifier.pipeline.deliver import deliver
from notifier.pipeline.engine import WorkerEngine
from notifier.store.core.effects import awaited_outcome, effect
from notifier.store.core.status import rendered as delivery
from notifier.store.delivery import effects, leases
from notifier.store.people import recipients
from tests import everywhere
from tests.conftest import BUCKETS, prepare
from tests.everywhere import living_in
from tests.pipeline.receipts import MOVED, tell_one, text, told
from tests.pipeline.samples import COMPLETE, NOW, WARNING, Report

OFFLINE = {
    "site_id": "gent", "site": "Gent Zuid", "station_id": "gent-3", "station": "Bay 3",
    "since": "2026-03-09T17:38:00Z",
}  # fmt: skip
ONLINE = {
    "site_id": "gent", "site": "Gent Zuid", "station_id": "gent-3", "station": "Bay 3",
    "online_since": "2026-03-09T18:00:00Z", "away_min": 20,
}  # fmt: skip

in_buckets = pytest.mark.parametrize("database_url", ["sqlite", "buckets"], indirect=True)


@pytest.fixture(params=["sqlite", "postgresql", "mariadb", "buckets"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path, empty_sqlite: Path, migrated: set[str]) -> str:
    """An empty database of each engine, and one with buckets."""
    return prepare(request, tmp_path, empty_sqlite, migrated)


async def tell(engine: WorkerEngine, *ids: str) -> None:
    for each in engine.buckets:
        await decide(each, ids)


async def send(engine: WorkerEngine) -> None:
    for each in engine.buckets:
        for row in await everywhere.rows(each.database, delivery):
            if row.state == State.PENDING and row.due_at <= engine.clock.now():
                await deliver(each, Channel(row.channel), [row.id])


async def counted(engine: WorkerEngine, type_: str = "idle-warning") -> dict[tuple[str, str, int], int]:
    """What is counted of a type: how many by channel, what and step."""
    for each in engine.buckets:
        await count(each)
    hour = hour_of(engine.clock.now())
    found = await effects.read(engine.database, hour - 1_000, hour + 1, [type_])
    sums = Counter[tuple[str, str, int]]()
    for one in found:
        sums[one.channel, one.what, one.after] += one.number
    return dict(sums)


async def test_an_outcome_in_time_is_counted_once_for_the_person_and_for_each_channel(
    engine: WorkerEngine, clock: ManualClock, driver: str, report: Report
) -> None:
    # Given a driver who is warned of a fee
    await tell(engine, await report("idle.warning", **WARNING))

    # When the car leaves five minutes later, and that is reported twice
    clock.advance(5 * MINUTE)
    await tell(engine, await report("session.ended", session_id="101"), await report("session.ended", session_id="101"))

    # Then it is counted in the sixth of thirty parts, each minute being one
    expected = {(channel, "exposed", 0): 1 for channel in ("", "push", "sms")}
    expected |= {(channel, "answered", 5): 1 for channel in ("", "push", "sms")}
    found = await counted(engine)
    assert {key: number for key, number in found.items() if key[1] in ("exposed", "answered")} == expected
    assert await everywhere.rows(engine.database, awaited_outcome) == []


async def test_what_did_not_come_in_time_is_counted_as_awaited_alone(
    engine: WorkerEngine, clock: ManualClock, driver: str, report: Report
) -> None:
    # Given a warning, when half an hour is over and the car leaves then
    await tell(engine, await report("idle.warning", **WARNING))
    clock.advance(30 * MINUTE + 1)
    assert ("", "exposed", 0) in await counted(engine)
    await tell(engine, await report("session.ended", session_id="101"))

    # Then nothing came of it
    assert not any(what == "answered" for _, what, _ in await counted(engine))


async def test_what_came_before_the_decision_is_no_outcome_of_it(
    engine: WorkerEngine, clock: ManualClock, driver: str, report: Report
) -> None:
    # Given a car that left a minute ago, as is reported only now
    await tell(engine, await report("idle.warning", at=NOW - 2 * MINUTE, **WARNING))
    await tell(engine, await report("session.ended", at=NOW - MINUTE, session_id="101"))

    # When its time is over
    clock.advance(31 * MINUTE)

    # Then the superseded warning counts as one that was to be told, and not as answered
    found = await counted(engine)
    assert found["", "exposed", 0] == 1
    assert not any(what == "answered" for _, what, _ in found)


async def test_a_repeat_is_awaited_once(engine: WorkerEngine, clock: ManualClock, driver: str, report: Report) -> None:
    # Given two events that say the same, one of them when the outcome of the other had come
    await tell(engine, await report("idle.warning", **WARNING), await report("idle.warning", **WARNING))
    clock.advance(MINUTE)
    await tell(engine, await report("session.ended", session_id="101"))
    await counted(engine)
    await tell(engine, await report("idle.warning", **WARNING))
    clock.advance(HOUR)

    # Then one person was to be told
    assert (await counted(engine))["", "exposed", 0] == 1


async def test_who_is_not_to_be_told_is_not_awaited(
    engine: WorkerEngine, clock: ManualClock, driver: str, report: Report
) -> None:
    # Given a driver who has switched charging off
    details = RecipientDetails(
        phone="+4915123456789",
        preferences=Preferences(categories={engine.catalog.types["idle-warning"].category: False}),
    )  # fmt: skip
    await recipients.put(engine.database, {"ada": details}, NOW)

    # When a fee is near, and so for a driver whom nobody knows
    await tell(engine, await report("idle.warning", **WARNING))
    await tell(engine, await report("idle.warning", **{**WARNING, "driver_id": "nobody", "session_id": "102"}))

    # Then nothing is awaited
    assert await everywhere.rows(engine.database, awaited_outcome) == []
    assert not any(what == "exposed" for _, what, _ in await counted(engine))


async def test_each_state_that_a_delivery_reaches_is_counted_with_its_locale(
    engine: WorkerEngine, clock: ManualClock, driver: str, report: Report
) -> None:
    # Given a warning that is sent, and one that a car's leaving overtakes
    await tell(engine, await report("idle.warning", **WARNING))
    await send(engine)
    await tell(engine, await report("idle.warning", **{**WARNING, "session_id": "102"}))
    await tell(engine, await report("session.ended", session_id="102"))
    await send(engine)

    # When it is counted, twice and by two clocks at once
    await asyncio.gather(*(count(each) for each in engine.buckets), *(count(each) for each in engine.buckets))
    await counted(engine)

    # Then each is counted once: two phones and a number
    hour = hour_of(NOW)
    found = [each for each in await effects.read(engine.database, hour, hour + 1) if each.what in ("sent", "cancelled")]
    of = {"hour": hour, "type": "idle-warning", "variant": ""}
    expected = [
        Effect(**of, channel="push", locale="", what="cancelled", number=2),  # type: ignore[arg-type]
        Effect(**of, channel="push", locale="de", what="sent", number=2),  # type: ignore[arg-type]
        Effect(**of, channel="sms", locale="", what="cancelled", number=1),  # type: ignore[arg-type]
        Effect(**of, channel="sms", locale="de", what="sent", number=1),  # type: ignore[arg-type]
    ]
    assert sorted(found, key=lambda each: (each.channel, each.what)) == expected


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql", "mariadb"], indirect=True)
async def test_a_receipt_that_overtakes_its_worker_says_that_the_message_was_sent_as_well(
    engine: WorkerEngine, driver: str, report: Report
) -> None:
    # Given a text that was sent, and one that a worker has handed over and not settled yet
    sent = await text(engine, report, 1)
    waiting = await text(engine, report, 2, sent=False)
    await leases.claim(engine.database, [waiting.id], make_id("token"), NOW, NOW + LEASE)

    # When the receipts of both come, and what became of them is counted together
    for each in (sent, waiting):
        assert await tell_one(engine, told(each.id)) == MOVED
    found = await counted(engine, "charging-complete")

    # Then each counts once as sent, and once as delivered; how many SMS one took is known once its worker says so
    texts = {what: number for (channel, what, _), number in found.items() if channel == "sms"}
    assert texts == {"sent": 2, "delivered": 2, "segments": 1}


async def test_what_is_counted_later_belongs_to_the_hour_of_the_decision(
    engine: WorkerEngine, clock: ManualClock, driver: str, report: Report
) -> None:
    # Given a receipt at 17:40 that is sent an hour later
    await tell(engine, await report("charging.complete", **COMPLETE))
    await counted(engine)
    clock.advance(29 * MINUTE)
    await send(engine)
    await counted(engine)

    # Then it is one of the hour from 17:00
    found = await effects.read(engine.database, 0, hour_of(NOW) + 100)
    assert {each.hour for each in found} == {hour_of(NOW)}


@in_buckets
async def test_an_outcome_answers_people_of_every_bucket(
    engine: WorkerEngine, clock: ManualClock, report: Report
) -> None:
    # Given a site whose operators live in several buckets
    people = [living_in(number) for number in range(0, BUCKETS, 2)]
    details = {id_: RecipientDetails(email=f"{id_}@example.com", sites=["gent"]) for id_ in people}
    await recipients.put(engine.database, details, NOW)
    await _pass_on(engine, await report("station.offline", **OFFLINE))

    # When the station is back an hour later
    clock.advance(HOUR)
    await _pass_on(engine, await report("station.online", **ONLINE))

    # Then it is so for each of them
    found = await counted(engine, "station-offline")
    assert found["", "answered", 1] == len(people)
    assert found["email", "answered", 1] == len(people)


async def _pass_on(engine: WorkerEngine, id_: str) -> None:
    """Decide an event, and its copies in the buckets to which it is forwarded."""
    await tell(engine, id_)
    await tell(engine, id_)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_tests_are_counted_apart(engine: WorkerEngine, clock: ManualClock, driver: str, report: Report) -> None:
    # Given a test of a warning
    intake, reader = Intake(engine), EventReader(engine.catalog)

    async def try_(type_: str, **data: Any) -> None:
        (answer,) = await intake.accept([reader.made(type_, "test", type_, "subject", clock.now(), data).as_test()])
        assert isinstance(answer, Accepted)
        await tell(engine, answer.event)

    await try_("idle.warning", **WARNING)

    # When a car leaves in earnest, and then in a test
    clock.advance(MINUTE)
    await tell(engine, await report("session.ended", session_id="101"))
    assert ("", "answered", 1) not in await counted(engine, twin("idle-warning"))
    await try_("session.ended", session_id="101")
    await intake.close()

    # Then only the test has an outcome
    assert (await counted(engine, twin("idle-warning")))["", "answered", 1] == 1
    assert await counted(engine) == {}


async def test_days_that_nobody_looks_at_by_the_hour_become_one_row_a_kind(
    engine: WorkerEngine, clock: ManualClock, driver: str, report: Report
) -> None:
    # Given warnings of three hours of a day
    for number in range(3):
        await tell(engine, await report("idle.warning", **_warning(number, clock.now())))
        clock.advance(HOUR)
    before = await counted(engine)

    # When it is long past, and the clock looks by
    clock.advance(4 * DAY)
    after = await counted(engine)

    # Then as much is counted as before, in a row for each kind of the day's first hour
    found = await everywhere.rows(engine.database, effect)
    assert after == before
    assert after["", "exposed", 0] == 3
    assert {row.hour for row in found} == {hour_of(NOW) // 24 * 24}
    assert len(found) == len(after)


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql", "mariadb"], indirect=True)
async def test_what_is_added_becomes_one_row_a_kind_in_a_recent_hour_at_once_and_in_an_older_one_in_time(
    engine: WorkerEngine,
) -> None:
    # Given sums of this hour and of one ten hours ago, each of which two transactions have added to
    for hour in (hour_of(NOW), hour_of(NOW) - 10) * 2:
        added = Effect(hour=hour, type="idle-warning", channel="push", locale="de", variant="", what="sent")
        await engine.database.write(partial(_add, engine, added))

    # When the clock counts, and when it then merges what is past
    await count(engine)
    at_once = await everywhere.rows(engine.database, effect)
    await merge(engine)
    in_time = await everywhere.rows(engine.database, effect)

    # Then it looks at what is past only then
    assert sorted((row.hour - hour_of(NOW), row.number) for row in at_once) == [(-10, 1), (-10, 1), (0, 2)]
    assert sorted((row.hour - hour_of(NOW), row.number) for row in in_time) == [(-10, 2), (0, 2)]


async def _add(engine: WorkerEngine, added: Effect, connection: AsyncConnection) -> None:
    await effects.add(connection, engine.database.dialect, [added])


def _warning(number: int, now: int) -> dict[str, Any]:
    return {**WARNING, "session_id": str(number), "idle_fee_from": f"2026-03-09T{18 + number}:59:00Z"}


async def test_counts_are_kept_for_three_years(
    engine: WorkerEngine, clock: ManualClock, driver: str, report: Report
) -> None:
    # Given something that is counted
    await tell(engine, await report("idle.warning", **WARNING))
    clock.advance(HOUR)
    assert await counted(engine)

    # When three years are over but for a day, and when they are over
    clock.advance(1099 * DAY)
    for each in engine.buckets:
        await merge(each)
    there = len(await everywhere.rows(engine.database, effect))
    clock.advance(2 * DAY)
    for each in engine.buckets:
        await merge(each)

    # Then it was there until then
    assert there > 0
    assert await everywhere.rows(engine.database, effect) == []
