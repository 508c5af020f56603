"""Experiments over HTTP: planned, started, read and ended, each step checked."""

from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from notifier.channels.sms.writing import SmsTexts
from notifier.domain.clock import DAY, HOUR, MINUTE
from notifier.domain.effects import Effect, What, hour_of
from notifier.domain.experiments import ExperimentState
from notifier.domain.keys import make_key
from notifier.experiments import keeping, watching
from notifier.store.console import experiments as store
from notifier.store.console import keys, versions
from notifier.store.core.audit import find
from notifier.store.core.effects import exposure
from notifier.store.delivery import effects
from notifier.texts import publishing
from tests import everywhere
from tests.api.conftest import on_sqlite
from tests.api.server import Answer, Caller

Json = dict[str, Any]
PLAN: Json = {
    "type": "idle-warning", "why": "Does waiting a little get more cars moved?",
    "arms": {"control": {}, "later": {"later": "5 min"}}, "weights": {"control": 5_000, "later": 5_000},
}  # fmt: skip


async def put(api: Caller, id_: str = "wait", **changes: Any) -> Answer:
    return await api.call("PUT", f"/v1/experiments/{id_}", msgspec.json.encode({**PLAN, **changes}))


async def start(api: Caller, id_: str = "wait") -> Answer:
    return await api.call("POST", f"/v1/experiments/{id_}/start")


async def end(api: Caller, id_: str = "wait", **more: Any) -> Answer:
    return await api.call("POST", f"/v1/experiments/{id_}/end", msgspec.json.encode({"why": "seen enough", **more}))


async def count(api: Caller, variant: str, people: int, won: int, *, what: str = "", number: int = 0) -> None:
    """Have so many people of an arm be counted, two hours ago."""
    of: Json = {
        "hour": hour_of(api.clock.now()) - 2, "type": "idle-warning", "channel": "", "locale": "en", "variant": variant,
    }  # fmt: skip
    given = [Effect(**of, what=What.ENROLLED, number=people), Effect(**of, what=What.WON, after=9, number=won)]
    given += [Effect(**{**of, "channel": "sms"}, what=what, number=number)] if what else []
    database = api.engine.database.buckets[0]
    await database.write(lambda connection: effects.add(connection, database.dialect, given))


async def test_an_experiment_is_planned_started_and_ended(api: Caller) -> None:
    # Given a plan
    made = await put(api)
    assert (made.status, made.body["state"], made.body["revision"]) == (200, "draft", 1)

    # When it is started, twice, and ended, twice
    assert [(await start(api)).body["state"] for _ in range(2)] == ["running", "running"]
    ended = [(await end(api)).body for _ in range(2)]

    # Then it is over, it stands in the list, and the audit has each step once
    assert [each["state"] for each in ended] == ["ended", "ended"]
    listed = (await api.call("GET", "/v1/experiments")).body["experiments"]
    assert [(each["id"], each["ended_because"]) for each in listed] == [("wait", "seen enough")]
    told = await find(api.engine.database, None, None, 10)
    actions = [each.action for each in told.rows if each.subject == "wait"]
    assert sorted(actions) == ["experiment.end", "experiment.plan", "experiment.start"]
    assert (await start(api)).problem == (40902, None)
    assert (await put(api, why="once more", revision=3)).problem == (40902, None)


async def test_processes_know_it_once_they_have_looked(api: Caller) -> None:
    engine = api.engine
    await put(api)

    await keeping.refresh(engine.database, engine.catalog, engine.renderer, engine.experiments)
    assert engine.experiments.running.on("idle-warning") is None
    await start(api)
    await keeping.refresh(engine.database, engine.catalog, engine.renderer, engine.experiments)
    trying = engine.experiments.running.on("idle-warning")
    assert trying is not None
    arms = {part.variant for number in range(50) if (part := trying.part(f"p{number}")) is not None}
    assert arms == {"wait/control/1", "wait/later/1"}
    await end(api)
    await keeping.refresh(engine.database, engine.catalog, engine.renderer, engine.experiments)
    assert engine.experiments.running.on("idle-warning") is None


