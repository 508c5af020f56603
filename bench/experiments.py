"""Experiments: how often a hundred looks call a difference that isn't there, and find one that is.

A person unplugs after an exponentially distributed time. Their answer is whether they did within half an hour, their
minutes are capped there, and one in fifty switches the category off. Arms are drawn person by person, one look is taken
a day, and the last one is at the planned size.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import accumulate
from random import Random
from statistics import NormalDist, mean
from typing import Any, Final, NamedTuple

from notifier.domain.statistics import (
    MISMATCH,
    Conclusion,
    Finding,
    Guardrail,
    Interval,
    Sums,
    at_least,
    bounded_differences,
    conclude,
    days,
    difference,
    people_for_rate,
    people_per_arm,
    rate,
    sample_ratio,
    sample_ratio_at_any_look,
)

ALPHA: Final = 0.05
POWER: Final = 0.9
BASELINE: Final = 0.7  # the rate of answers
GAIN: Final = 0.05
OFF: Final = 0.02
CAP: Final = 30  # minutes
LOOKS: Final = 100
WEIGHTS: Final = {"control": 5_000, "variant": 5_000}
PLANNED: Final = people_for_rate(BASELINE, GAIN, ALPHA, POWER)  # in each arm
PEOPLE_A_DAY: Final = math.ceil(2 * PLANNED / LOOKS)
Z: Final = NormalDist().inv_cdf(1 - ALPHA / 2)
TESTS: Final = (
    "answers", "minutes", "bounded_minutes", "guardrail", "sample_ratio_at_any_look", "sample_ratio", "z",
)  # fmt: skip
"""What is asked at each look, beside what the experiment has come to: by its answers."""


class Day(NamedTuple):
    """The sums of one arm's people: of a day, or of all days until one."""

    answers: Sums
    minutes: Sums
    off: Sums

    def plus(self, other: "Day") -> "Day":
        return Day(*(one.plus(more) for one, more in zip(self, other, strict=True)))


class Course(NamedTuple):
    """What an experiment came to, on which day, and the tests that called something on any day."""

    conclusion: Conclusion
    day: int
    called: frozenset[str]


async def experiments(same: int = 1_000, different: int = 200) -> dict[str, Any]:
    """The shares of experiments without a difference that call one, and of experiments with one that find it, by the
    sequences and by a z-test at the same looks."""
    none, planned, twice = _runs("A/A", 0.0, same), _runs("A/B", GAIN, different), _runs("twice", 2 * GAIN, different)
    other = BASELINE + GAIN
    variances = BASELINE * (1 - BASELINE) + other * (1 - other)
    fixed = days(people_per_arm(variances, GAIN, Z, POWER), WEIGHTS, PEOPLE_A_DAY)
    false_winners, found = _share(map(_differs, none)), _share(map(_is_won, planned))
    return {
        "scenario": "experiments",
        "same": same,
        "different": different,
        "looks": LOOKS,
        "people_per_arm": PLANNED,
        "false_winners": false_winners,
        "z_false_winners": _share("z" in course.called for course in none),
        "found": found,
        "days_planned": LOOKS,
        "days_fixed_horizon": fixed,
        "days_saved_against_fixed_horizon": _saved(planned, fixed),
        "days_saved_at_twice_the_gain": _saved(twice, fixed),
        "called_without_difference": {test: _share(test in course.called for course in none) for test in TESTS},
        "called_with_difference": {test: _share(test in course.called for course in planned) for test in TESTS},
        "missed": [*["false_winners"] * (false_winners > ALPHA), *["found"] * (found < POWER)],
    }


def run(random: Random, gain: float) -> Course:
    """One experiment whose variant's rate of answers is so much above the baseline."""
    control, variant = simulated(random, gain)
    minutes = [[day.minutes for day in arm] for arm in (control, variant)]
    bounded = bounded_differences(minutes[0], minutes[1], ALPHA, PLANNED)
    called: set[str] = set()
    ends: list[tuple[Conclusion, int]] = []
    looks = zip(accumulate(control, Day.plus), accumulate(variant, Day.plus), bounded, strict=True)
    for day, (one, other, bounded_minutes) in enumerate(looks, 1):
        counts = {"control": one.answers.n, "variant": other.answers.n}
        answers = difference(one.answers, other.answers, ALPHA, 2 * PLANNED)
        worse = at_least(one.off, other.off, ALPHA, 2 * PLANNED)
        ratio = sample_ratio_at_any_look(counts, WEIGHTS)
        calls = (
            _excludes_zero(answers),
            _excludes_zero(difference(one.minutes, other.minutes, ALPHA, 2 * PLANNED)),
            _excludes_zero(bounded_minutes),
            worse > 0,
            ratio < MISMATCH,
            sample_ratio(counts, WEIGHTS) < MISMATCH,
            _z(one.answers, other.answers) > Z,
        )
        called |= {test for test, call in zip(TESTS, calls, strict=True) if call}
        found = conclude({"variant": answers}, [Guardrail("off", "variant", worse)], ratio, is_over=day == LOOKS)
        if found.finding is not Finding.KEEP_GOING:
            ends.append((found, day))
    return Course(*ends[0], frozenset(called))


def simulated(random: Random, gain: float) -> tuple[list[Day], list[Day]]:
    """The days of the control and of the variant."""
    paces = tuple(-math.log(1 - each) / CAP for each in (BASELINE, BASELINE + gain))  # answers a minute
    arms: tuple[list[Day], list[Day]] = ([], [])
    for _ in range(LOOKS):
        minutes: tuple[list[float], list[float]] = ([], [])
        for _ in range(PEOPLE_A_DAY):
            drawn = random.getrandbits(1)
            minutes[drawn].append(min(random.expovariate(paces[drawn]) / CAP, 1.0))
        for arm, values in zip(arms, minutes, strict=True):
            people = len(values)
            arm.append(
                Day(
                    rate(people, people - values.count(1.0)),
                    Sums(people, sum(values), sum(value * value for value in values)),
                    rate(people, sum(random.random() < OFF for _ in values)),
                )
            )
    return arms


def _z(control: Sums, variant: Sums) -> float:
    """The statistic of a z-test for two rates, with the variance of both together."""
    both = control.plus(variant)
    variance = both.mean * (1 - both.mean) * (1 / control.n + 1 / variant.n)
    return abs(variant.mean - control.mean) / math.sqrt(variance) if variance else 0.0


def _excludes_zero(interval: Interval) -> bool:
    return interval.low > 0 or interval.high < 0


def _runs(name: str, gain: float, number: int) -> list[Course]:
    return [run(Random(f"{name} {seed}"), gain) for seed in range(number)]  # noqa: S311 (the same in every run)


def _differs(course: Course) -> bool:
    """Whether an experiment ended since its arms differ: the variant is better, or is worse before the time is over."""
    ended = course.conclusion.finding
    return ended is Finding.WINNER or (ended is Finding.NO_WINNER and course.day < LOOKS)


def _is_won(course: Course) -> bool:
    return course.conclusion.finding is Finding.WINNER


def _share(found: Iterable[bool]) -> float:
    return round(mean(found), 4)


def _saved(courses: Sequence[Course], fixed: int) -> float:
    """Days by which experiments end before a fixed horizon, on average; one that finds nothing takes all its days."""
    return round(fixed - mean(course.day if _is_won(course) else LOOKS for course in courses), 1)
