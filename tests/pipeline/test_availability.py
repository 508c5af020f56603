"""People wait for a free port: each hears in turn, once, and no more once they have left or charge."""

import asyncio
import json
from copy import copy
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from notifier.domain.availability_alerts import KEPT, LASTS, MOST, OFFER, Alert, AlertState, Ended
from notifier.domain.clock import MINUTE, ManualClock
from notifier.domain.cloudevents import EventReader
from notifier.domain.deliveries import State
from notifier.domain.errors import Problem
from notifier.domain.recipients import RecipientDetails
from notifier.domain.stations import STABLE, EvseStatus
from notifier.pipeline import availability, stations
from notifier.pipeline.accept import Intake
from notifier.pipeline.availability import AGAIN, Teller
from notifier.pipeline.deliver import deliver
from notifier.pipeline.engine import WorkerEngine
from notifier.store.core.database import Database
from notifier.store.core.schema import event, open_event
from notifier.store.core.stations import availability_alert
from notifier.store.core.status import rendered as delivery
from notifier.store.people import erasures, recipients
from notifier.store.stations import alerts, locations
from notifier.store.stations.evses import StatusReport
from tests import everywhere
from tests.named import SMS
from tests.pipeline.samples import COMPLETE, NOW, Report
from tests.places import PLACE, place

on_buckets = pytest.mark.parametrize("database_url", ["buckets"], indirect=True)
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

PEOPLE = ("ada", "bea", "cem")
STARTED = {"session_id": "101", "station": "Gent Zuid", "started_at": "2026-03-09T17:40:00Z"}


@pytest.fixture(autouse=True)
async def waiting_room(engine: WorkerEngine) -> None:
    """A place of two ports, which are taken, and people with phones."""
    await locations.update(engine.database, PLACE, lambda _: place())
    people = {
        id_: RecipientDetails(phone=f"+49151123456{number:02}", time_zone="Europe/Brussels", tokens=[f"NL-TNM-{id_}"])
        for number, id_ in enumerate(PEOPLE)
    }
    await recipients.put(engine.database, people, NOW)


async def say(engine: WorkerEngine, port: str, status: EvseStatus, location: str = PLACE) -> None:
    """What a port says of itself."""
    told = StatusReport(id=f"{location}-{port}", status=status, at=engine.clock.now(), source="ocpp")
    await stations.take(engine, [told])


async def ask(engine: WorkerEngine, who: str, location: str = PLACE, connector: str | None = None) -> Alert:
    """Ask for a port, a moment after whoever did before."""
    assert isinstance(engine.clock, ManualClock)
    engine.clock.advance(1)
    made, _ = await availability.ask(engine, who, location, connector)
    return made


async def tick(engine: WorkerEngine) -> None:
    """What the clock does, and a worker that decides what comes of it."""
    await stations.look(engine)
    await availability.look(engine)
    teller = Teller(engine)
    await teller.tell()
    await teller.close()
    await everywhere.decide(engine, [row.id for row in await everywhere.rows(engine.database, open_event)])


async def pass_by(engine: WorkerEngine, milliseconds: int) -> None:
    """Time passes, and the clock ticks at its end."""
    assert isinstance(engine.clock, ManualClock)
    engine.clock.advance(milliseconds)
    await tick(engine)


async def told(engine: WorkerEngine) -> list[tuple[str, str]]:
    """Who was told of which port, in order."""
    found = [json.loads(row.data) for row in await everywhere.rows(engine.database, event) if row.type == "port.free"]
    return sorted({(each["driver_id"], each["port"]) for each in found})


async def states(engine: WorkerEngine) -> dict[str, tuple[AlertState, Ended | None]]:
    """How the alerts of people stand."""
    return {
        who: (found[0].alert.state, found[0].alert.ended)
        for who in PEOPLE
        if (found := await alerts.of_person(engine.database, who))
    }


async def messages(engine: WorkerEngine, who: str) -> set[tuple[str, str]]:
    """The channels by which somebody is told of a port, and how that stands."""
    found = await everywhere.rows(engine.database, delivery)
    return {(row.channel, row.state) for row in found if (row.type, row.recipient_id) == ("port-free", who)}


