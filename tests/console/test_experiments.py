"""Experiments in the console: set up step by step, started, read, changed, decided for and ended."""

import html
import re
from urllib.parse import unquote_plus, urlencode

import msgspec
import pytest

from notifier.channels.sms.writing import SmsTexts
from notifier.domain.experiments import Arm, Experiment, ExperimentState
from notifier.domain.users import IDLE
from notifier.rendering.texts import Texts
from notifier.store.console import experiments as store
from notifier.store.console import versions
from notifier.texts import gate, publishing
from tests.api.conftest import on_sqlite
from tests.api.server import Answer
from tests.console import trials
from tests.console.conftest import Enter, Visitor, signed_in
from tests.console.test_carried import come_back, fields
from tests.console.trials import TYPE, WHY
from tests.console.words import says, told
from tests.samples import NOW

FIRST = {"type": TYPE, "step": "1", "do": "next", "why": WHY, "name_0": "control", "name_1": "please", "texts_1": "1"}
ACTIONS = ("experiment.plan", "experiment.start", "experiment.weights", "experiment.end")


async def with_versions(visitor: Visitor) -> None:
    """Two versions of the texts: one with other words for phones, and after it those of before, which are live."""
    engine = visitor.engine
    shipped, _ = await gate.live_wording(engine, TYPE)
    asking = {**shipped, "en": _asking(shipped["en"])}
    for based_on, wording in enumerate((asking, shipped)):
        await publishing.publish(
            engine.database, TYPE, wording, based_on=based_on, origin="import", actor="cli:tom", why="to try",
            now=NOW + based_on,
        )  # fmt: skip
    await publishing.refresh(engine.database, engine.renderer)


def _asking(texts: Texts) -> Texts:
    return msgspec.structs.replace(texts, sms=SmsTexts("{{ brand }}: please move your car at {{ station }}."))


def hidden(answer: Answer) -> dict[str, str]:
    """The fields that a page carries along."""
    return {
        name: html.unescape(value) for name, value in re.findall(r'hidden" name="(\w+)" value="([^"]*)"', answer.body)
    }


async def step(visitor: Visitor, given: dict[str, str]) -> Answer:
    return await visitor.get(f"/experiments-new?{urlencode(given)}")


async def through(visitor: Visitor, **given: str) -> Answer:
    """Go through all steps, as somebody who changes these fields, to the summary."""
    sent = {**FIRST, **given}
    page = await step(visitor, sent)
    for number in ("2", "3", "4"):
        assert page.status == 200, says(page)
        shown = dict(re.findall(r'<input id="(\w+)"[^>]* value="([^"]*)"', page.body))
        page = await step(visitor, {**hidden(page), **shown, **given, "step": number, "do": "next"})
    return page


def as_shown(answer: Answer) -> dict[str, str]:
    """The revision, arm and live version that a page's forms send along."""
    return {name: value for name, value in hidden(answer).items() if name in ("revision", "arm", "live")}


async def kept(visitor: Visitor, id_: str) -> Experiment:
    found = await store.get(visitor.engine.database, id_)
    assert found is not None
    return found


