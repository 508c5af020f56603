"""Statistics of experiments: intervals that hold at every look, and what is decided by them. Pure, from sums alone.

A value is between 0 and 1: 0 or 1 for a rate, and for a mean the share of its bound, as minutes until unplugged divided
by the 30 at which they are capped. A person counts once, for only people are independent of each other: who gets
several messages has one value for all. An hour's sums are final: they are read once the outcomes of all its people are
known.

`alpha` is the chance that an interval is wrong at any look, however many there are and whenever one stops. `tightest`
is the number of people at which an interval is to be tightest, at the cost of looks long before and after.

Sources: Howard et al. 2021, "Time-uniform, nonparametric, nonasymptotic confidence sequences"; Waudby-Smith et al.
2024, "Time-uniform central limit theory and asymptotic confidence sequences"; Waudby-Smith and Ramdas 2024, "Estimating
means of bounded random variables by betting"; Lindon and Malek 2022, "Anytime-valid inference for multinomial count
data".
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from statistics import NormalDist
from typing import Final, NamedTuple

LEAST_VARIANCE: Final = 10
"""The sum of squared deviations that each arm needs before its mean is taken for normal: of a rate, some ten of the
rarer answer. Below that the normal sequences say nothing."""
MISMATCH: Final = 0.001
"""A sample ratio less probable than this says that people are lost on the way, and that nothing is to be read."""

_MOST_STAKED: Final = 0.5  # λ of the empirical Bernstein sequence; Waudby-Smith and Ramdas suggest 1/2 or 3/4
_STEPS: Final = 50  # of a fixed point that each step brings nearer by a factor of four or more


class Sums(NamedTuple):
    """What is kept of people's values: how many people, the sum of the values, and that of their squares."""

    n: int = 0
    total: float = 0.0
    squares: float = 0.0

    @property
    def mean(self) -> float:
        return self.total / self.n

    @property
    def variance(self) -> float:
        return max(self.squares - self.total * self.mean, 0.0) / (self.n - 1)

    def plus(self, other: "Sums") -> "Sums":
        """The sums of both."""
        return Sums(self.n + other.n, self.total + other.total, self.squares + other.squares)


def rate(people: int, answered: int) -> Sums:
    """The sums of a rate: so many of the people answered."""
    return Sums(people, answered, answered)


class Interval(NamedTuple):
    """Where a true value lies."""

    low: float
    high: float

    @property
    def negated(self) -> "Interval":
        """The interval of the opposite: what is gained where less is better."""
        return Interval(-self.high, -self.low)


UNKNOWN: Final = Interval(-math.inf, math.inf)
"""The interval of a difference of which nothing can be said yet."""


def difference(control: Sums, variant: Sums, alpha: float, tightest: int) -> Interval:
    """The difference of two large arms' means, variant less control: the two-sided normal mixture (Howard et al. 2021)
    with estimated variances (Waudby-Smith et al. 2024). `tightest` counts the people of both arms."""
    if not (_is_normal(control) and _is_normal(variant)):
        return UNKNOWN
    ratio = (control.n + variant.n) * tightest_ratio(alpha) / tightest
    radius = _deviation(control, variant) * math.sqrt((1 + 1 / ratio) * math.log((1 + ratio) / alpha**2))
    middle = variant.mean - control.mean
    return Interval(middle - radius, middle + radius)


def at_least(control: Sums, variant: Sums, alpha: float, tightest: int) -> float:
    """The least that a variant's mean exceeds the control's by, for guardrails: the one-sided normal mixture (Howard et
    al. 2021). -inf while nothing can be said. `tightest` counts the people of both arms."""
    if not (_is_normal(control) and _is_normal(variant)):
        return UNKNOWN.low
    ratio = (control.n + variant.n) * tightest_ratio(2 * alpha) / tightest
    critical = math.sqrt(2 * (1 + 1 / ratio) * math.log1p(math.sqrt(1 + ratio) / (2 * alpha)))
    return variant.mean - control.mean - critical * _deviation(control, variant)