async def test_each_free_port_is_told_to_one_who_waits_in_the_order_of_asking(engine: WorkerEngine) -> None:
    # Given
    for who in ("bea", "ada", "cem"):
        await ask(engine, who)
    # When
    await say(engine, "1", EvseStatus.AVAILABLE)
    await pass_by(engine, STABLE - 1)
    early = await told(engine)
    await pass_by(engine, 1)
    first = await told(engine)
    await say(engine, "2", EvseStatus.AVAILABLE)
    await pass_by(engine, STABLE)
    second = await told(engine)
    await pass_by(engine, OFFER)
    # Then
    assert (early, first, second) == ([], [("bea", "1")], [("ada", "2"), ("bea", "1")])
    assert await told(engine) == [("ada", "2"), ("bea", "1"), ("cem", "1")]
    assert (await states(engine))["bea"] == (AlertState.OVER, Ended.TOLD)
    await pass_by(engine, LASTS)
    assert len(await told(engine)) == len(PEOPLE)


async def test_who_asks_where_a_port_is_free_is_told_at_once(engine: WorkerEngine) -> None:
    # Given
    await say(engine, "1", EvseStatus.AVAILABLE)
    await pass_by(engine, STABLE)
    # When
    await ask(engine, "ada")
    await tick(engine)
    # Then
    assert await told(engine) == [("ada", "1")]


async def test_asking_again_keeps_the_place_and_asking_for_another_connector_does_not(engine: WorkerEngine) -> None:
    # Given
    first = await ask(engine, "ada")
    await ask(engine, "bea", connector="IEC_62196_T2")
    # When
    again, is_new = await availability.ask(engine, "ada", PLACE, None)
    other = await ask(engine, "ada", connector="IEC_62196_T2")
    # Then
    assert (again, is_new) == (first, False)
    (standing, left) = await alerts.of_person(engine.database, "ada")
    assert (standing.alert, left.alert.ended) == (other, Ended.LEFT)
    assert standing.name == "Gent Zuid"


async def test_who_asks_first_is_first_whatever_their_web_process_says_the_time_is(
    engine: WorkerEngine, clock: ManualClock
) -> None:
    # Given
    first = await ask(engine, "ada")
    # When
    slow = replace(engine, clock=ManualClock(clock.now() - MINUTE))
    second, _ = await availability.ask(slow, "bea", PLACE, None)
    # Then
    assert second.asked_at == first.asked_at + 1


@pytest.mark.parametrize(
    ("who", "where", "connector", "code"),
    [
        ("nobody", PLACE, None, 40401),
        ("ada", "NL-TNM-NOWHERE", None, 40401),
        ("ada", "hidden", None, 40401),
        ("ada", PLACE, "CHADEMO", 42205),
    ],
)
async def test_what_cannot_be_waited_for_is_refused(
    engine: WorkerEngine, who: str, where: str, connector: str | None, code: int
) -> None:
    # Given
    await locations.update(engine.database, "hidden", lambda _: place("hidden", hidden=True))
    # When
    with pytest.raises(Problem) as refused:
        await ask(engine, who, where, connector)
    # Then
    assert refused.value.code == code
    assert await everywhere.rows(engine.database, availability_alert) == []


async def test_a_person_has_so_many_alerts_and_no_more(engine: WorkerEngine, clock: ManualClock) -> None:
    # Given
    places = [f"NL-TNM-{number}" for number in range(MOST + 1)]
    for id_ in places:
        await locations.update(engine.database, id_, lambda _, id_=id_: place(id_))  # type: ignore[misc]
    for id_ in places[:-1]:
        await ask(engine, "ada", id_)
    # When
    with pytest.raises(Problem) as refused:
        await ask(engine, "ada", places[-1])
    clock.advance(LASTS)
    later = await ask(engine, "ada", places[-1])
    # Then
    assert refused.value.code == 42205
    assert later.state == AlertState.WAITING