async def test_an_experiment_is_set_up_in_four_steps_and_only_the_last_button_writes(desk: Enter) -> None:
    # Given a publisher, texts to try, and traffic of the type
    visitor = await signed_in(desk, "publisher")
    await with_versions(visitor)
    await trials.traffic(visitor.engine.database, NOW, 7, 30, 0.4)

    # When each step is answered
    first = await step(visitor, {"type": TYPE})
    second = await step(visitor, {**hidden(first), **FIRST})
    summary = await through(visitor, gain="10", share="50")

    # Then each said what it is about, nothing is written before, and the summary tells all of it
    assert "Version 1: to try" in says(first)
    assert (hidden(first)["experiment"], 'value="50"' in second.body) == (f"{TYPE}-1", True)
    assert await store.every(visitor.engine.database) == []
    told_of = says(summary)
    assert "please : texts of version 1" in told_of
    assert "50 % of the people: control 50 %, please 50 %" in told_of
    assert "The car left within 30 min; a gain of 10 percentage points" in told_of
    assert re.search(r"720 times a day somebody is told, and for 40.0 % .* about \d+ days", told_of)

    # And saving makes a draft, once however often the button is pressed
    for _ in range(2):
        saved = await visitor.post("/experiments-new", **hidden(summary))
        assert (saved.status, saved.headers["Location"]) == (303, f"/console/experiments/{TYPE}-1")
    (made,) = await store.every(visitor.engine.database)
    assert (made.state, made.plan.arms["please"], made.plan.gain) == (ExperimentState.DRAFT, Arm(version=1), 0.1)
    assert await told(visitor, *ACTIONS) == [("console:publisher", "experiment.plan", f"{TYPE}-1", TYPE)]
    assert "Nobody is told anything else yet" in says(await visitor.get(f"/experiments/{TYPE}-1"))


@pytest.mark.parametrize(
    ("given", "field", "words"),
    [
        ({"why": ""}, "why", "say in one line"), ({"name_1": "Please"}, "name_1", "begin with a letter"),
        ({"name_1": "control"}, "name_1", "another arm has this name"), ({"texts_1": ""}, "texts_1", "nothing differs"),
        ({"texts_1": "nothing"}, "texts_1", "is owed to everybody"), ({"later_1": "soon"}, "later_1", "not a duration"),
        ({"later_1": "30 min"}, "later_1", "time to live"), ({"channels_1": "fax"}, "channels_1", "no channel fax"),
        ({"name_1": ""}, "arms", "two to 6 arms"), ({"weight_0": "60", "weight_1": "50"}, "weights", "not 110"),
        ({"weight_0": "x", "weight_1": "50"}, "weights", "a percentage"), ({"share": "0"}, "share", "from 1 to 100"),
        ({"gain": "100"}, "gain", "less than 100"), ({"longest": "91 d"}, "longest", "from 1 d to 90 d"),
    ],
)  # fmt: skip
@on_sqlite
async def test_what_is_wrong_stands_beside_its_field_before_the_next_step(
    desk: Enter, given: dict[str, str], field: str, words: str
) -> None:
    visitor = await signed_in(desk, "publisher")
    await with_versions(visitor)
    of = {"weights": "2", "share": "2", "gain": "3", "longest": "4"}.get(field, "1")

    full = {"weight_0": "50", "weight_1": "50", "share": "100", "gain": "5", "longest": "28 d"}
    answer = await step(visitor, {**FIRST, **full, **given, "step": of})

    assert answer.status == 422
    found = html.unescape(answer.body)
    assert words in (found.partition(f'id="{field}-fault">')[2].partition("</p>")[0] if field != "arms" else found)
    saved = await visitor.post("/experiments-new", **{**FIRST, **full, **given, "experiment": "x", "revision": "0"})
    assert (saved.status, await store.every(visitor.engine.database)) == (422, [])


@on_sqlite
async def test_arms_are_added_left_out_and_nothing_is_lost_on_the_way_back(desk: Enter) -> None:
    # Given the first step with an arm filled in
    visitor = await signed_in(desk, "publisher")
    await with_versions(visitor)
    given = {**FIRST, "later_1": "5 min"}

    # When an arm is added and filled in, then everybody is divided anew
    more = await step(visitor, {**given, "do": "add"})
    assert 'name="name_2" type="text" value="variant"' in more.body
    assert 'value="5 min"' in more.body
    second = await step(visitor, {**hidden(more), **given, "name_2": "push", "channels_2": "push"})
    assert [second.body.count(f'value="{each}"') for each in ("33.34", "33.33")] == [1, 2]

    # When they go back, then all is as it was
    back = await step(visitor, {**hidden(second), "weight_0": "33.34", "step": "2", "do": "back"})
    assert all(f'value="{each}"' in back.body for each in ("please", "push", "5 min", html.escape(WHY)))

    # When an arm's name is emptied, then it is left out
    fewer = await step(visitor, {**hidden(back), **given, "name_2": "", "channels_2": "push"})
    assert "push" not in hidden(fewer).values()
    assert fewer.body.count('value="50"') == 2


