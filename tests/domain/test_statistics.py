"""Statistics of experiments, held against scipy, statsmodels, published tables, and simulated experiments."""

import math
from collections.abc import Sequence
from itertools import accumulate
from random import Random
from statistics import mean, variance

import pytest
import scipy.special
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.duration.survfunc import SurvfuncRight
from statsmodels.stats.power import normal_sample_size_one_tail

from notifier.domain.statistics import (
    UNKNOWN,
    Conclusion,
    Finding,
    Guardrail,
    Interval,
    Remaining,
    Sums,
    at_least,
    bounded_differences,
    bounded_means,
    chi_square_survival,
    conclude,
    days,
    difference,
    median,
    people_for_mean,
    people_for_rate,
    people_per_arm,
    rate,
    remaining,
    sample_ratio,
    sample_ratio_at_any_look,
    sequence_critical,
    tightest_ratio,
)

EVEN = {"control": 5_000, "warm": 5_000}
ALPHAS = (0.2, 0.05, 0.01, 0.001)

# Freireich et al. 1963: weeks of remission of 21 children on 6-mercaptopurine, and of 21 on a placebo
TREATED = {6: 3, 7: 1, 10: 1, 13: 1, 16: 1, 22: 1, 23: 1}
STILL_WELL = {6: 1, 9: 1, 10: 1, 11: 1, 17: 1, 19: 1, 20: 1, 25: 1, 32: 2, 34: 1, 35: 1}
PLACEBO = {1: 2, 2: 2, 3: 1, 4: 2, 5: 2, 8: 4, 11: 2, 12: 2, 15: 1, 17: 1, 22: 1, 23: 1}

values = st.floats(0, 1, allow_subnormal=False)


def sums(observed: Sequence[float]) -> Sums:
    return Sums(len(observed), sum(observed), sum(value * value for value in observed))