async def test_who_has_left_hears_nothing_and_the_next_is_told(engine: WorkerEngine, clock: ManualClock) -> None:
    # Given
    await ask(engine, "ada")
    await ask(engine, "bea")
    await say(engine, "1", EvseStatus.AVAILABLE)
    await pass_by(engine, STABLE)
    assert (SMS, State.PENDING) in await messages(engine, "ada")
    # When
    await availability.leave(engine, "ada", PLACE)
    await availability.leave(engine, "ada", PLACE)
    # Then
    await tick(engine)
    assert await told(engine) == [("ada", "1"), ("bea", "1")]
    clock.advance(MINUTE)
    for each in engine.buckets:
        texts = [row.id for row in await everywhere.rows(each.database, delivery) if row.channel == SMS]
        await deliver(each, SMS, texts)
    assert (SMS, State.CANCELLED) in await messages(engine, "ada")
    assert (SMS, State.SENT) in await messages(engine, "bea")
    assert (await states(engine))["ada"] == (AlertState.OVER, Ended.LEFT)


@pytest.mark.parametrize("named", [{"driver_id": "ada"}, {"token": "NL-TNM-ada"}])
async def test_who_begins_to_charge_waits_nowhere_any_more(
    engine: WorkerEngine, report: Report, named: dict[str, str]
) -> None:
    # Given
    await locations.update(engine.database, "NL-TNM-2", lambda _: place("NL-TNM-2"))
    await ask(engine, "ada")
    await ask(engine, "ada", "NL-TNM-2")
    await ask(engine, "bea")
    # When
    await report("session.started", **STARTED, **named)
    await tick(engine)
    # Then
    assert (await states(engine)) == {
        "ada": (AlertState.OVER, Ended.CHARGING), "bea": (AlertState.WAITING, None),
    }  # fmt: skip
    await say(engine, "1", EvseStatus.AVAILABLE)
    await pass_by(engine, STABLE)
    assert await told(engine) == [("bea", "1")]


async def test_deciding_asks_once_for_a_batch_in_which_somebody_begins_to_charge_and_else_never(
    engine: WorkerEngine, report: Report
) -> None:
    # Given
    asked: list[str] = []

    @sa.event.listens_for(engine.database.engine.sync_engine, "before_cursor_execute")
    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "availability_alert" in statement:
            asked.append(statement)

    others = [await report("charging.complete", **COMPLETE | {"session_id": str(number)}) for number in range(5)]
    began = [
        await report("session.started", **STARTED | {"session_id": str(number)}, driver_id=PEOPLE[number % 3])
        for number in range(9)
    ]
    # When
    await everywhere.decide(engine, others)
    without, asked[:] = list(asked), []
    await everywhere.decide(engine, [*others, *began])
    # Then
    assert without == []
    assert len(asked) == 1


async def test_a_session_from_before_asking_and_that_of_a_test_end_nothing(
    engine: WorkerEngine, report: Report, clock: ManualClock
) -> None:
    # Given Ada charges slowly, and waits for a fast port
    began = clock.now()
    clock.advance(MINUTE)
    await ask(engine, "ada")
    # When
    await report("session.started", began, **STARTED, driver_id="ada")
    reader, intake = EventReader(engine.catalog), Intake(engine)
    made = reader.made("session.started", "test", "a test", "subject", clock.now(), {**STARTED, "driver_id": "ada"})
    await intake.accept([made.as_test()])
    await tick(engine)
    await intake.close()
    # Then
    assert (await states(engine))["ada"] == (AlertState.WAITING, None)


async def test_an_offer_of_who_charges_elsewhere_goes_to_the_next_at_once(engine: WorkerEngine, report: Report) -> None:
    # Given
    await ask(engine, "ada")
    await ask(engine, "bea")
    await say(engine, "1", EvseStatus.AVAILABLE)
    await pass_by(engine, STABLE)
    # When
    await report("session.started", **STARTED, driver_id="ada")
    await tick(engine)
    await tick(engine)
    # Then
    assert await told(engine) == [("ada", "1"), ("bea", "1")]