FAULTS: list[tuple[Json, str]] = [
    ({"type": "nothing"}, "/type"),
    ({"type": "session-started"}, "/type"),  # which has no outcome
    ({"arms": {"control": {"later": "1 min"}, "later": {}}}, "/arms/control"),
    ({"arms": {"control": {}}, "weights": {"control": 10_000}}, "/arms"),
    ({"weights": {"control": 5_000, "later": 4_000}}, "/weights"),
    ({"weights": {"control": 11_000, "later": -1_000}}, "/weights"),
    ({"weights": {"control": 5_000, "other": 5_000}}, "/weights"),
    ({"arms": {"control": {}, "later": {"later": "31 min"}}}, "/arms/later/later"),
    ({"arms": {"control": {}, "later": {"later": "soon"}}}, "/arms/later/later"),
    ({"arms": {"control": {}, "later": {"channels": ["email"]}}}, "/arms/later/channels"),
    ({"arms": {"control": {}, "later": {"channels": ["sms", "sms"]}}}, "/arms/later/channels"),
    ({"arms": {"control": {}, "later": {"silent": True}}}, "/arms/later/silent"),  # a fee hangs on it
    ({"arms": {"control": {}, "later": {"version": 99}}}, "/arms/later/version"),
    ({"longest": "1 h"}, "/longest"),
    ({"longest": "91 d"}, "/longest"),
    ({"longest": "for ever"}, "/longest"),
]


@on_sqlite
@pytest.mark.parametrize(("changes", "pointer"), FAULTS, ids=lambda each: str(each))
async def test_what_can_not_be_tried_is_refused_with_its_place(api: Caller, changes: Json, pointer: str) -> None:
    assert (await put(api, **changes)).problem == (42208, pointer)
    assert await store.every(api.engine.database) == []


@on_sqlite
async def test_a_holdback_is_allowed_where_nothing_is_owed(api: Caller) -> None:
    arms = {"control": {}, "none": {"silent": True}}
    weights = {"control": 9_000, "none": 1_000}

    assert (await put(api, type="charging-interrupted", arms=arms, weights=weights)).status == 200


async def test_two_who_change_one_experiment_do_not_overwrite_each_other(api: Caller) -> None:
    await put(api)
    assert (await put(api, why="mine", revision=1)).status == 200

    assert (await put(api, why="theirs", revision=1)).problem == (40902, "/revision")
    assert (await put(api, why="mine", revision=0)).status == 200  # as it is already
    found = await store.get(api.engine.database, "wait")
    assert found is not None
    assert found.plan.why == "mine"


async def test_of_one_that_runs_weights_change_and_nothing_else(api: Caller) -> None:
    await put(api)
    await start(api)

    changed = await put(api, weights={"control": 2_000, "later": 8_000}, revision=2)
    assert changed.body["allocations"] == [
        {"control": 5_000, "later": 5_000}, {"control": 2_000, "later": 8_000},
    ]  # fmt: skip
    assert (await put(api, gain=0.1, revision=3)).problem == (42208, "/arms")


@on_sqlite
async def test_experiments_on_one_type_share_its_people(api: Caller) -> None:
    # Given one that takes sixty of a hundred people
    await put(api, share=60)
    await start(api)

    # When another wants as many, and then what is left
    await put(api, "more", share=60)
    assert (await start(api, "more")).problem == (42208, "/share")
    await put(api, "more", share=40, revision=1)
    assert (await start(api, "more")).status == 200

    # Then nobody is in both
    found = {each.id: each.points for each in await store.every(api.engine.database)}
    assert found["wait"][0].end == found["more"][0].first == 6_000


async def test_a_result_has_the_arms_the_interval_and_the_verdict_in_words(api: Caller) -> None:
    # Given an experiment whose variant is much better
    await put(api)
    await start(api)
    api.clock.advance(DAY)
    await count(api, "wait/control/1", 4_000, 2_000)
    await count(api, "wait/later/1", 4_000, 2_400)

    # When it is read
    found = (await api.call("GET", "/v1/experiments/wait")).body

    # Then it says so
    arms = {each["arm"]: each for each in found["result"]["arms"]}
    assert (arms["control"]["people"], arms["control"]["answered"], arms["control"]["share"]) == (4_000, 2_000, 0.5)
    assert 0 < arms["later"]["gain_low"] < 0.1 < arms["later"]["gain_high"]
    assert arms["later"]["median_minutes"] == 10
    assert (found["result"]["finding"], found["result"]["arm"]) == ("winner", "later")
    assert found["result"]["words"] == "later is better than the control."
    assert found["result"]["looks"]


@on_sqlite
async def test_arms_of_other_sizes_than_their_weights_are_read_no_more(api: Caller) -> None:
    await put(api)
    await start(api)
    api.clock.advance(DAY)
    await count(api, "wait/control/1", 4_000, 2_000)
    await count(api, "wait/later/1", 3_000, 2_400)

    assert (await api.call("GET", "/v1/experiments/wait")).body["result"]["finding"] == "mismatch"