@on_sqlite
async def test_a_draft_is_changed_over_the_revision_that_was_seen(desk: Enter) -> None:
    # Given a draft, and two who change it
    visitor = await signed_in(desk, "publisher")
    await with_versions(visitor)
    await visitor.post("/experiments-new", **hidden(await through(visitor)))
    page = await visitor.get(f"/experiments/{TYPE}-1")
    change = html.unescape(re.search(r'href="/console(/experiments-new\?[^"]*)"', page.body)[1])  # type: ignore[index]
    summary = await visitor.get(change)
    assert summary.status == 200

    # When one saves, then the other's is not, and both are told how to go on
    one = await visitor.post("/experiments-new", **{**hidden(summary), "gain": "7"})
    other = await visitor.post("/experiments-new", **{**hidden(summary), "gain": "8"})
    assert (one.status, other.status) == (303, 409)
    assert "Somebody else has changed it meanwhile: nothing was saved." in says(other)
    assert (await kept(visitor, f"{TYPE}-1")).plan.gain == 0.07
    again = html.unescape(re.search(r'href="/console(/experiments-new\?[^"]*)">save yours', other.body)[1])  # type: ignore[index]
    assert hidden(await visitor.get(again))["experiment"] == f"{TYPE}-2"

    # And starting what was seen before isn't starting what it is now
    late = await visitor.post(f"/experiments/{TYPE}-1/start", **as_shown(page))
    assert (late.status, (await kept(visitor, f"{TYPE}-1")).state) == (409, ExperimentState.DRAFT)


async def test_an_experiment_is_started_reweighed_and_ended_and_its_page_tells_who_did(desk: Enter) -> None:
    # Given a draft
    visitor = await signed_in(desk, "publisher")
    await with_versions(visitor)
    await visitor.post("/experiments-new", **hidden(await through(visitor)))
    where = f"/experiments/{TYPE}-1"

    # When it is started, reweighed and ended for a reason
    started = await visitor.post(f"{where}/start", **as_shown(await visitor.get(where)))
    shown = as_shown(await visitor.get(where))
    odd = await visitor.post(f"{where}/weights", **shown, weight_0="90", weight_1="20", longest="14 d")
    long = await visitor.post(f"{where}/weights", **shown, weight_0="90", weight_1="10", longest="soon")
    weights = await visitor.post(f"{where}/weights", **shown, weight_0="90", weight_1="10", longest="14 d")
    late = await visitor.post(f"{where}/end", **shown, why="enough")
    shown = as_shown(await visitor.get(where))
    silent = await visitor.post(f"{where}/end", **shown, why=" ")
    ended = await visitor.post(f"{where}/end", **shown, why="enough")

    # Then each is done over what was seen, what is wrong stands beside its field, and the audit has it
    assert [each.status for each in (started, odd, long, weights, late, silent, ended)] == [
        303, 422, 422, 303, 409, 422, 303,
    ]  # fmt: skip
    assert "100 together, not 110" in says(odd)
    assert "'soon' is not a duration" in says(long)
    found = await kept(visitor, f"{TYPE}-1")
    assert (found.state, found.ended_because, len(found.allocations)) == (ExperimentState.ENDED, "enough", 2)
    page = says(await visitor.get(where))
    for who in ("Planned by", "Started by", "Weights changed by", "Ended by"):
        assert f"{who} publisher" in page
    assert "Ended without a winner" in page
    assert [action for _, action, _, _ in await told(visitor, *ACTIONS)].count("experiment.weights") == 1


