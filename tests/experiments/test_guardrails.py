"""What ends an experiment because an arm makes it worse: what people do about its messages, and what these cost."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from notifier.domain.assignment import POINTS, Points
from notifier.domain.catalog import NotificationType
from notifier.domain.catalog_files import load_catalog
from notifier.domain.clock import DAY
from notifier.domain.effects import ANY, Effect, What, hour_of
from notifier.domain.experiments import Arm, Experiment, ExperimentState, Plan
from notifier.domain.statistics import Finding
from notifier.experiments.results import Result, result
from tests.samples import NOW

PEOPLE = 2_000
TYPE = "idle-warning"


@pytest.fixture(scope="module")
def kind() -> NotificationType:
    return load_catalog(Path("templates")).types[TYPE]


def read(kind: NotificationType, counted: Mapping[str, Sequence[tuple[str, int, int]]], **arms: Arm) -> Result:
    """What an experiment has come to, of whose arms each has so many people, and what, after and number of others."""
    named = {"control": Arm(), **arms}
    weights = dict.fromkeys(named, POINTS // len(named))
    held = Experiment(
        id="e", plan=Plan(type=TYPE, why="Why?", arms=named, weights=weights), state=ExperimentState.RUNNING,
        created_at=NOW, updated_at=NOW, started_at=NOW, allocations=(weights,), points=(Points(0, POINTS),),
    )  # fmt: skip
    told = [(what, 0, PEOPLE) for what in (What.ENROLLED, What.EXPOSED)]
    effects = [
        Effect(
            hour=hour_of(NOW), type=TYPE, channel=ANY, locale="", variant=f"e/{arm}/1", what=what, after=after,
            number=number,
        )
        for arm in named
        for what, after, number in [*told, *counted.get(arm, [])]
    ]  # fmt: skip
    return result(held, kind, effects, NOW + DAY)


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("switched_off", "more people switch the category off"),
        ("stopped", "more people reply STOP"),
        ("unsubscribed", "more people unsubscribe"),
    ],
)
def test_an_arm_by_which_people_choose_to_hear_less_is_harmful(kind: NotificationType, what: str, words: str) -> None:
    found = read(kind, {"control": [(what, 0, 10)], "rude": [(what, 0, 100)]}, rude=Arm(version=2))

    assert (found.finding, found.guardrail) == (Finding.HARM, what)
    assert words in found.words
    assert found.arms[1].guardrails == {what: 100}


def test_an_arm_whose_texts_take_two_sms_in_the_place_of_one_is_harmful(kind: NotificationType) -> None:
    # Given texts that are all of one length, and one arm's twice as long
    one, two = (What.SEGMENTS, 1, PEOPLE), (What.SEGMENTS, 2, 2 * PEOPLE)

    found = read(kind, {"control": [one], "long": [two]}, long=Arm(version=2))

    assert (found.finding, found.arm, found.guardrail) == (Finding.HARM, "long", "segments")
    assert "costs more SMS" in found.words
    assert found.arms[1].guardrails == {"segments": 2 * PEOPLE}


def test_an_arm_that_costs_a_little_more_is_not_harmful(kind: NotificationType) -> None:
    # Given texts of which a quarter is longer by an SMS
    longer = [(What.SEGMENTS, 1, PEOPLE * 3 // 4), (What.SEGMENTS, 2, PEOPLE // 2)]

    found = read(kind, {"control": [(What.SEGMENTS, 1, PEOPLE)], "long": longer}, long=Arm(version=2))

    assert found.finding == Finding.KEEP_GOING


def test_of_an_arm_that_tries_other_channels_the_cost_is_shown_and_not_held_against_it(kind: NotificationType) -> None:
    found = read(kind, {"texts": [(What.SEGMENTS, 1, PEOPLE)]}, texts=Arm(channels=("sms",)))

    assert found.finding == Finding.KEEP_GOING
    assert found.arms[1].guardrails == {"segments": PEOPLE}


def test_an_arm_by_which_more_fall_back_to_sms_is_harmful(kind: NotificationType) -> None:
    # Given a control of whom one in five gets a text, and a later arm of whom two in five get one
    some, more = ((What.SEGMENTS, 1, PEOPLE * part // 5) for part in (1, 2))

    found = read(kind, {"control": [some], "later": [more]}, later=Arm(later="5 min"))

    assert (found.finding, found.guardrail) == (Finding.HARM, "segments")
