"""The demo of an experiment: what is drawn is what it finds."""

from pathlib import Path

import pytest

from notifier.demo import trial
from notifier.demo.local import LocalSystem
from notifier.domain.catalog_files import load_catalog
from notifier.domain.clock import parse_duration
from notifier.domain.experiments import Arm, Experiment, Plan
from notifier.domain.statistics import Finding

WEIGHTS = {"control": 5_000, trial.ARM: 5_000}


def experiment() -> Experiment:
    arms = {"control": Arm(), trial.ARM: Arm(version=2)}
    plan = Plan(type=trial.TYPE, why="Why?", arms=arms, weights=WEIGHTS)
    return Experiment(id=trial.ID, plan=plan, created_at=0, updated_at=0, allocations=(WEIGHTS,))


def of(ids: list[str], arm: str) -> list[str]:
    """The drivers of an arm."""
    allocation = experiment().allocation
    return [id_ for id_ in ids if allocation.assignment(id_).arm == arm]


def left(ids: list[str], arm: str, seed: int) -> int:
    """How many drivers of an arm move their cars."""
    return sum(trial.reaction(id_, arm, seed) is not None for id_ in of(ids, arm))


def test_drivers_react_as_the_words_of_their_arm_make_them_the_same_for_the_same_seed() -> None:
    ids = [id_ for id_, _ in trial.drivers(2_000, 7)]

    due = trial.schedule(experiment(), ids, 60, 7)

    assert due == trial.schedule(experiment(), ids, 60, 7) != trial.schedule(experiment(), ids, 60, 8)
    warned = {each.event.data["driver_id"]: each.second for each in due if each.event.type == "idle.warning"}
    gone = {each.event.data["driver_id"]: each.second for each in due if each.event.type == "session.ended"}
    assert sorted(warned) == sorted(ids)
    within = parse_duration(trial.WITHIN) / 1000
    assert all(0.4 * within < gone[id_] - warned[id_] < 0.81 * within for id_ in gone)
    for arm, share in trial.LEAVE.items():
        assert abs(left(ids, arm, 7) / len(of(ids, arm)) - share) < 0.05


def test_the_types_of_the_demo_await_an_outcome_for_as_long_as_its_half_hour_takes(tmp_path: Path) -> None:
    kind = load_catalog(trial.templates(tmp_path)).types[trial.TYPE]

    assert kind.outcome is not None
    assert kind.outcome.within == trial.WITHIN


@pytest.mark.timeout(240)
async def test_the_words_that_are_better_are_found_and_go_live(tmp_path: Path) -> None:
    # Given a whole system, and drivers who react to one text more than to the other
    ids = [id_ for id_, _ in trial.drivers(400, 3)]
    async with LocalSystem(tmp_path, {"templates": trial.templates(tmp_path), "worker_processes": 1}) as system:
        # When all are warned, and the experiment is read and decided for
        summary = await trial.try_words(system, 400, 16, 3, lambda _progress: None)

    # Then the books balance, and what was drawn is what was found
    assert (summary.lost, summary.duplicated, summary.unrecorded) == (0, 0, 0)
    assert (summary.result.finding, summary.result.arm, summary.ok) == (Finding.WINNER, trial.ARM, True)
    assert sum(each.people for each in summary.result.arms) == 400
    for each in summary.result.arms:
        drawn = left(ids, each.arm, 3)
        assert drawn * 0.9 <= each.answered <= drawn  # a machine that is very busy decides too late for some
    assert summary.live == 4