async def test_a_running_experiment_shows_its_arms_intervals_and_verdict(desk: Enter) -> None:
    # Given one that has a winner, and one of which it is too early to say
    visitor = await signed_in(desk, "viewer")
    await with_versions(visitor)
    database = visitor.engine.database
    await trials.run(database, NOW, 8, {"control": 0.4, "please": 0.5}, please=Arm(version=1))
    await trials.run(database, NOW, 2, {"control": 0.4, "later": 0.4}, an_hour=5, id_="wait", later=Arm(later="5 min"))

    # When somebody looks who may only read
    every = await visitor.get("/experiments")
    winner = await visitor.get("/experiments/please")
    early = await visitor.get("/experiments/wait")

    # Then the list has both, with the people so far and the verdict in words
    assert "please is better than the control." in says(every)
    assert "It is too early to say" in says(every)
    assert re.search(r"control, please \d,\d{3} ", says(every))

    # And their pages have the arms, the course of the interval as picture and as table, and nothing to press
    assert re.search(
        r"please texts of version 1 50 % 3,\d{3} 1,\d{3} 50.0 % 16 min \+\d\.\d to \+1\d\.\d", says(winner)
    )
    assert '<rect class="band"' in winner.body
    assert "Intervals of please by day" in winner.body
    assert re.search(r"The smallest arm has \d+ of about [\d,]+ people", says(early))
    for page in (every, winner, early):
        assert "<button" not in page.body.partition("<main")[2].partition("</main>")[0]


async def test_the_winners_texts_are_published_by_the_gate_and_the_experiment_ends(desk: Enter) -> None:
    # Given an experiment with a winner
    visitor = await signed_in(desk, "publisher")
    await with_versions(visitor)
    engine = visitor.engine
    await trials.run(engine.database, NOW, 8, {"control": 0.4, "please": 0.5}, please=Arm(version=1))
    page = await visitor.get("/experiments/please")
    assert "published again, as version 3" in says(page)

    # When it is decided for, then not for another arm, nor over another live version
    shown = as_shown(page)
    other = await visitor.post("/experiments/please/decide", **{**shown, "arm": "control"})
    moved = await visitor.post("/experiments/please/decide", **{**shown, "live": "1"})
    assert [each.status for each in (other, moved)] == [409, 409]
    assert (await versions.live(engine.database))[TYPE] == 2
    done = await visitor.post("/experiments/please/decide", **shown)
    again = await visitor.post("/experiments/please/decide", **shown)

    # Then its texts are live by the gate, for the experiment's reason, and it has ended with its winner
    assert (done.status, again.status) == (303, 409)
    (new, *_) = await versions.every(engine.database, TYPE)
    assert (new.number, new.origin, new.actor) == (3, "rollback:1", "console:publisher")
    assert new.why.startswith("Experiment please: ")
    assert (await kept(visitor, "please")).winner == "please"
    assert "Decided for please" in says(await visitor.get("/experiments/please?done=published"))
    assert "please was decided for." in says(await visitor.get("/experiments"))


@on_sqlite
async def test_an_arm_without_texts_of_its_own_wins_and_nothing_is_published(desk: Enter) -> None:
    visitor = await signed_in(desk, "publisher")
    database = visitor.engine.database
    await trials.run(database, NOW, 8, {"control": 0.4, "later": 0.5}, id_="wait", later=Arm(later="5 min"))

    page = await visitor.get("/experiments/wait")
    assert "There are no texts to publish: what won is “5 min later”" in says(page)
    assert (await visitor.post("/experiments/wait/decide", **as_shown(page))).status == 303

    assert (await kept(visitor, "wait")).winner == "later"
    assert await versions.live(database) == {}