def tightest_ratio(alpha: float) -> float:
    """The ratio of variance to ρ at which the two-sided normal mixture is tightest: -W₋₁(-α²/e) - 1 (Howard et al.
    2021). The one-sided is so, nearly, at the ratio of twice its `alpha`."""
    ratio = 1.0
    for _ in range(_STEPS):
        ratio = math.log((1 + ratio) / alpha**2)
    return ratio


def bounded_means(hours: Iterable[Sums], alpha: float, tightest: int) -> Iterator[Interval]:
    """The mean of one arm after each hour, at any size: the empirical Bernstein sequence with a predictable plug-in
    (Waudby-Smith and Ramdas 2024, theorem 2). `tightest` counts the arm's people.

    What an hour is held against, mean and stake, is known before it; so its sums say all that its values would.
    """
    staked = won = spent = 0.0
    seen = Sums()
    for hour in hours:
        mean = (0.5 + seen.total) / (seen.n + 1)
        variance = (0.25 + seen.squares - 2 * mean * seen.total + seen.n * mean**2) / (seen.n + 1)
        stake = min(math.sqrt(2 * math.log(2 / alpha) / (variance * max(seen.n, tightest))), _MOST_STAKED)
        staked += stake * hour.n
        won += stake * hour.total
        spent += (hour.squares - 2 * mean * hour.total + hour.n * mean**2) * (-math.log1p(-stake) - stake)
        seen = seen.plus(hour)
        if seen.n:
            middle, radius = won / staked, (math.log(2 / alpha) + spent) / staked
            yield Interval(max(middle - radius, 0.0), min(middle + radius, 1.0))
        else:
            yield Interval(0.0, 1.0)


def bounded_differences(
    control: Iterable[Sums], variant: Iterable[Sums], alpha: float, tightest: int
) -> Iterator[Interval]:
    """The difference of two arms' means after each hour, variant less control, at any size: each arm's sequence has
    half of `alpha`. `tightest` counts the people of one arm."""
    sequences = (bounded_means(hours, alpha / 2, tightest) for hours in (control, variant))
    for before, after in zip(*sequences, strict=True):
        yield Interval(after.low - before.high, after.high - before.low)


class Remaining(NamedTuple):
    """The share of people for whom, so long after they were told, the outcome has not come yet."""

    at: int
    share: float


def remaining(ended: Mapping[int, int], censored: Mapping[int, int]) -> list[Remaining]:
    """The curve of Kaplan and Meier (1958), for the eye: `ended` counts people by the time of their outcome, `censored`
    those without one by the time until which they were watched, at which they are still there."""
    there, share, curve = sum(ended.values()) + sum(censored.values()), 1.0, []
    for at in sorted({*ended, *censored}):
        if gone := ended.get(at, 0):
            share *= 1 - gone / there
            curve.append(Remaining(at, share))
        there -= gone + censored.get(at, 0)
    return curve


def median(curve: Sequence[Remaining]) -> int | None:
    """The first time at which the outcome has come for half of the people; None where it hasn't for so many."""
    return next((step.at for step in curve if step.share <= 0.5), None)


def chi_square_survival(value: float, freedom: int) -> float:
    """The chance that χ² is greater, with so many degrees of freedom: Q(freedom/2, value/2), by its recurrence over
    freedom (Abramowitz and Stegun 1964, 6.5.21)."""
    half = value / 2
    if half <= 0:
        return 1.0
    order, survival = (0.5, math.erfc(math.sqrt(half))) if freedom % 2 else (1.0, math.exp(-half))
    while order < freedom / 2:
        survival += math.exp(order * math.log(half) - half - math.lgamma(order + 1))
        order += 1
    return survival


def sample_ratio(counts: Mapping[str, int], weights: Mapping[str, int]) -> float:
    """The chance of counts as far from one version's weights as these are: Pearson's χ². It holds at one look: of
    experiments in order that are looked at a hundred times, 1.4 % see less than 0.001."""
    shares = _shares(weights)
    if counts.keys() - shares.keys():
        return 0.0
    people = sum(counts.values())
    if not people or len(shares) == 1:
        return 1.0
    value = sum((counts.get(arm, 0) - people * share) ** 2 / (people * share) for arm, share in shares.items())
    return chi_square_survival(value, len(shares) - 1)


