"""Experiments in decisions and messages: who is in which arm hears what the arm says, and is counted once."""

from collections import Counter
from pathlib import Path

import msgspec
import pytest

from notifier.channels.sms.heeding import heed
from notifier.channels.sms.inbound import IncomingText
from notifier.domain.assignment import POINTS, Points
from notifier.domain.clock import DAY, MINUTE, ManualClock
from notifier.domain.cloudevents import EventReader
from notifier.domain.deliveries import Channel, State
from notifier.domain.effects import hour_of
from notifier.domain.experiments import Arm, Experiment, ExperimentState, Plan, Running
from notifier.domain.preferences import Preferences
from notifier.domain.recipients import RecipientDetails
from notifier.pipeline.counting import count
from notifier.pipeline.deliver import deliver
from notifier.pipeline.engine import WorkerEngine
from notifier.rendering.texts import Texts
from notifier.sandbox import Sandbox
from notifier.store.core.effects import awaited_outcome, exposure
from notifier.store.core.schema import delivery as written
from notifier.store.core.status import rendered as delivery
from notifier.store.delivery import effects
from notifier.store.people import recipients
from notifier.store.reading import explaining
from notifier.store.reading.explaining import ExplanationQuery
from notifier.why.explain import explain
from notifier.why.replaying import replay
from notifier.why.simulate import Trial, simulate
from tests import everywhere
from tests.conftest import prepare
from tests.named import PUSH
from tests.pipeline.samples import NOW, WARNING, Report

PEOPLE = [f"driver-{number}" for number in range(40)]