@given(st.lists(values, min_size=2), st.lists(values))
def test_sums_say_mean_and_variance_however_they_are_put_together(hour: list[float], next_hour: list[float]) -> None:
    both = sums(hour).plus(sums(next_hour))

    assert both.mean == pytest.approx(mean(hour + next_hour), abs=1e-9)
    assert both.variance == pytest.approx(variance(hour + next_hour), abs=1e-9)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_the_normal_mixture_is_tightest_where_it_is_to_be(alpha: float) -> None:
    # Given the ratio by Lambert's function, as Howard et al. state it
    assert tightest_ratio(alpha) == pytest.approx(-scipy.special.lambertw(-(alpha**2) / math.e, -1).real - 1)

    # When the interval of arms that grow is compared with that of one look
    def critical(people: int) -> float:
        arm = rate(people // 2, people // 4)
        return difference(arm, arm, alpha, 10_000).high / math.sqrt(2 * arm.variance / arm.n)

    # Then it is widest, in that measure, far from its tightest, where it is as planned
    assert critical(10_000) == pytest.approx(sequence_critical(alpha))
    assert critical(1_000) > critical(8_000) > critical(10_000) < critical(12_500) < critical(100_000)


def test_the_difference_of_two_arms_is_that_of_waudby_smith_and_others() -> None:
    # Given two arms of unequal size, and their formula with t people, ρ² and the variance of one person's part
    control, variant = rate(9_000, 2_700), rate(1_000, 350)
    rho = tightest_ratio(0.05) / 8_000
    part = 10_000 * (control.variance / control.n + variant.variance / variant.n)
    spread = 10_000 * rho + 1

    radius = math.sqrt(part * 2 * spread / (10_000**2 * rho) * math.log(math.sqrt(spread) / 0.05))

    assert difference(control, variant, 0.05, 8_000) == pytest.approx((0.05 - radius, 0.05 + radius))


def test_a_guardrail_is_held_against_the_one_sided_mixture_which_is_nearer() -> None:
    # Given Howard et al.'s boundary for the sum of 10,000 people's parts, by their variance v and ρ
    control, variant = rate(5_000, 100), rate(5_000, 150)
    v = 10_000**2 * (control.variance + variant.variance) / 5_000
    rho = v / tightest_ratio(0.1)

    boundary = math.sqrt(2 * (v + rho) * math.log(math.sqrt((v + rho) / rho) / (2 * 0.05) + 1))

    assert at_least(control, variant, 0.05, 10_000) == pytest.approx(0.01 - boundary / 10_000)
    assert at_least(control, variant, 0.05, 10_000) > difference(control, variant, 0.05, 10_000).low


@pytest.mark.parametrize("few", [Sums(), rate(1, 1), rate(1_000, 9), rate(1_000, 991)])
def test_nothing_is_said_of_an_arm_that_is_not_normal_yet(few: Sums) -> None:
    many = rate(1_000, 500)

    assert difference(few, many, 0.05, 2_000) == difference(many, few, 0.05, 2_000) == UNKNOWN
    assert at_least(few, many, 0.05, 2_000) == -math.inf


@given(st.lists(values, min_size=1, max_size=50), st.integers(1, 100))
def test_by_hours_of_one_person_bounded_means_are_those_of_waudby_smith_and_ramdas(
    observed: list[float], tightest: int
) -> None:
    # Given their theorem 2, value by value: v is 4(x - μ)², and ψ(λ) a quarter of -log(1 - λ) - λ
    expected, staked, won, spent = [], 0.0, 0.0, 0.0
    for number, value in enumerate(observed):
        before = observed[:number]
        middle = (0.5 + sum(before)) / (number + 1)
        spread = (0.25 + sum((each - middle) ** 2 for each in before)) / (number + 1)
        stake = min(math.sqrt(2 * math.log(2 / 0.05) / (spread * max(number, tightest))), 0.5)
        staked, won = staked + stake, won + stake * value
        spent += 4 * (value - middle) ** 2 * (-math.log(1 - stake) - stake) / 4
        radius = (math.log(2 / 0.05) + spent) / staked
        expected.append((max(won / staked - radius, 0), min(won / staked + radius, 1)))

    found = list(bounded_means([sums([value]) for value in observed], 0.05, tightest))

    assert [tuple(each) for each in found] == [pytest.approx(each, abs=1e-6) for each in expected]


def test_an_hour_without_people_says_nothing_and_changes_nothing() -> None:
    hours = [Sums(), rate(100, 30), Sums(), rate(50, 20)]

    found = list(bounded_means(hours, 0.05, 200))

    assert found[0] == Interval(0, 1)
    assert found[1] == found[2]
    assert found[3] == list(bounded_means([hours[1], hours[3]], 0.05, 200))[-1]


@pytest.mark.parametrize("share", [0.5, 0.02])
def test_bounded_means_are_wrong_at_any_of_a_hundred_looks_no_more_often_than_allowed(share: float) -> None:
    # Given arms of a rate, rare or not, in hours of ten people
    random = Random(7)  # noqa: S311 (the same each run)
    wrong = 0
    for _ in range(200):
        hours = [rate(10, sum(random.random() < share for _ in range(10))) for _ in range(100)]
        wrong += any(not low <= share <= high for low, high in bounded_means(hours, 0.1, 500))

    assert wrong <= 0.1 * 200


def test_a_difference_of_bounded_means_is_what_both_sequences_leave() -> None:
    control, variant = [rate(500, 150)] * 4, [rate(500, 350)] * 4
    one, other = list(bounded_means(control, 0.025, 2_000))[-1], list(bounded_means(variant, 0.025, 2_000))[-1]

    found = list(bounded_differences(control, variant, 0.05, 2_000))

    assert len(found) == 4
    assert found[-1] == (other.low - one.high, other.high - one.low)
    assert 0 < found[-1].low < 0.4 < found[-1].high < 0.6


def test_a_difference_is_called_at_any_of_a_hundred_looks_no_more_often_than_allowed() -> None:
    # Given arms that are alike, looked at after each ten people
    random = Random(11)  # noqa: S311 (the same each run)
    wrong = harmed = 0
    for _ in range(400):
        looks = list(zip(_looks(random, 0.3, 1_000), _looks(random, 0.3, 1_000), strict=True))
        intervals = [difference(one, other, 0.05, 2_000) for one, other in looks]
        wrong += any(low > 0 or high < 0 for low, high in intervals)
        harmed += any(at_least(one, other, 0.05, 2_000) > 0 for one, other in looks)

    assert 0 < wrong <= 0.05 * 400
    assert 0 < harmed <= 0.05 * 400


def test_a_true_difference_is_found_by_the_planned_size_as_often_as_planned() -> None:
    # Given arms that differ by what their size was planned for, looked at a hundred times
    people = people_for_rate(0.3, 0.1, 0.05, 0.9)
    random = Random(13)  # noqa: S311 (the same each run)
    found = 0
    for _ in range(200):
        looks = zip(_looks(random, 0.3, people), _looks(random, 0.4, people), strict=True)
        found += any(difference(one, other, 0.05, 2 * people).low > 0 for one, other in looks)

    assert found >= 0.9 * 200


def _looks(random: Random, share: float, people: int) -> list[Sums]:
    """An arm's sums at a hundred looks, the last of them at so many people."""
    sizes = [people * (look + 1) // 100 - people * look // 100 for look in range(100)]
    hours = [rate(size, sum(random.random() < share for _ in range(size))) for size in sizes]
    return list(accumulate(hours, Sums.plus))


def test_the_curve_of_remissions_is_the_published_one() -> None:
    curve = remaining(TREATED, STILL_WELL)

    assert [step.at for step in curve] == [6, 7, 10, 13, 16, 22, 23]
    assert [round(step.share, 3) for step in curve] == [0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448]
    assert (median(curve), median(remaining(PLACEBO, {}))) == (23, 8)


@given(
    st.dictionaries(st.integers(0, 30), st.integers(1, 9), min_size=1),
    st.dictionaries(st.integers(0, 30), st.integers(1, 9)),
)
def test_the_curve_and_its_median_are_those_of_statsmodels(ended: dict[int, int], censored: dict[int, int]) -> None:
    times = [at for counts in (ended, censored) for at, people in counts.items() for _ in range(people)]
    expected = SurvfuncRight(times, [1] * sum(ended.values()) + [0] * sum(censored.values()))

    curve = remaining(ended, censored)

    assert [step.at for step in curve] == list(expected.surv_times)
    assert [step.share for step in curve] == pytest.approx(list(expected.surv_prob))


def test_there_is_no_median_before_half_of_the_people_have_answered() -> None:
    assert median(remaining({5: 49}, {30: 51})) is None
    assert median(remaining({5: 50}, {30: 50})) == 5
    assert remaining({}, {30: 5}) == []
    assert remaining({1: 1}, {}) == [Remaining(1, 0)]


@given(st.floats(0, 500), st.integers(1, 100))
def test_the_survival_function_of_chi_square_is_scipy_s(value: float, freedom: int) -> None:
    assert chi_square_survival(value, freedom) == pytest.approx(
        scipy.stats.chi2.sf(value, freedom), rel=1e-9, abs=1e-300
    )


@pytest.mark.parametrize(
    ("value", "freedom", "chance"),
    [
        (3.841, 1, 0.05),
        (10.828, 1, 0.001),
        (5.991, 2, 0.05),
        (13.816, 2, 0.001),
        (18.307, 10, 0.05),
        (124.342, 100, 0.05),
    ],
)
def test_critical_values_of_chi_square_are_the_published_ones(value: float, freedom: int, chance: float) -> None:
    assert chi_square_survival(value, freedom) == pytest.approx(chance, rel=0.01)


@given(st.integers(0, 5_000), st.integers(0, 5_000), st.integers(0, 5_000))
def test_sample_ratios_are_those_of_scipy(control: int, warm: int, silent: int) -> None:
    # Given counts of three arms
    counts, weights = (
        {"control": control, "warm": warm, "silent": silent},
        {"control": 4_500, "warm": 4_500, "silent": 1_000},
    )
    people, shares = sum(counts.values()), [0.45, 0.45, 0.1]

    # Then at one look their chance is Pearson's
    if people:
        expected = scipy.stats.chisquare(list(counts.values()), [people * share for share in shares]).pvalue
        assert sample_ratio(counts, weights) == pytest.approx(expected, rel=1e-6, abs=1e-300)

    # And at any look it is bounded by how likely they are by these weights, and by all weights alike
    by_weights = scipy.stats.multinomial(people, shares).logpmf(list(counts.values()))
    by_any = scipy.stats.dirichlet_multinomial([1, 1, 1], people).logpmf(list(counts.values()))
    bound = math.exp(min(by_weights - by_any, 0))
    assert sample_ratio_at_any_look(counts, weights) == pytest.approx(bound, rel=1e-6, abs=1e-300)


def test_lost_people_are_seen_and_chance_is_not_taken_for_them() -> None:
    for ratio in (sample_ratio, sample_ratio_at_any_look):
        assert ratio({"control": 50_000, "warm": 50_300}, EVEN) > 0.1
        assert ratio({"control": 50_000, "warm": 48_000}, EVEN) < 0.001
        assert ratio({"control": 5_000, "warm": 1}, {"control": 10_000, "warm": 0}) == 0
        assert ratio({"control": 5_000}, {"control": 10_000, "warm": 0}) == 1
        assert ratio({}, EVEN) == 1


@pytest.mark.parametrize("power", [0.8, 0.9, 0.95])
@pytest.mark.parametrize("alpha", ALPHAS)
def test_people_are_planned_as_by_statsmodels(alpha: float, power: float) -> None:
    # Given the deviation of the difference of 70 % and 75 %, of one person in each arm
    deviation = math.sqrt(0.7 * 0.3 + 0.75 * 0.25)

    # Then a single look takes as many people as statsmodels says
    single = normal_sample_size_one_tail(0.05, power, alpha / 2, deviation)
    assert people_per_arm(deviation**2, 0.05, scipy.stats.norm.isf(alpha / 2), power) == math.ceil(single)

    # And a sequence as many as its critical value wants
    sequence = normal_sample_size_one_tail(0.05, power, scipy.stats.norm.sf(sequence_critical(alpha)), deviation)
    assert people_for_rate(0.7, 0.05, alpha, power) == math.ceil(sequence)
    assert people_for_mean(deviation**2 / 2, 0.05, alpha, power) == math.ceil(sequence)


def test_a_single_look_takes_the_people_of_cohen_s_table() -> None:
    # Cohen 1988, table 2.4.1 by the normal distribution: differences of 0.2, 0.5 and 0.8 deviations, 5 %, power 0.8
    assert [people_per_arm(2, gain, 1.96, 0.8) for gain in (0.2, 0.5, 0.8)] == [393, 63, 25]


def test_days_are_those_until_the_smallest_arm_is_full() -> None:
    assert days(3_000, EVEN, 60) == 100
    assert days(3_000, {"control": 6_000, "warm": 3_000, "silent": 1_000, "old": 0}, 60) == 500
    assert days(1, EVEN, 1_000) == 1


KEEP, BETTER, BEST, WORSE = Interval(-0.1, 0.2), Interval(0.01, 0.1), Interval(0.02, 0.03), Interval(-0.2, -0.01)


@pytest.mark.parametrize(
    ("gains", "worse", "ratio", "is_over", "conclusion"),
    [
        ({"a": KEEP}, -0.1, 0.5, False, Conclusion(Finding.KEEP_GOING)),
        ({"a": UNKNOWN}, -math.inf, 1.0, False, Conclusion(Finding.KEEP_GOING)),
        ({"a": KEEP}, -0.1, 0.5, True, Conclusion(Finding.NO_WINNER)),
        ({"a": BETTER}, -0.1, 0.5, False, Conclusion(Finding.WINNER, "a")),
        ({"a": BETTER}, -0.1, 0.5, True, Conclusion(Finding.WINNER, "a")),
        ({"a": BETTER, "b": BEST, "c": KEEP}, -0.1, 0.5, False, Conclusion(Finding.WINNER, "b")),
        ({"a": WORSE, "b": KEEP}, -0.1, 0.5, False, Conclusion(Finding.KEEP_GOING)),
        ({"a": WORSE, "b": WORSE}, -0.1, 0.5, False, Conclusion(Finding.NO_WINNER)),
        ({"a": BETTER}, 0.002, 0.5, False, Conclusion(Finding.HARM, "a", "complaints")),
        ({"a": KEEP}, 0.001, 0.5, False, Conclusion(Finding.KEEP_GOING)),
        ({"a": BETTER}, 0.002, 0.0009, True, Conclusion(Finding.MISMATCH)),
    ],
)  # fmt: skip
def test_what_an_experiment_has_come_to(
    gains: dict[str, Interval], worse: float, ratio: float, is_over: bool, conclusion: Conclusion
) -> None:
    guardrails = [Guardrail("off", "a", -0.1), Guardrail("complaints", "a", worse, margin=0.001)]

    assert conclude(gains, guardrails, ratio, is_over=is_over) == conclusion


def test_where_less_is_better_the_opposite_is_gained() -> None:
    assert Interval(-0.2, -0.1).negated == Interval(0.1, 0.2)