def sample_ratio_at_any_look(counts: Mapping[str, int], weights: Mapping[str, int]) -> float:
    """Likewise at every look: one over the Bayes factor of all weights, any as likely as another, against these (Lindon
    and Malek 2022)."""
    shares = _shares(weights)
    if counts.keys() - shares.keys():
        return 0.0
    people = sum(counts.values())
    evidence = math.lgamma(len(shares)) - math.lgamma(len(shares) + people)
    for arm, share in shares.items():
        evidence += math.lgamma(1 + counts.get(arm, 0)) - counts.get(arm, 0) * math.log(share)
    return math.exp(min(-evidence, 0.0))


def people_for_rate(baseline: float, gain: float, alpha: float, power: float) -> int:
    """People in each arm by whom a rate that differs so from the baseline is found with a chance of `power`, by
    `difference` at its tightest or before."""
    other = baseline + gain
    return people_per_arm(baseline * (1 - baseline) + other * (1 - other), gain, sequence_critical(alpha), power)


def people_for_mean(variance: float, gain: float, alpha: float, power: float) -> int:
    """Likewise, people in each arm for a mean, of a variance that both arms have."""
    return people_per_arm(2 * variance, gain, sequence_critical(alpha), power)


def sequence_critical(alpha: float) -> float:
    """The critical value of `difference` at its tightest: 3.03 at 5 %."""
    return math.sqrt(1 + tightest_ratio(alpha))


def people_per_arm(variances: float, gain: float, critical: float, power: float) -> int:
    """People in each arm by whom a gain exceeds a critical value with a chance of `power`, both arms being normal;
    `variances` is the sum of both arms'."""
    return math.ceil((critical + NormalDist().inv_cdf(power)) ** 2 * variances / gain**2)


def days(people: int, weights: Mapping[str, int], people_a_day: float) -> int:
    """The days until the smallest arm has so many people, where so many take part a day."""
    return math.ceil(people / (min(_shares(weights).values()) * people_a_day))


class Finding(StrEnum):
    """What an experiment has come to: nothing is to be read of a mismatch, harm stops it, and where there is no winner
    the control stays."""

    MISMATCH = "mismatch"
    HARM = "harm"
    WINNER = "winner"
    NO_WINNER = "no_winner"
    KEEP_GOING = "keep_going"


class Guardrail(NamedTuple):
    """What a variant may not make worse by more than a margin; `worse` is the least that it does (`at_least`)."""

    name: str
    arm: str
    worse: float
    margin: float = 0.0


class Conclusion(NamedTuple):
    """A finding, of which arm, and by which guardrail."""

    finding: Finding
    arm: str | None = None
    guardrail: str | None = None


def conclude(
    gains: Mapping[str, Interval], guardrails: Iterable[Guardrail], ratio: float, *, is_over: bool
) -> Conclusion:
    """What an experiment has come to, by each variant's gain on the control and by the sample ratio at any look;
    `is_over` says that its longest duration has passed.

    Of several variants each has its part of `alpha`, and so has each guardrail of theirs.
    """
    if ratio < MISMATCH:
        return Conclusion(Finding.MISMATCH)
    for guardrail in guardrails:
        if guardrail.worse > guardrail.margin:
            return Conclusion(Finding.HARM, guardrail.arm, guardrail.name)
    best = max(gains, key=lambda arm: gains[arm].low)
    if gains[best].low > 0:
        return Conclusion(Finding.WINNER, best)
    if is_over or all(gain.high < 0 for gain in gains.values()):
        return Conclusion(Finding.NO_WINNER)
    return Conclusion(Finding.KEEP_GOING)


def _is_normal(arm: Sums) -> bool:
    return arm.n > 1 and arm.variance * arm.n >= LEAST_VARIANCE


def _deviation(control: Sums, variant: Sums) -> float:
    """The standard deviation of the difference of the means."""
    return math.sqrt(control.variance / control.n + variant.variance / variant.n)


def _shares(weights: Mapping[str, int]) -> dict[str, float]:
    """Each arm's share of the people; an arm without weight has none."""
    whole = sum(weights.values())
    return {arm: weight / whole for arm, weight in weights.items() if weight}