@on_sqlite
async def test_without_a_winner_nothing_can_be_decided_for(desk: Enter) -> None:
    visitor = await signed_in(desk, "publisher")
    await with_versions(visitor)
    held = await trials.run(visitor.engine.database, NOW, 8, {"control": 0.4, "please": 0.4}, please=Arm(version=1))

    page = await visitor.get("/experiments/please")
    forced = await visitor.post("/experiments/please/decide", revision=str(held.revision), arm="please", live="2")

    assert ("/decide" in page.body, forced.status) == (False, 409)
    assert (await versions.live(visitor.engine.database))[TYPE] == 2


@on_sqlite
async def test_what_does_harm_is_said_in_words(desk: Enter) -> None:
    visitor = await signed_in(desk, "viewer")
    await trials.run(
        visitor.engine.database, NOW, 8, {"control": 0.4, "push": 0.4}, id_="alone", failed={"push": 4},
        push=Arm(channels=("push",)),
    )  # fmt: skip

    page = says(await visitor.get("/experiments/alone"))

    assert "push makes it worse: more messages fail. Stop it." in page
    assert re.search(r"push \d+ 20.0 % 0 0 0", page)


@on_sqlite
async def test_an_experiment_whose_type_is_gone_is_shown_and_can_be_ended(desk: Enter) -> None:
    # Given an experiment on a type that there is no more
    visitor = await signed_in(desk, "publisher")
    held = await trials.run(visitor.engine.database, NOW, 1, {"control": 0.4}, other=Arm(later="1 min"))
    gone = msgspec.structs.replace(held, plan=msgspec.structs.replace(held.plan, type="gone"), revision=2)
    entry = trials.audited(NOW, held.id)
    assert await store.save(visitor.engine.database, gone, entry)

    every, page = await visitor.get("/experiments"), await visitor.get("/experiments/please")
    ended = await visitor.post("/experiments/please/end", **as_shown(page), why="the type is gone")

    assert "The type is no longer there." in says(every)
    assert "There is no type gone any more" in says(page)
    assert ended.status == 303
    assert (await visitor.get("/experiments-new?type=gone")).status == 404


@on_sqlite
async def test_a_summary_that_is_sent_after_the_session_ended_is_carried_on(desk: Enter) -> None:
    # Given a summary that stays open until the session is over
    visitor = await signed_in(desk, "publisher")
    await with_versions(visitor)
    summary = await through(visitor)
    visitor.clock.advance(IDLE)

    # When it is saved, and its writer signs in again and agrees
    late = await visitor.post("/experiments-new", **{**hidden(summary), "writer": "publisher"})
    asked = await come_back(visitor, late, "publisher")
    assert (late.status, "Submit your form now?" in says(asked)) == (401, True)
    saved = await visitor.post("/experiments-new", **fields(asked))

    # Then it is saved; and a step that is opened by then leads back to itself
    assert saved.status == 303
    assert (await kept(visitor, f"{TYPE}-1")).plan.why == WHY
    visitor.clock.advance(IDLE)
    to_sign_in = await step(visitor, FIRST)
    page = await visitor.get(to_sign_in.headers["Location"].removeprefix("/console"))
    wanted = html.unescape(re.search(r'name="next" value="([^"]*)"', page.body)[1])  # type: ignore[index]
    assert unquote_plus(wanted) == f"/console/experiments-new?{unquote_plus(urlencode(FIRST))}"


@on_sqlite
async def test_numbers_and_steps_that_no_page_sends_are_refused(desk: Enter) -> None:
    visitor = await signed_in(desk, "publisher")
    held = await trials.run(visitor.engine.database, NOW, 1, {"control": 0.4}, other=Arm(later="1 min"))

    assert (await step(visitor, {**FIRST, "step": "9"})).status == 400
    assert (await visitor.post("/experiments-new", **FIRST, experiment="x", revision="x")).status == 422
    for odd in ("", "x", "²", "9" * 20):
        answer = await visitor.post("/experiments/please/decide", revision=str(held.revision), arm="other", live=odd)
        assert answer.status == 409
    assert (await visitor.get("/experiments/nothing")).status == 404
