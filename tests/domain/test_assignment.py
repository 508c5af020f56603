"""Assignment by hash: even, independent between experiments, steady when weights change, and exclusive in a layer."""

from collections import Counter
from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.domain.assignment import POINTS, Allocation, Assignment, Layer, Points, assignments
from notifier.domain.statistics import chi_square_survival

EXPERIMENTS = 50
PEOPLE = [f"driver-{number}" for number in range(2_000)]
EVEN = {"control": 5_000, "warm": 5_000}


def allocation(
    *versions: dict[str, int], experiment: str = "warmer", points: tuple[int, int] = (0, POINTS)
) -> Allocation:
    return Allocation(experiment=experiment, salt="5f1c", versions=versions, points=(Points(*points),))


ONE, OTHER = allocation(EVEN), allocation(EVEN)


@st.composite
def weights(draw: st.DrawFn) -> dict[str, int]:
    """Weights of any of five arms."""
    arms = draw(st.lists(st.sampled_from(["control", "a", "b", "c", "silent"]), min_size=1, unique=True))
    cuts = sorted(draw(st.integers(0, POINTS)) for _ in arms[1:])
    return {arm: end - first for arm, (first, end) in zip(arms, pairwise([0, *cuts, POINTS]), strict=True)}


def test_arms_are_even_and_those_of_any_two_experiments_are_independent() -> None:
    # Given people who are all in fifty experiments at once
    experiments = [allocation(EVEN, experiment=f"experiment-{number}") for number in range(EXPERIMENTS)]
    warm = [int("".join("01"[each.assignment(person).arm == "warm"] for person in PEOPLE), 2) for each in experiments]

    # When the arms of each experiment, and of each pair of them, are counted
    even = [_chance([arm.bit_count(), len(PEOPLE) - arm.bit_count()]) for arm in warm]
    independent = []
    for one, other in combinations(warm, 2):
        both, of_one, of_other = (one & other).bit_count(), one.bit_count(), other.bit_count()
        variance = of_one * of_other * (len(PEOPLE) - of_one) * (len(PEOPLE) - of_other) / len(PEOPLE) ** 3
        independent.append(chi_square_survival((both - of_one * of_other / len(PEOPLE)) ** 2 / variance, 1))

    # Then no count is less likely than is to be expected among so many
    assert min(even) > 0.1 / len(even)
    assert min(independent) > 0.1 / len(independent)
    assert 0.03 < sum(chance < 0.05 for chance in independent) / len(independent) < 0.07