@on_sqlite
async def test_an_hour_whose_outcomes_may_still_come_is_not_read(api: Caller) -> None:
    await put(api)
    await start(api)
    now = api.clock.now()
    of: Json = {"hour": hour_of(now), "type": "idle-warning", "channel": "", "locale": "en", "variant": "wait/later/1"}
    database = api.engine.database
    await database.write(
        lambda connection: effects.add(connection, database.dialect, [Effect(**of, what=What.ENROLLED, number=5)])
    )

    found = (await api.call("GET", "/v1/experiments/wait")).body["result"]
    assert (found["waiting"], {each["people"] for each in found["arms"]}) == (1, {0})
    api.clock.advance(HOUR + 30 * MINUTE)
    found = (await api.call("GET", "/v1/experiments/wait")).body["result"]
    assert (found["waiting"], max(each["people"] for each in found["arms"])) == (0, 5)


@on_sqlite
async def test_an_experiment_that_has_ended_is_read_once_the_outcomes_of_its_last_minute_are_over(api: Caller) -> None:
    # Given one that ended in the hour in which it began
    await put(api)
    await start(api)
    of: Json = {
        "hour": hour_of(api.clock.now()), "type": "idle-warning", "channel": "", "locale": "en",
        "variant": "wait/later/1",
    }  # fmt: skip
    database = api.engine.database
    await database.write(
        lambda connection: effects.add(connection, database.dialect, [Effect(**of, what=What.ENROLLED, number=5)])
    )
    await end(api)

    # When its outcomes may come no more
    found = (await api.call("GET", "/v1/experiments/wait")).body["result"]
    assert found["waiting"] == 1
    api.clock.advance(30 * MINUTE)

    # Then nobody waits for the end of the hour
    found = (await api.call("GET", "/v1/experiments/wait")).body["result"]
    assert (found["waiting"], max(each["people"] for each in found["arms"])) == (0, 5)


async def test_harm_ends_an_experiment_by_itself_and_so_does_its_time(api: Caller) -> None:
    # Given one whose variant fails to arrive, and one that has lasted as long as was planned
    await put(api)
    await start(api)
    await put(api, "long", type="charging-complete", longest="1 d")
    await start(api, "long")
    api.clock.advance(DAY)
    await count(api, "wait/control/1", 4_000, 2_000)
    await count(api, "wait/later/1", 4_000, 2_000, what="failed", number=600)
    await everywhere.write(api.engine.database, sa.insert(exposure).values(id="0" * 32, experiment="wait"), exposure)

    # When the clock looks
    await watching.watch(api.engine)

    # Then both have ended, for the reason that a person reads, and whom they counted is forgotten
    found = {each.id: each for each in await store.every(api.engine.database)}
    assert {each.state for each in found.values()} == {ExperimentState.ENDED}
    assert found["wait"].ended_because == "later makes it worse: more messages fail. Stop it."
    assert found["long"].ended_because == "No arm is better than the control, so the control stays."
    assert await everywhere.rows(api.engine.database, exposure) == []


@on_sqlite
async def test_the_winners_texts_are_published_by_the_gate(api: Caller) -> None:
    # Given two versions of the texts, and an experiment with the earlier one
    engine = api.engine
    await publishing.ship(engine.database, engine.renderer.shipped, api.clock)
    shipped = engine.renderer.shipped["idle-warning"]
    shorter = msgspec.structs.replace(shipped["en"], sms=SmsTexts("{{ brand }}: move your car at {{ station }}."))
    wording = {**shipped, "en": shorter}
    await publishing.publish(
        engine.database, "idle-warning", wording, based_on=1, origin="console", actor="ada", why="", now=api.clock.now()
    )
    await put(api, arms={"control": {}, "earlier": {"version": 1}}, weights={"control": 5_000, "earlier": 5_000})
    await start(api)

    # When it is decided for that
    assert (await end(api, publish=True)).problem == (42208, "/winner")
    assert (await end(api, publish=True, winner="control")).problem == (42208, "/winner")
    ended = await end(api, publish=True, winner="earlier")

    # Then it is live again, with the experiment as its reason
    assert (ended.status, ended.body["winner"]) == (200, "earlier")
    new = await versions.get(engine.database, "idle-warning", 3)
    assert new is not None
    assert (new.origin, new.why) == ("rollback:1", "Experiment wait: seen enough")


@on_sqlite
async def test_who_may_only_draft_starts_nothing(api: Caller) -> None:
    text, key = make_key("author", frozenset({"texts:read", "texts:write"}), 0)
    await keys.add(api.engine.database, key)
    api.key = text

    assert (await put(api)).status == 200
    assert (await start(api)).problem == (40301, None)
    assert (await end(api)).problem == (40301, None)