@pytest.fixture(params=["sqlite", "postgresql", "mariadb", "buckets"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path, empty_sqlite: Path, migrated: set[str]) -> str:
    """An empty database of each engine, and one with buckets."""
    return prepare(request, tmp_path, empty_sqlite, migrated)


@pytest.fixture
async def people(engine: WorkerEngine) -> list[str]:
    """Drivers with a number each."""
    details = {id_: RecipientDetails(phone=f"+49151234{i:05}", locale="en") for i, id_ in enumerate(PEOPLE)}
    await recipients.put(engine.database, details, NOW)
    return PEOPLE


def run(engine: WorkerEngine, **arms: Arm) -> Experiment:
    """Have an experiment with a control and these arms run."""
    named = {"control": Arm(), **arms}
    weights = dict.fromkeys(named, POINTS // len(named))
    weights["control"] += POINTS - sum(weights.values())
    plan = Plan(type="idle-warning", why="Does it help?", arms=named, weights=weights)
    made = Experiment(
        id="sooner", plan=plan, state=ExperimentState.RUNNING, created_at=NOW, updated_at=NOW, started_at=NOW,
        allocations=(weights,), points=(Points(0, POINTS),),
    )  # fmt: skip
    engine.experiments.use([made], Running([made], engine.catalog.types))
    return made


async def warn(
    engine: WorkerEngine, report: Report, *people: str, session: str = "1", fee_from: str = "2026-03-09T17:55:00Z"
) -> None:
    for person in people:
        told = {"driver_id": person, "session_id": f"{person}/{session}", "idle_fee_from": fee_from}
        id_ = await report("idle.warning", **{**WARNING, **told})
        await everywhere.decide(engine, [id_])


async def send(engine: WorkerEngine) -> None:
    for each in engine.buckets:
        for row in await everywhere.rows(each.database, delivery):
            if row.state == State.PENDING and row.due_at <= engine.clock.now():
                await deliver(each, Channel(row.channel), [row.id])


def _with_text(texts: Texts, text: str) -> Texts:
    """A locale's texts with another text for phones."""
    table = texts.table("sms")
    assert table is not None
    return msgspec.structs.replace(texts, sms=msgspec.structs.replace(table, text=text))


async def counted(engine: WorkerEngine, *what: str) -> dict[tuple[str, str], int]:
    """How many people are counted, by arm."""
    for each in engine.buckets:
        await count(each)
    hour, sums = hour_of(engine.clock.now()), Counter[tuple[str, str]]()
    for one in await effects.read(engine.database, hour - 100, hour + 1, ["idle-warning"]):
        if one.what in what and one.channel == "":
            sums[one.variant, one.what] += one.number
    return dict(sums)


async def arms(engine: WorkerEngine) -> dict[str, str]:
    """The variant that each person's rows have."""
    return {row.recipient_id: row.variant for row in await everywhere.rows(engine.database, written)}


async def test_people_of_an_arm_get_its_texts_and_the_others_the_live_ones(
    engine: WorkerEngine, sandbox: Sandbox, people: list[str], report: Report
) -> None:
    # Given a version of the texts that isn't live, and an experiment with it
    wording = {
        locale: _with_text(texts, "{{ station }}: please go.")
        for locale, texts in engine.renderer.shipped["idle-warning"].items()
    }
    live = engine.renderer.live("idle-warning")
    engine.renderer.add("idle-warning", 77, wording)
    run(engine, please=Arm(version=77))

    # When people are warned
    await warn(engine, report, *people)
    await send(engine)

    # Then their rows say what they were told, and so do their phones
    of = await arms(engine)
    assert set(of.values()) == {"sooner/control/1", "sooner/please/1"}
    asked = {entry.to for entry in sandbox.ledger.entries if "please go" in entry.content.body}  # type: ignore[union-attr]
    assert len(asked) == sum(variant == "sooner/please/1" for variant in of.values()) > 5
    found = [row for row in await everywhere.rows(engine.database, delivery) if row.version is not None]
    assert {(of[row.recipient_id], row.version) for row in found} == {
        ("sooner/control/1", live), ("sooner/please/1", 77),
    }  # fmt: skip


async def test_people_of_the_holdback_are_told_nothing_and_are_awaited_all_the_same(
    engine: WorkerEngine, clock: ManualClock, people: list[str], report: Report
) -> None:
    # Given an experiment with a holdback
    run(engine, silence=Arm(silent=True))

    # When people are warned, and every car leaves
    await warn(engine, report, *people)
    clock.advance(MINUTE)
    for person in people:
        await everywhere.decide(engine, [await report("session.ended", session_id=f"{person}/1", driver_id=person)])

    # Then some heard nothing, for that reason, and all are counted in their arm
    found = await everywhere.rows(engine.database, delivery)
    held = {row.recipient_id for row in found if row.reason == "held_back"}
    of = await arms(engine)
    assert held == {person for person, variant in of.items() if variant == "sooner/silence/1"}
    assert 5 < len(held) < 35
    assert all(row.state == State.SUPPRESSED for row in found if row.recipient_id in held)
    enrolled = Counter(of.values())
    assert await counted(engine, "enrolled", "won") == {
        (variant, what): number for variant, number in enrolled.items() for what in ("enrolled", "won")
    }
    assert await everywhere.rows(engine.database, awaited_outcome) == []


async def test_an_arm_is_told_later(
    engine: WorkerEngine, clock: ManualClock, people: list[str], report: Report
) -> None:
    # Given an experiment that waits five minutes, and one that would wait for longer than the fee
    run(engine, later=Arm(later="5 min"), toolate=Arm(later="20 min"))

    await warn(engine, report, *people)

    # Then messages of its people are due by then, and what would be too late expires
    of = await arms(engine)
    found = {
        (of[row.recipient_id].split("/")[1], row.state, row.reason, row.due_at - NOW)
        for row in await everywhere.rows(engine.database, delivery)
        if row.channel == "sms"
    }
    assert found == {
        ("control", State.PENDING, None, 0),
        ("later", State.PENDING, "waits_to_compare", 5 * MINUTE),
        ("toolate", State.EXPIRED, None, 20 * MINUTE),
    }


async def test_an_arm_is_told_by_its_channels_alone(engine: WorkerEngine, people: list[str], report: Report) -> None:
    run(engine, quiet=Arm(channels=(PUSH,)))

    await warn(engine, report, *people)

    of = await arms(engine)
    rows = await everywhere.rows(engine.database, written)
    found = {(of[row.recipient_id].split("/")[1], row.channel) for row in rows}
    assert found == {("control", "push"), ("control", "sms"), ("quiet", "push")}


async def test_each_person_is_counted_once_however_often_they_are_told(
    engine: WorkerEngine, clock: ManualClock, people: list[str], report: Report
) -> None:
    # Given people who are warned of three sessions, of which the first ends in time for nobody
    run(engine, later=Arm(later="1 min"))
    for session in "123":
        await warn(engine, report, *people[:10], session=session, fee_from="2026-03-09T19:55:00Z")
        if session == "1":
            clock.advance(31 * MINUTE)
    for person in people[:10]:
        await everywhere.decide(engine, [await report("session.ended", session_id=f"{person}/2", driver_id=person)])
    clock.advance(31 * MINUTE)

    # Then each is enrolled once, by the first, while all that was awaited is counted
    found = await counted(engine, "exposed", "answered", "enrolled", "won")
    assert sum(number for (_, what), number in found.items() if what == "enrolled") == 10
    assert sum(number for (_, what), number in found.items() if what == "exposed") > 10
    assert not any(what == "won" for _, what in found)
    assert len(await everywhere.rows(engine.database, exposure)) == 10


async def test_who_would_not_be_told_anyway_is_in_no_experiment(
    engine: WorkerEngine, people: list[str], report: Report
) -> None:
    # Given somebody who switched charging off
    off = Preferences(categories={engine.catalog.types["idle-warning"].category: False})
    await recipients.put(engine.database, {"off": RecipientDetails(phone="+4915123456789", preferences=off)}, NOW)
    run(engine, silence=Arm(silent=True))

    await warn(engine, report, "off")

    # Then they hear nothing for that reason, and nobody is enrolled
    (row,) = [row for row in await everywhere.rows(engine.database, delivery) if row.channel == "sms"]
    assert row.reason == "switched_off"
    assert await everywhere.rows(engine.database, exposure) == []


async def test_what_waits_when_an_experiment_ends_is_told_by_the_live_texts(
    engine: WorkerEngine, clock: ManualClock, sandbox: Sandbox, people: list[str], report: Report
) -> None:
    # Given messages that wait in an arm with texts of its own
    engine.renderer.add("idle-warning", 78, engine.renderer.shipped["idle-warning"])
    run(engine, other=Arm(version=78, later="5 min"))
    await warn(engine, report, *people[:10])

    # When the experiment ends, and they fall due
    engine.experiments.use([], Running([], {}))
    clock.advance(5 * MINUTE)
    await send(engine)

    # Then they go out in the live version
    found = await everywhere.rows(engine.database, delivery)
    assert {row.version for row in found if row.state == State.SENT} == {engine.renderer.live("idle-warning")}


async def test_explain_and_simulate_say_which_arm_and_a_replay_compares_none(
    engine: WorkerEngine, clock: ManualClock, people: list[str], report: Report
) -> None:
    # Given people of whom some are told nothing, for an experiment
    made = run(engine, silence=Arm(silent=True))
    await warn(engine, report, *people[:10])
    of = await arms(engine)
    held = next(person for person, variant in of.items() if variant == "sooner/silence/1")

    # When one of them is asked about, and what the same event would do
    (event,) = {row.event_id for row in await everywhere.rows(engine.database, written) if row.recipient_id == held}
    found = await explaining.read(engine.database, ExplanationQuery(event=event, limit=10))
    assert found is not None
    told = explain(engine.catalog, engine.renderer, engine.links, found)
    data = {**WARNING, "driver_id": held, "session_id": "9"}
    trial = msgspec.convert({"event": {"type": "idle.warning", "data": data}, "recipient": held}, Trial)
    reader = EventReader(engine.catalog)
    would = await simulate(
        engine.database, engine.catalog, reader, engine.renderer, trial, clock.now(), engine.experiments.running
    )

    # Then both say that it is held back, and by what; and no policy is to blame for it
    (decision,) = told.decisions
    assert {each.variant for each in decision.deliveries} == {"sooner/silence/1"}
    assert {each.unchanged for each in decision.answers if each.reason == "held_back"} == {None}
    (fate,) = would.fates
    assert {each.variant for each in fate.answers} == {"sooner/silence/1"}
    assert {each.words for each in fate.answers if each.reason == "held_back"} == {
        "not sent: it is held back from some people for a time, to see what it changes"
    }
    assert made.id == "sooner"
    day = NOW // DAY * DAY
    same = await replay(engine.database, engine.catalog, day, lambda _share: None)
    assert (same.events, same.differ) == (10, 0)


async def test_what_an_arms_texts_cost_and_who_stops_them_is_counted_of_the_arm(
    engine: WorkerEngine, people: list[str], report: Report
) -> None:
    # Given people who were told by text in two arms
    run(engine, later=Arm(later="1 min"))
    await warn(engine, report, *people)
    await send(engine)
    of = await arms(engine)
    sent = [row for row in await everywhere.rows(engine.database, delivery) if row.state == State.SENT]
    (told,) = [row for row in sent if row.channel == "sms" and row.recipient_id == "driver-7"] or [sent[0]]

    # When one of them replies STOP
    number = f"+49151234{int(told.recipient_id.removeprefix('driver-')):05}"
    await heed(engine.database, IncomingText(number=number, body="STOP", sid="SM1"), engine.clock.now())

    # Then it is of their arm, and each arm has paid for its texts
    found = Counter[tuple[str, str]]()
    hour = hour_of(engine.clock.now())
    for each in await effects.read(engine.database, hour - 1, hour + 1, ["idle-warning"]):
        found[each.variant, each.what] += each.number
    texts = Counter(of[row.recipient_id] for row in sent if row.channel == "sms")
    assert found[of[told.recipient_id], "stopped"] == 1
    assert {of: number for (of, what), number in found.items() if what == "segments"} == dict(texts)
    assert texts