async def test_a_port_that_is_taken_before_it_is_told_is_told_to_nobody(engine: WorkerEngine) -> None:
    # Given
    await ask(engine, "ada")
    await say(engine, "1", EvseStatus.AVAILABLE)
    assert isinstance(engine.clock, ManualClock)
    engine.clock.advance(STABLE)
    await stations.look(engine)
    await availability.look(engine)
    # When
    await say(engine, "1", EvseStatus.CHARGING)
    await tick(engine)
    # Then
    assert await told(engine) == []


async def test_what_is_on_its_way_of_a_port_that_is_taken_is_stopped(engine: WorkerEngine) -> None:
    # Given Ada was told by a push, which nobody has seen yet
    await ask(engine, "ada")
    await say(engine, "1", EvseStatus.AVAILABLE)
    await pass_by(engine, STABLE)
    # When a stranger plugs in
    await say(engine, "1", EvseStatus.CHARGING)
    await tick(engine)
    # Then no text follows
    for each in engine.buckets:
        texts = [row.id for row in await everywhere.rows(each.database, delivery) if row.channel == SMS]
        await deliver(each, SMS, texts)
    assert (SMS, State.CANCELLED) in await messages(engine, "ada")
    assert (await states(engine))["ada"] == (AlertState.OFFERED, None)
    assert [row.tell_at for row in await everywhere.rows(engine.database, availability_alert)] == [None]


async def test_nobody_is_told_of_one_availability_twice(engine: WorkerEngine) -> None:
    # Given
    await ask(engine, "ada")
    await say(engine, "1", EvseStatus.AVAILABLE)
    await pass_by(engine, STABLE)
    await pass_by(engine, OFFER)
    # When
    await ask(engine, "ada")
    await tick(engine)
    waits = (await states(engine))["ada"]
    await say(engine, "1", EvseStatus.CHARGING)
    await pass_by(engine, MINUTE)
    await say(engine, "1", EvseStatus.AVAILABLE)
    await pass_by(engine, STABLE)
    # Then
    assert waits == (AlertState.WAITING, None)
    assert (await states(engine))["ada"] == (AlertState.OFFERED, None)


async def test_what_is_over_is_forgotten_after_a_day(engine: WorkerEngine) -> None:
    # Given
    await ask(engine, "ada")
    await pass_by(engine, LASTS)
    assert (await states(engine))["ada"] == (AlertState.OVER, Ended.TIMED_OUT)
    # When
    await pass_by(engine, KEPT)
    # Then
    assert await everywhere.rows(engine.database, availability_alert) == []


async def test_who_is_erased_leaves_no_alert_and_the_next_is_told_in_time(engine: WorkerEngine) -> None:
    # Given
    await ask(engine, "ada")
    await ask(engine, "bea")
    await say(engine, "1", EvseStatus.AVAILABLE)
    await pass_by(engine, STABLE)
    # When
    await erasures.begin(engine.database, ["ada"], "test", engine.clock.now())
    await pass_by(engine, OFFER)
    # Then
    assert (await states(engine)) == {"bea": (AlertState.OFFERED, None)}


async def test_many_at_once_ask_leave_and_charge_and_no_port_is_told_to_two(
    engine: WorkerEngine, report: Report
) -> None:
    # Given
    await say(engine, "1", EvseStatus.AVAILABLE)
    await pass_by(engine, STABLE)
    # When
    await asyncio.gather(
        *(availability.ask(engine, who, PLACE, None) for who in PEOPLE), availability.look(engine),
        availability.leave(engine, "bea", PLACE), report("session.started", **STARTED, driver_id="cem"),
    )  # fmt: skip
    await asyncio.gather(tick(engine), availability.look(engine), availability.leave(engine, "cem", PLACE))
    await tick(engine)
    # Then
    found = await everywhere.rows(engine.database, availability_alert)
    assert len({row.asked_at for row in found}) == len(found)
    assert sum(row.state == AlertState.OFFERED for row in found) <= 1


