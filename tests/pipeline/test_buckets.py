"""The way of an event whose people live in several buckets: everybody hears of it once, where they live; and where
there is one bucket the same comes of it."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest

from notifier.domain.buckets import bucket_of, home
from notifier.domain.clock import MINUTE, ManualClock
from notifier.domain.consent import Consent
from notifier.domain.deliveries import Reason, State
from notifier.domain.events import Event
from notifier.domain.messages import Device
from notifier.domain.recipients import RecipientDetails
from notifier.domain.segments import Segment
from notifier.pipeline import stopping
from notifier.pipeline.decide import decide
from notifier.pipeline.deliver import deliver
from notifier.pipeline.engine import SIGNAL_AGAIN, WorkerEngine
from notifier.pipeline.erasure import ENDED, sweep
from notifier.pipeline.expand import expand
from notifier.pipeline.forwarding import Forwarded, forward
from notifier.sandbox import Sandbox
from notifier.store.core.schema import event, membership, open_event
from notifier.store.core.status import rendered as delivery
from notifier.store.delivery import events
from notifier.store.people import consents, erasures, on_call, recipients, segments, topics
from tests import everywhere
from tests.conftest import BUCKETS, prepare
from tests.everywhere import living_in, without
from tests.named import EMAIL, PUSH, SMS
from tests.pipeline.samples import AVAILABLE, NOW, OFFER, RECEIPT, Report
from tests.pipeline.steps import LATE_VAN

TURN = 10 * MINUTE
HOME = bucket_of(home("test", "1", "subject", {}), BUCKETS)
"""The bucket of the events of these tests, which name nobody by id and are about one subject."""
GOLD = msgspec.convert({"name": "Gold", "all": []}, Segment)

Told = tuple[str, str, str | None]
"""A delivery: to whom, its state and reason."""

in_buckets = pytest.mark.parametrize("database_url", ["buckets"], indirect=True)
"""For what one bucket can't be in: another that is away, or a worker that ends between two."""


