"""Assignment: what an arm costs a person, and whether the arms of many experiments are even and independent."""

import time
from array import array
from collections.abc import Sequence
from itertools import combinations
from typing import Any, Final

from notifier.domain.assignment import POINTS, Allocation, Layer, Points, assignments
from notifier.domain.statistics import chi_square_survival

EXPERIMENTS: Final = 50
CELLS: Final = 100  # of points, whose people are compared
ROUNDS: Final = 20
SAMPLE: Final = 10_000  # people whose assignment is timed in a round
EVEN: Final = {"control": POINTS // 2, "variant": POINTS // 2}
EACH: Final = {f"arm-{number}": POINTS // CELLS for number in range(CELLS)}


async def assignment(people: int) -> dict[str, Any]:
    """Microseconds of CPU a person, the best of some rounds; and the chances of counts as uneven, and of pairs of
    experiments as dependent, as those of so many people are: the least of all, and how many are below 5 %."""
    half = _layer(0, EVEN, Points(0, POINTS // 2))
    costs = {"no_experiment": _cost([]), "in_none": _cost([half], wanted=0), "in_one": _cost([half], wanted=1)}
    even, warm = _counted(people)
    independent = [_independent(one, other, people) for one, other in combinations(warm, 2)]
    return {
        "scenario": "assignment",
        "people": people,
        "experiments": EXPERIMENTS,
        "us_per_person": costs,
        "least_chance_even": min(even),
        "share_even_below_5_percent": _below(even),
        "least_chance_independent": min(independent),
        "share_independent_below_5_percent": _below(independent),
    }


def _cost(layers: Sequence[Layer], wanted: int = 0) -> float:
    """Microseconds of CPU for a person who is in so many experiments."""
    found = (f"driver-{number}" for number in range(4 * SAMPLE))
    people = [person for person in found if len(assignments(layers, person)) == wanted][:SAMPLE]
    rounds = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for person in people:
            assignments(layers, person)
        rounds.append((time.process_time() - began) / len(people) * 1e6)
    return round(min(rounds), 2)


def _counted(people: int) -> tuple[list[float], list[int]]:
    """Of each experiment the chance that its points are as uneven; and those in the variant, a bit for each person."""
    even, warm = [], []
    for number in range(EXPERIMENTS):
        allocation = _layer(number, EACH, Points(0, POINTS)).allocations[0]
        cell_of = {arm: cell for cell, arm in enumerate(EACH)}
        counts, bits = array("q", [0] * CELLS), bytearray(people)
        for person in range(people):
            cell = cell_of[allocation.assignment(f"driver-{person}").arm]
            counts[cell] += 1
            bits[person] = ord("01"[cell % 2])
        expected = people / CELLS
        value = sum((count - expected) ** 2 / expected for count in counts)
        even.append(chi_square_survival(value, CELLS - 1))
        warm.append(int(bits, 2))
    return even, warm


def _independent(one: int, other: int, people: int) -> float:
    """The chance of two variants that share as many, or as few, people as these: Pearson's χ²."""
    of_one, of_other = one.bit_count(), other.bit_count()
    variance = of_one * of_other * (people - of_one) * (people - of_other) / people**3
    return chi_square_survival(((one & other).bit_count() - of_one * of_other / people) ** 2 / variance, 1)


def _layer(number: int, weights: dict[str, int], points: Points) -> Layer:
    experiment = Allocation(experiment=f"experiment-{number}", salt="bench", versions=(weights,), points=(points,))
    return Layer(name=f"layer-{number}", salt="bench", allocations=(experiment,))


def _below(chances: Sequence[float]) -> float:
    return round(sum(chance < 0.05 for chance in chances) / len(chances), 3)