def test_points_are_even() -> None:
    # Given an arm for each hundred points
    each = allocation({f"arm-{number}": POINTS // 100 for number in range(100)})

    # When many people are counted by it
    counts = Counter(each.assignment(f"driver-{number}").arm for number in range(10_000))

    # Then all are as large as chance has it
    assert len(counts) == 100
    assert _chance(list(counts.values())) > 0.001


@settings(max_examples=20)
@given(st.lists(weights(), min_size=1, max_size=4))
def test_a_new_version_moves_as_few_points_as_its_weights_allow(versions: list[dict[str, int]]) -> None:
    by_version = allocation(*versions).by_point

    # Each version is as its weights say
    for number, (wanted, points) in enumerate(zip(versions, by_version, strict=True), 1):
        assert Counter(point.arm for point in points) == Counter(wanted)
        assert {point.version for point in points} == {number}

    # And what moves is what growing arms lack, not one more
    for (before, after), (old, new) in zip(pairwise(versions), pairwise(by_version), strict=True):
        moved = sum(one.arm != other.arm for one, other in zip(old, new, strict=True))
        assert moved == sum(max(weight - before.get(arm, 0), 0) for arm, weight in after.items())


@settings(max_examples=10)
@given(st.lists(weights(), min_size=2, max_size=3))
def test_later_versions_change_nothing_of_earlier_ones(versions: list[dict[str, int]]) -> None:
    assert allocation(*versions).by_point[:-1] == allocation(*versions[:-1]).by_point


def test_the_people_of_an_earlier_version_are_known_and_come_back_with_its_weights() -> None:
    # Given an experiment whose variant is enlarged, and then not any more
    each = allocation(EVEN, {"control": 1_000, "warm": 9_000}, EVEN)

    arms = [[each.assignment(person, version).arm for version in (1, 2, 3)] for person in PEOPLE]

    # Then only those moved who left control, and all of them are back
    assert {tuple(arm) for arm in arms} == {
        ("control",) * 3, ("warm",) * 3, ("control", "warm", "control"),
    }  # fmt: skip
    assert sum(arm[0] != arm[1] for arm in arms) == pytest.approx(0.4 * len(PEOPLE), rel=0.1)
    assert [each.assignment(person).arm for person in PEOPLE] == [arm[2] for arm in arms]


def test_the_experiments_of_a_layer_share_nobody_and_those_of_two_layers_do() -> None:
    # Given a layer that two experiments divide, one in two places, and another layer with one experiment
    left = Allocation(
        experiment="left", salt="1", versions=(EVEN,), points=(Points(0, 2_000), Points(6_000, 7_000))
    )  # fmt: skip
    right = allocation(EVEN, experiment="right", points=(2_000, 6_000))
    layers = [
        Layer(name="texts", salt="a", allocations=(left, right)),
        Layer(name="delays", salt="b", allocations=(allocation(EVEN, experiment="delay", points=(0, 5_000)),)),
    ]

    found = Counter(tuple(each.experiment for each in assignments(layers, person)) for person in PEOPLE)

    # Then the parts are as large as their points say, and nobody is in both of the first layer
    parts = {
        ("left",): 0.15, ("left", "delay"): 0.15, ("right",): 0.2, ("right", "delay"): 0.2, ("delay",): 0.15, (): 0.15,
    }  # fmt: skip
    assert found.keys() == parts.keys()
    for part, share in parts.items():
        assert found[part] == pytest.approx(share * len(PEOPLE), rel=0.15)


def test_within_a_part_of_a_layer_that_has_its_name_and_salt_an_experiment_is_even() -> None:
    # Given a layer and an experiment that are called the same, with the same salt
    layer = Layer(name="warmer", salt="5f1c", allocations=(allocation(EVEN, points=(0, 5_000)),))

    found = Counter(each.arm for person in PEOPLE for each in assignments([layer], person))

    # Then the layer's part is no arm of the experiment
    assert _chance(list(found.values())) > 0.001


def test_an_assignment_says_by_which_version_and_whether_the_person_is_told_nothing() -> None:
    each = Allocation(
        experiment="hold", salt="1", holdback="silent", versions=({"control": POINTS}, {"control": 0, "silent": POINTS})
    )

    assert each.assignment("ada", 1) == Assignment("hold", 1, "control", holdback=False)
    assert each.assignment("ada") == Assignment("hold", 2, "silent", holdback=True)


@given(st.text())
def test_every_person_has_an_arm_and_always_the_same(person: str) -> None:
    assert ONE.assignment(person) == OTHER.assignment(person)


def test_an_arm_is_the_same_in_every_release() -> None:
    # Whoever changes the hash moves people who are in the midst of an experiment
    each = allocation({"control": 4_000, "warm": 4_000, "cold": 2_000})
    layer = Layer(name="texts", salt="a", allocations=(allocation(EVEN, points=(0, 5_000)),))

    people = ("ada", "bob", "dan", "eve", "fay", "żółw")
    assert [each.assignment(person).arm for person in people] == ["cold", "control", "control", "cold", "cold", "cold"]
    assert [bool(assignments([layer], person)) for person in people] == [False, True, True, False, True, False]


@pytest.mark.parametrize(
    ("members", "fault"),
    [
        ({"versions": ()}, "a version at least"),
        ({"versions": (EVEN, {"control": 5_000})}, "the weights of version 2 are not negative, and 10000 together"),
        ({"versions": ({"control": -1, "warm": 10_001},)}, "weights of version 1"),
        ({"versions": (EVEN,), "holdback": "silent"}, "no version has the holdback 'silent'"),
        ({"versions": (EVEN,), "points": (Points(0, 10_001),)}, "points of a layer are from 0 to before 10000"),
        ({"versions": (EVEN,), "points": (Points(5, 5),)}, "points of a layer"),
    ],
)
def test_an_allocation_that_can_not_be_is_refused(members: dict[str, object], fault: str) -> None:
    with pytest.raises(ValueError, match=rf"warmer: .*{fault}"):
        Allocation(experiment="warmer", salt="1", **members)  # type: ignore[arg-type]


def test_two_experiments_that_take_the_same_points_are_refused() -> None:
    taken = (
        allocation(EVEN, experiment="left", points=(0, 3_000)),
        allocation(EVEN, experiment="right", points=(2_999, 5_000)),
    )

    with pytest.raises(ValueError, match="texts: left and right take the same points, from 2999 on"):
        Layer(name="texts", salt="a", allocations=taken)


def _chance(counts: list[int]) -> float:
    """The chance of counts as far from each other as these are."""
    expected = sum(counts) / len(counts)
    return chi_square_survival(sum((count - expected) ** 2 / expected for count in counts), len(counts) - 1)
