"""What would happen: answered by the same code that decides, and nothing of it is written anywhere."""

from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from notifier.domain.clock import DAY, HOUR, MINUTE, SECOND, ManualClock
from notifier.domain.cloudevents import EventReader
from notifier.domain.deliveries import Channel, State
from notifier.domain.errors import Problem, StoreUnavailable
from notifier.domain.preferences import Defaults, Preferences
from notifier.domain.recipients import RecipientDetails
from notifier.pipeline.decide import decide
from notifier.pipeline.deliver import deliver
from notifier.pipeline.engine import WorkerEngine
from notifier.sandbox import Sandbox
from notifier.store.core.schema import decision, metadata
from notifier.store.core.status import rendered as delivery
from notifier.store.people import preferences, recipients
from notifier.why.simulate import Simulation, Trial, simulate
from tests.named import EMAIL
from tests.pipeline.samples import COMPLETE, NOW, RECEIPT, WARNING, Report

QUIET = {"quiet_hours": {"from": "22:00", "until": "07:00"}}
SUPPOSED = {"phone": "+4915123456780", "time_zone": "Europe/Vienna", "locale": "fr", "devices": [{"value": "t"}]}


async def foresee(engine: WorkerEngine, type_: str, data: dict[str, Any], **asked: Any) -> Simulation:
    trial = msgspec.convert({"event": {"type": type_, "data": data, **asked.pop("event", {})}, **asked}, Trial)
    reader = EventReader(engine.catalog)
    return await simulate(engine.database, engine.catalog, reader, engine.renderer, trial, engine.clock.now())


def answers(told: Simulation) -> dict[str, tuple[str, str]]:
    """State and words by channel, of the only fate."""
    (fate,) = told.fates
    return {each.channel.value: (each.answer.value, each.words) for each in fate.answers}


async def everything(engine: WorkerEngine) -> dict[str, list[Any]]:
    """Every row of every table."""
    async with engine.database.engine.connect() as connection:
        return {
            table.name: sorted(map(repr, await connection.execute(sa.select(table))))
            for table in metadata.sorted_tables
        }


async def test_a_simulation_writes_nothing_and_its_words_are_those_that_then_go_out(
    engine: WorkerEngine, sandbox: Sandbox, driver: str, report: Report
) -> None:
    # Given a driver, and everything that is in the database
    before = await everything(engine)

    # When an event is simulated
    told = await foresee(engine, "charging.complete", COMPLETE, recipient="ada")

    # Then no row of any table is another
    assert await everything(engine) == before

    # And when it comes, what goes out is what was foreseen
    await decide(engine, [await report("charging.complete", **COMPLETE)])
    async with engine.database.engine.connect() as connection:
        rows = list(await connection.execute(sa.select(delivery)))
    for row in rows:
        await deliver(engine, Channel(row.channel), [row.id])
    (fate,) = told.fates
    foreseen = sorted(str((each.content or {}).get("body") or (each.content or {})["text"]) for each in fate.answers)
    assert sorted(entry.content.body for entry in sandbox.ledger.entries) == foreseen  # type: ignore[union-attr]
    assert {each.answer for each in fate.answers} == {State.PENDING}
    assert {each.words for each in fate.answers} == {"to be sent immediately"}


async def test_the_engine_itself_refuses_to_write_while_it_only_looks(engine: WorkerEngine, driver: str) -> None:
    # Given work that writes
    async def work(connection: Any) -> None:
        await connection.execute(sa.delete(decision))

    # When it is let look, then the database refuses, and is no worse for it
    with pytest.raises((StoreUnavailable, sa.exc.DBAPIError)):
        await engine.database.look(work)
    await engine.database.write(work)


async def test_at_ten_past_eleven_at_night_a_mail_waits_until_the_morning_of_the_person(
    engine: WorkerEngine, driver: str
) -> None:
    told = await foresee(engine, "session.receipt", RECEIPT, recipient="ada", at="23:10", preferences=QUIET)

    (fate,) = told.fates
    assert (fate.local_time, fate.time_zone) == ("Monday 23:10", "Europe/Vienna")
    assert answers(told)["email"] == (
        "pending", "held until 07:00 on Tuesday, their time: the person has quiet hours",
    )  # fmt: skip
    mail = next(each for each in fate.answers if each.channel == EMAIL)
    assert mail.content
    assert mail.content["subject"]
    (hours,) = [rule.words for rule in mail.rules if rule.says == "hold"]
    assert hours.startswith("Quiet hours from 22:00 to 07:00 (chosen by the person): held until 07:00 on Tuesday")


async def test_a_warning_after_what_it_warns_of_would_not_be_sent_and_the_rules_say_why(
    engine: WorkerEngine, driver: str
) -> None:
    told = await foresee(
        engine, "idle.warning", WARNING, recipient="ada", at="2026-03-09T18:00:00Z",
        event={"time": "2026-03-09T17:40:00Z"},
    )  # fmt: skip

    (fate,) = told.fates
    assert fate.answers
    for each in fate.answers:
        assert each.answer == State.EXPIRED
        assert next(rule.rule for rule in each.rules if rule.says is not None) == "expiry"


@pytest.mark.parametrize(
    ("at", "moment"),
    [
        ("18:40", NOW),
        ("18:39", NOW + DAY - MINUTE),
        ("23:10", NOW + 4 * HOUR + 30 * MINUTE),
        ("2026-03-29T00:30:00Z", NOW + 19 * DAY + 6 * HOUR + 50 * MINUTE),
    ],
)
async def test_a_time_of_day_is_the_next_that_the_persons_clock_shows(
    engine: WorkerEngine, driver: str, at: str, moment: int
) -> None:
    told = await foresee(engine, "charging.complete", COMPLETE, recipient="ada", at=at)

    assert round(told.at.timestamp() * SECOND) == moment