@on_buckets
async def test_people_of_all_buckets_wait_in_one_line(engine: WorkerEngine, report: Report) -> None:
    # Given
    first, second, third = (everywhere.living_in(bucket) for bucket in (0, 3, 5))
    people = {id_: RecipientDetails(phone="+4915112345600", tokens=[f"T-{id_}"]) for id_ in (first, second, third)}
    await recipients.put(engine.database, people, NOW)
    for who in (third, first, second):
        await ask(engine, who)
    # When the first of them charges, by a token that another bucket accepts
    await report("session.started", **STARTED, token=f"T-{third}")
    await tick(engine)
    await say(engine, "1", EvseStatus.AVAILABLE)
    await pass_by(engine, STABLE)
    await availability.leave(engine, first, PLACE)
    await tick(engine)
    # Then
    assert await told(engine) == sorted([(first, "1"), (second, "1")])
    for each in engine.buckets:
        await deliver(each, SMS, [row.id for row in await everywhere.rows(each.database, delivery)])
    assert (SMS, State.CANCELLED) in await messages(engine, first)
    assert (SMS, State.SENT) in await messages(engine, second)


@on_buckets
async def test_who_lives_in_a_bucket_that_is_away_keeps_nobody_else_waiting(
    engine: WorkerEngine, clock: ManualClock
) -> None:
    # Given
    here, away = everywhere.living_in(1), everywhere.living_in(2)
    people = {id_: RecipientDetails(phone="+4915112345600") for id_ in (here, away)}
    await recipients.put(engine.database, people, NOW)
    for who in (away, here):
        await ask(engine, who)
    for port in ("1", "2"):
        await say(engine, port, EvseStatus.AVAILABLE)
    clock.advance(STABLE)
    await stations.look(engine)
    await availability.look(engine)
    # When
    teller = Teller(replace(engine, database=everywhere.without(engine.database, 2)))
    await teller.tell()
    await teller.close()
    first = await told(engine)
    clock.advance(AGAIN)
    await tick(engine)
    # Then
    assert first == [(here, "2")]
    assert await told(engine) == sorted([(here, "2"), (away, "1")])


class Killed(Exception):
    """What ends a clock at a store call."""


class Deadly(Database):
    """A database at whose nth transaction its process ends, before it is committed or right after."""

    at, after, calls = 0, False, 0

    @classmethod
    def of(cls, database: Database, at: int, *, after: bool) -> "Deadly":
        made: Any = copy(database)
        made.__class__ = cls
        made.at, made.after, made.calls = at, after, 0
        made.whole, made.buckets = made, (made,)
        return made  # type: ignore[no-any-return]

    async def write(self, work: Any) -> Any:
        self.calls += 1
        if self.calls == self.at and not self.after:
            raise Killed
        found = await super().write(work)
        if self.calls == self.at:
            raise Killed
        return found


@on_sqlite
@pytest.mark.parametrize("after", [False, True])
async def test_a_clock_that_ends_anywhere_leaves_nobody_out_and_tells_nobody_twice(
    engine: WorkerEngine, clock: ManualClock, after: bool
) -> None:
    for at in range(1, 30):
        # Given
        id_ = f"NL-TNM-{at}"
        await locations.update(engine.database, id_, lambda _, id_=id_: place(id_))  # type: ignore[misc]
        for who in ("ada", "bea"):
            await ask(engine, who, id_)
        before = len([row for row in await everywhere.rows(engine.database, event) if row.type == "port.free"])
        await say(engine, "1", EvseStatus.AVAILABLE, id_)
        clock.advance(STABLE)
        # When
        deadly = Deadly.of(engine.database, at, after=after)
        try:
            await tick(replace(engine, database=deadly))
        except Killed:
            ended = True
        else:
            ended = False
        await tick(engine)
        # Then
        found = [row for row in await everywhere.rows(engine.database, event) if row.type == "port.free"][before:]
        assert len(found) == 1
        assert {who: (await alerts.of_person(engine.database, who))[0].alert.tell_at for who in ("ada", "bea")} == {
            "ada": None, "bea": None,
        }  # fmt: skip
        for who in ("ada", "bea"):
            await availability.leave(engine, who, id_)
        if not ended:
            return
    raise AssertionError("it ends at so many points")
