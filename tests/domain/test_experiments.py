"""Experiments, as plain data: what may be tried, who takes part, and what an arm changes."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.assignment import POINTS, Points
from notifier.domain.catalog import NotificationType
from notifier.domain.experiments import (
    Arm,
    Experiment,
    ExperimentState,
    Plan,
    Running,
    exposure_id,
    faults,
    free_points,
    may_be_silent,
)
from tests.samples import CATALOG

PLAN = Plan(
    type="idle-warning", why="?", arms={"control": Arm(), "other": Arm(later="1 min")},
    weights={"control": 5_000, "other": 5_000},
)  # fmt: skip


def running(plan: Plan = PLAN, *points: Points, id_: str = "one") -> Experiment:
    return Experiment(
        id=id_, plan=plan, state=ExperimentState.RUNNING, created_at=0, updated_at=0, started_at=0,
        allocations=(dict(plan.weights),), points=points or (Points(0, POINTS),),
    )  # fmt: skip


@given(st.lists(st.integers(1, 100), max_size=6))
def test_experiments_on_one_type_never_share_a_person(shares: list[int]) -> None:
    # Given experiments that take what is left of a type's people
    found: list[Experiment] = []
    for number, share in enumerate(shares):
        left = POINTS - sum(end - first for each in found for first, end in each.points)
        if share * 100 > left:
            with pytest.raises(ValueError, match="other experiments"):
                free_points(share, found)
            continue
        found.append(running(PLAN, *free_points(share, found), id_=f"e{number}"))

    # Then each has its share, and no two have a point in common
    taken = [point for each in found for first, end in each.points for point in range(first, end)]
    assert len(taken) == len(set(taken)) == sum(len(range(*points)) for each in found for points in each.points)


def test_an_experiment_on_a_share_leaves_the_others_alone() -> None:
    trying = Running([running(PLAN, Points(0, 1_000))], CATALOG.types).on("idle-warning")
    assert trying is not None

    among = [person for number in range(5_000) if trying.part(person := f"p{number}") is not None]

    assert 400 < len(among) < 600


def test_what_isnt_there_or_doesnt_run_is_no_experiment() -> None:
    ended = msgspec.structs.replace(running(), state=ExperimentState.ENDED)
    elsewhere = running(msgspec.structs.replace(PLAN, type="of-another-release"))

    made = Running([ended, elsewhere], CATALOG.types)

    assert made.on("idle-warning") is None
    assert made.version("one/other/1") is None
    assert made.texts == set()


def test_a_plan_without_faults_has_none() -> None:
    assert faults(PLAN, CATALOG.types) == []


@pytest.mark.parametrize("kind", CATALOG.types.values(), ids=lambda kind: kind.id)
def test_silence_is_never_tried_where_something_is_owed(kind: NotificationType) -> None:
    owed = {
        "payment-failed", "session-receipt", "idle-warning", "charging-complete", "session-started",
        "waitlist-your-turn", "port-free",
    }  # fmt: skip

    assert may_be_silent(kind) == (kind.id not in owed)


@given(st.text(), st.text())
def test_who_somebody_is_in_an_experiment_says_nothing_elsewhere(one: str, other: str) -> None:
    assert (exposure_id(one, "ada") == exposure_id(other, "ada")) == (one == other)