async def test_a_time_of_day_that_the_clocks_skip_is_that_of_the_next_day(
    engine: WorkerEngine, driver: str, clock: ManualClock
) -> None:
    # Given the night on which 02:30 never comes in Vienna
    clock.advance(19 * DAY + 6 * HOUR)  # 2026-03-28T23:40Z

    told = await foresee(engine, "charging.complete", COMPLETE, recipient="ada", at="02:30")

    assert told.at.isoformat() == "2026-03-30T00:30:00+00:00"


async def test_somebody_supposed_takes_the_place_of_whoever_the_event_names(
    engine: WorkerEngine, clock: ManualClock
) -> None:
    # Given a host that presets texts as off
    await preferences.put_defaults(engine.database, "host:mall", Defaults(channels={"sms": False}), "test", NOW)

    # When an event about a driver whom nobody knows is simulated for one who isn't there
    told = await foresee(engine, "charging.complete", COMPLETE, recipient={**SUPPOSED, "tenants": ["host:mall"]})

    # Then the answers are theirs, in their language
    (fate,) = told.fates
    assert fate.recipient == "somebody"
    assert answers(told)["push"] == ("pending", "to be sent immediately")
    assert answers(told)["sms"][0] == "suppressed"
    assert next(each.locale for each in fate.answers if each.content) == "fr"


async def test_what_was_told_before_and_what_has_been_taken_back_would_not_be_sent(
    engine: WorkerEngine, clock: ManualClock, driver: str, report: Report
) -> None:
    # Given a charge that was reported, and a session that has ended
    await decide(engine, [await report("charging.complete", **COMPLETE)])
    await decide(engine, [await report("session.ended", session_id="101")])

    # When the same is simulated, and a warning about it
    again = await foresee(engine, "charging.complete", COMPLETE, recipient="ada")
    warning = await foresee(engine, "idle.warning", WARNING, recipient="ada", event={"time": "2026-03-09T17:39:00Z"})
    later = await foresee(engine, "idle.warning", WARNING, recipient="ada", at="2026-03-09T17:41:00Z")

    # Then the first is a repeat, the second not true any more, and one of a later moment would go out
    assert {words for _, words in answers(again).values()} == {
        "nothing more is sent: it is a duplicate of an earlier message"
    }
    assert all("session.ended has cancelled or superseded it" in words for _, words in answers(warning).values())
    assert {words for _, words in answers(later).values()} == {"to be sent immediately"}


async def test_it_says_what_an_event_would_take_back(engine: WorkerEngine, driver: str) -> None:
    ended = await foresee(engine, "session.ended", {"session_id": "101"})
    complete = await foresee(engine, "charging.complete", COMPLETE)

    assert "Idle fee ahead, about the same session id" in ended.takes_back
    assert ended.fates == []
    assert any(line.startswith("Session started") or "session" in line for line in complete.takes_back)


async def test_somebody_whom_the_event_does_not_name_learns_so(engine: WorkerEngine, driver: str) -> None:
    await recipients.put(engine.database, {"cem": RecipientDetails()}, NOW)

    told = await foresee(engine, "charging.complete", COMPLETE, recipient="cem")

    assert told.fates == []
    assert told.why_not == ["Charging complete: this event is about driver ada; cem is in none of its audiences."]


async def test_a_person_with_other_preferences_is_still_the_one_in_the_audience(
    engine: WorkerEngine, driver: str
) -> None:
    off = {"switches": {"charging": {"sms": False}}}

    told = await foresee(engine, "charging.complete", COMPLETE, recipient="ada", preferences=off)

    assert answers(told)["sms"] == (
        "suppressed", "not sent: the person, or a preset of their network, fleet or host, switched it off",
    )  # fmt: skip
    stored = await preferences.get(engine.database, "ada")
    assert stored == Preferences()


@pytest.mark.parametrize(
    ("type_", "asked", "pointer"),
    [
        ("no.such", {}, "/event/type"),
        ("idle.warning", {}, "/event/data/idle_fee_from"),
        ("charging.complete", {"recipient": "nobody"}, "/recipient"),
        ("charging.complete", {"recipient": {"phone": "12"}}, "/recipient"),
        ("charging.complete", {"at": "23:10"}, "/at"),
        ("charging.complete", {"recipient": "ada", "at": "25:10"}, "/at"),
        ("charging.complete", {"recipient": "ada", "at": "tonight"}, "/at"),
        ("charging.complete", {"at": "2026-03-09T22:10:00"}, "/at"),
        ("charging.complete", {"at": "0001-01-01T00:00:00+14:00"}, "/at"),
        ("charging.complete", {"event": {"time": "0001-01-01T00:00:00Z"}}, "/event/time"),
        ("charging.complete", {"preferences": {}}, "/preferences"),
        ("charging.complete", {"recipient": "ada", "preferences": {"time_zone": "Mars"}}, "/recipient"),
    ],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_makes_no_sense_is_a_problem_that_points_at_it(
    engine: WorkerEngine, driver: str, type_: str, asked: dict[str, Any], pointer: str
) -> None:
    data = {key: value for key, value in COMPLETE.items() if type_ == "charging.complete" or key != "kind"}

    with pytest.raises(Problem) as refused:
        await foresee(engine, type_, data, **asked)

    assert refused.value.pointer == pointer