@pytest.fixture(params=["sqlite", "buckets"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path, empty_sqlite: Path, migrated: set[str]) -> str:
    """An empty database of one piece, and one with buckets."""
    return prepare(request, tmp_path, empty_sqlite, migrated)


PEOPLE = [living_in((HOME + step) % BUCKETS) for step in range(BUCKETS)]
"""Somebody of each bucket, first of the events'."""


def others() -> Iterator[str]:
    """People of other buckets than the events'."""
    return iter(PEOPLE[1:])


async def write(engine: WorkerEngine, *ids: str, **details: Any) -> None:
    """Write people who have a mailbox."""
    given = {id_: RecipientDetails(email=f"{id_}@example.com", **details) for id_ in ids}
    await recipients.put(engine.database, given, NOW)


async def subscribe(engine: WorkerEngine, *ids: str) -> None:
    """Write people who have a phone, and who want to know when the station is free."""
    given = {id_: RecipientDetails(devices=[Device(value=f"of-{id_}")]) for id_ in ids}
    await recipients.put(engine.database, given, NOW)
    for id_ in ids:
        assert await topics.subscribe(engine.database, AVAILABLE["topic"], id_)


async def work_off(engine: WorkerEngine) -> None:
    """Decide and expand whatever waits in any bucket, as often as it takes for copies and chunks."""
    for _ in range(3):
        for each in engine.buckets:
            waiting = [row.id for row in await everywhere.rows(each.database, open_event)]
            await decide(each, waiting)
            for row in await everywhere.rows(each.database, event):
                if row.id in waiting and "segment_id" in row.data:
                    await expand(each, [row.id])


async def told(engine: WorkerEngine) -> list[Told]:
    """Deliveries of all buckets, but for those that have no address."""
    found = await everywhere.rows(engine.database, delivery)
    return [(row.recipient_id, row.state, row.reason) for row in found if row.reason != Reason.NO_ADDRESS]


async def send_due(engine: WorkerEngine) -> None:
    for each in engine.buckets:
        waiting = [row for row in await everywhere.rows(each.database, delivery) if row.state == State.PENDING]
        for channel in (PUSH, SMS, EMAIL):
            await deliver(each, channel, [row.id for row in waiting if row.channel == channel])


def mailed(sandbox: Sandbox) -> list[str]:
    return [entry.to.partition("@")[0] for entry in sandbox.ledger.entries]


async def undecided(engine: WorkerEngine) -> int:
    return len(await everywhere.rows(engine.database, open_event))


# People in several buckets


async def test_everybody_who_subscribed_hears_once_wherever_they_live(engine: WorkerEngine, report: Report) -> None:
    # Given subscribers in every bucket
    await subscribe(engine, *PEOPLE)

    # When a thing happens, and it is decided
    await report("station.available", **AVAILABLE)
    await work_off(engine)

    # Then each was told once, their subscriptions are over, and nothing waits
    assert sorted(await told(engine)) == sorted((id_, State.PENDING, None) for id_ in PEOPLE)
    audiences = {row.audience for row in await everywhere.rows(engine.database, membership)}
    assert audiences == {f"driver:{id_}" for id_ in PEOPLE}
    assert await undecided(engine) == 0


async def test_a_managers_alert_reaches_the_one_bucket_where_there_are_any(
    engine: WorkerEngine, report: Report
) -> None:
    *_, manager = PEOPLE
    await write(engine, manager, kind="fleet_manager", fleets=["acme"])

    await report("vehicle.not_ready", **LATE_VAN)
    await work_off(engine)

    assert set(await told(engine)) == {(manager, State.PENDING, None)}


async def test_managers_of_several_buckets_are_told_one_after_the_other(
    engine: WorkerEngine, sandbox: Sandbox, clock: ManualClock, report: Report
) -> None:
    # Given managers of several buckets, two of them of one and one where events are; three are on call
    first, second, third, *_ = others()
    with_second = next(f"{second}{number}" for number in count() if _shares(f"{second}{number}", second))
    managers = [first, second, third, with_second, PEOPLE[0]]
    await write(engine, *managers, kind="fleet_manager", fleets=["acme"])
    assert await on_call.put(engine.database, "fleet:acme", [second, PEOPLE[0], with_second]) == []

    # When an alert is decided, and time goes on
    await report("vehicle.not_ready", **LATE_VAN)
    await work_off(engine)
    heard: list[list[str]] = []
    for _ in managers:
        await send_due(engine)
        heard.append(mailed(sandbox)[sum(map(len, heard)) :])
        clock.advance(TURN)

    # Then each hears a turn after the one before: who is on call, and then the others
    assert heard[:3] == [[second], [PEOPLE[0]], [with_second]]
    assert sorted(heard[3:]) == sorted([[first], [third]])


def _shares(id_: str, other: str) -> bool:
    return bucket_of(id_, BUCKETS) == bucket_of(other, BUCKETS)


async def test_a_campaign_reaches_its_segment_in_every_bucket(engine: WorkerEngine, report: Report) -> None:
    # Given people who agreed to offers, in every bucket
    await write(engine, *PEOPLE)
    word = Consent(category="offers", channel="email", granted=True, wording="yes", source="app")
    for id_ in PEOPLE:
        await consents.add(engine.database, id_, word, "test", NOW)
    await segments.put(engine.database, "gold", GOLD, NOW)
    assert await segments.count(engine.database, GOLD) == len(PEOPLE)

    # When a campaign is expanded
    await report("marketing.offer", **OFFER)
    await work_off(engine)

    # Then each is told once
    assert {each for each in await told(engine) if each[1] == State.PENDING} == {
        (id_, State.PENDING, None) for id_ in PEOPLE
    }
    assert await undecided(engine) == 0


async def test_that_nobody_hears_of_a_campaign_is_said_once(engine: WorkerEngine, report: Report) -> None:
    await segments.put(engine.database, "gold", GOLD, NOW)
    await report("marketing.offer", **OFFER)
    await work_off(engine)
    assert await told(engine) == [("", State.SUPPRESSED, Reason.EMPTY_AUDIENCE)]


async def test_a_token_is_known_wherever_its_driver_lives(engine: WorkerEngine, report: Report) -> None:
    driver, *_ = others()
    await write(engine, driver, tokens=[RECEIPT["token"]])

    await report("session.receipt", **RECEIPT)
    await work_off(engine)

    assert {id_ for id_, _, _ in await told(engine)} == {driver}


@pytest.mark.parametrize("named", [{"token": "NL-TST-C9"}, {"token": "NL-TST-C9", "driver_id": "nobody"}])
async def test_that_nobody_is_known_is_said_once(
    engine: WorkerEngine, report: Report, named: Mapping[str, str]
) -> None:
    await report("session.receipt", **{**RECEIPT, **named})
    await work_off(engine)
    assert await told(engine) == [("", State.SUPPRESSED, Reason.UNKNOWN_RECIPIENT)]


# Crashes and outages


@in_buckets
async def test_a_worker_that_ends_between_forwarding_and_deciding_leaves_nobody_out_and_tells_nobody_twice(
    engine: WorkerEngine, report: Report
) -> None:
    # Given an event that was forwarded to all buckets, and whose worker ended with that
    await subscribe(engine, *PEOPLE)
    id_ = await report("station.available", **AVAILABLE)
    here = engine.buckets[HOME]
    accepted: list[Event] = await events.undecided(here.database, [id_])
    assert await forward(here, accepted, Forwarded()) == [id_]
    assert await undecided(engine) == BUCKETS

    # When some of its copies are decided, and the clock brings it up again
    for each in engine.buckets[: BUCKETS // 2]:
        await decide(each, [id_])
    await work_off(engine)

    # Then everybody hears of it once
    assert sorted(id_ for id_, _, _ in await told(engine)) == sorted(PEOPLE)
    assert await undecided(engine) == 0


@in_buckets
async def test_while_a_bucket_does_not_answer_its_people_wait_and_those_of_others_do_not(
    engine: WorkerEngine, clock: ManualClock, report: Report
) -> None:
    # Given subscribers in all buckets but the event's own, of which one doesn't answer
    away, *rest = others()
    await subscribe(engine, away, *rest)
    id_ = await report("station.available", **AVAILABLE)
    left = replace(engine, database=without(engine.database, bucket_of(away, BUCKETS)))

    # When it is decided, over and over
    for _ in range(3):
        for each in left.buckets:
            if each.database.bucket != bucket_of(away, BUCKETS):
                await decide(each, [id_])

    # Then the others were told, once, and it waits for the one, with its next look by the clock
    assert sorted(id_ for id_, _, _ in await told(engine)) == sorted(rest)
    (waiting,) = await everywhere.rows(engine.database, open_event)
    assert waiting.tries == 0
    assert waiting.next_check_at == clock.now() + SIGNAL_AGAIN

    # And when the bucket answers again, who lives there is told
    await work_off(engine)
    assert sorted(id_ for id_, _, _ in await told(engine)) == sorted([away, *rest])
    assert await undecided(engine) == 0


@in_buckets
async def test_nobody_on_call_waits_for_who_lives_in_a_bucket_that_does_not_answer(
    engine: WorkerEngine, sandbox: Sandbox, report: Report
) -> None:
    first, second, *_ = others()
    await write(engine, first, second, kind="fleet_manager", fleets=["acme"])
    await on_call.put(engine.database, "fleet:acme", [first, second])
    id_ = await report("vehicle.not_ready", **LATE_VAN)
    left = replace(engine, database=without(engine.database, bucket_of(first, BUCKETS)))

    await decide(left.buckets[HOME], [id_])
    await decide(left.of(second), [id_])
    await send_due(engine)

    assert mailed(sandbox) == [second]


# Marks


async def test_what_is_over_is_told_in_no_bucket(
    engine: WorkerEngine, sandbox: Sandbox, clock: ManualClock, report: Report
) -> None:
    # Given an alert for managers in several buckets, of whom one has been told
    managers = [PEOPLE[0], PEOPLE[2], PEOPLE[5]]
    await write(engine, *managers, kind="fleet_manager", fleets=["acme"])
    await on_call.put(engine.database, "fleet:acme", managers)
    await report("vehicle.not_ready", **LATE_VAN)
    await work_off(engine)
    await send_due(engine)

    # When the van is ready, which is told to nobody, and time goes on
    clock.advance(MINUTE)
    await report("vehicle.ready", **{name: LATE_VAN[name] for name in ("fleet_id", "vehicle_id")})
    await work_off(engine)
    clock.advance(3 * TURN)
    await send_due(engine)

    # Then nobody else hears of it, in any bucket
    assert mailed(sandbox) == managers[:1]
    assert {(state, why) for id_, state, why in await told(engine) if id_ != managers[0]} == {
        (State.CANCELLED, Reason.CANCELLED)
    }


@pytest.mark.parametrize("by", ["subject", "event", "acknowledgement"])
async def test_who_stops_a_thing_stops_it_in_every_bucket(
    engine: WorkerEngine, sandbox: Sandbox, clock: ManualClock, report: Report, by: str
) -> None:
    # Given an alert for managers in several buckets, and the same again that is accepted and not decided yet
    managers = [PEOPLE[0], PEOPLE[2], PEOPLE[5]]
    await write(engine, *managers, kind="fleet_manager", fleets=["acme"])
    await report("vehicle.not_ready", **LATE_VAN)
    await work_off(engine)
    id_ = await report("vehicle.not_ready", **{**LATE_VAN, "charge_percent": 41})
    kind = engine.catalog.types["vehicle-not-ready"]

    # When it is stopped, twice
    for _ in range(2):
        match by:
            case "subject":
                stopped = await stopping.cancel(engine, kind, "van-1", "test")
            case "event":
                found = await stopping.cancel_event(engine, id_, "test")
                assert found is not None
                stopped = found
            case _:
                stopped = await stopping.acknowledge(engine, kind, "van-1", "test")
        assert stopped.stopped == len(managers)
        assert {each.recipient for each in stopped.deliveries} == set(managers)

    # Then nobody hears of either
    await work_off(engine)
    clock.advance(3 * TURN)
    await send_due(engine)
    assert mailed(sandbox) == []
    reason = Reason.ACKNOWLEDGED if by == "acknowledgement" else Reason.CANCELLED
    assert {(state, why) for _, state, why in await told(engine)} == {(State.CANCELLED, reason)}


# Erasure


async def test_who_is_erased_is_named_in_no_buckets_event(
    engine: WorkerEngine, clock: ManualClock, report: Report
) -> None:
    # Given a driver of another bucket than the event that names their token, which was decided in both
    driver, *_ = others()
    await write(engine, driver, tokens=[RECEIPT["token"]])
    await report("session.receipt", **RECEIPT)
    await work_off(engine)

    # When they are erased, and the clocks of all buckets sweep
    await erasures.begin(engine.database, [driver], "test", clock.now())
    for _ in range(2):
        for each in engine.buckets:
            await sweep(each)
        clock.advance(ENDED)

    # Then no bucket's event tells of them, and no delivery
    for row in await everywhere.rows(engine.database, event):
        assert RECEIPT["token"] not in row.data
    assert driver not in {id_ for id_, _, _ in await told(engine)}
