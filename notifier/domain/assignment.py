"""Assignment: which arm of an experiment a person is in, by a hash of their id and without a row for anybody.

    point in a layer        sha256(layer, its salt, person) mod 10,000        says which experiment, if any
    point in an experiment  sha256(experiment, its salt, person) mod 10,000   says which arm

A point is what others call a bucket; here buckets are parts of a database. The experiments of one layer take points of
it that are theirs alone, so that nobody is in two of them; experiments of different layers are independent of each
other.

An allocation has versions, each with a weight for every arm. A new version moves as few points as its weights allow:
arms that shrink give up the points that they took last, and arms that grow take those. So between two arms a version
with the weights of the one before the last brings everybody back. What a version means depends on all before it, so
none is ever changed or removed.
"""

from collections.abc import Iterable
from functools import cached_property
from hashlib import sha256
from itertools import pairwise
from typing import Final, Literal, NamedTuple

import msgspec

POINTS: Final = 10_000
"""Points of a layer and of an experiment: a weight of 1 is a ten-thousandth of the people."""

_HASHED: Final = 8  # bytes of a hash that are read: 64 bits, among which 10,000 points differ by less than 1 in 10¹⁵


class Assignment(NamedTuple):
    """A person's arm of an experiment, and the version of the allocation, from 1, that says so; whoever is in the
    `holdback` is told nothing."""

    experiment: str
    version: int
    arm: str
    holdback: bool


class Points(NamedTuple):
    """The points from `first` to before `end`."""

    first: int
    end: int


class Allocation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """How an experiment's people are divided among its arms.

    `versions` are weights by arm, in ten-thousandths; an arm that a version doesn't name has none. `holdback` is the
    arm that is told nothing. `points` are those of its layer whose people take part. ValueError where that can't be.
    """

    experiment: str
    salt: str
    versions: tuple[dict[str, int], ...]
    holdback: str | None = None
    points: tuple[Points, ...] = (Points(0, POINTS),)

    def __post_init__(self) -> None:
        if not self.versions:
            raise ValueError(f"{self.experiment}: an allocation has a version at least")
        for version, weights in enumerate(self.versions, 1):
            if sum(weights.values()) != POINTS or min(weights.values()) < 0:
                raise ValueError(
                    f"{self.experiment}: the weights of version {version} are not negative, and {POINTS} together"
                )
        if self.holdback is not None and not any(self.holdback in weights for weights in self.versions):
            raise ValueError(f"{self.experiment}: no version has the holdback {self.holdback!r}")
        if not all(0 <= first < end <= POINTS for first, end in self.points):
            raise ValueError(f"{self.experiment}: points of a layer are from 0 to before {POINTS}")

    def assignment(self, person: str, version: int | None = None) -> Assignment:
        """The arm of a person, by their id, who takes part; by an earlier version, where one is given."""
        arms = self.by_point[-1 if version is None else version - 1]
        return arms[_point(self._key, person)]

    @cached_property
    def _key(self) -> bytes:
        return _key("experiment", self.experiment, self.salt)

    @cached_property
    def by_point(self) -> list[list[Assignment]]:
        """The assignment of every point, by version; made once."""
        held: dict[str, list[int]] = {}
        free = list(range(POINTS))
        found = []
        for version, weights in enumerate(self.versions, 1):
            for arm, points in held.items():
                kept = min(weights.get(arm, 0), len(points))
                free += points[kept:]
                del points[kept:]
            for arm, weight in weights.items():
                points = held.setdefault(arm, [])
                taken = weight - len(points)
                points += free[:taken]
                del free[:taken]
            assignments = {}
            for arm, points in held.items():
                assignments.update(
                    dict.fromkeys(points, Assignment(self.experiment, version, arm, arm == self.holdback))
                )
            found.append([assignments[point] for point in range(POINTS)])
        return found


class Layer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """Experiments that exclude each other; ValueError where two take the same points."""

    name: str
    salt: str
    allocations: tuple[Allocation, ...] = ()

    def __post_init__(self) -> None:
        taken = sorted((points, each.experiment) for each in self.allocations for points in each.points)
        for (one, first), (other, second) in pairwise(taken):
            if other.first < one.end:
                raise ValueError(f"{self.name}: {first} and {second} take the same points, from {other.first} on")

    def assignment(self, person: str) -> Assignment | None:
        """The arm of a person, by their id, in the one experiment that they are in; None where they are in none."""
        allocation = self._allocations[_point(self._key, person)] if self.allocations else None
        return None if allocation is None else allocation.assignment(person)

    @cached_property
    def _key(self) -> bytes:
        return _key("layer", self.name, self.salt)

    @cached_property
    def _allocations(self) -> list[Allocation | None]:
        """The allocation that each point belongs to."""
        found: list[Allocation | None] = [None] * POINTS
        for allocation in self.allocations:
            for first, end in allocation.points:
                found[first:end] = [allocation] * (end - first)
        return found


def assignments(layers: Iterable[Layer], person: str) -> list[Assignment]:
    """The arms of a person, by their id, in all experiments that they are in: at most one in each layer."""
    return [found for layer in layers if (found := layer.assignment(person)) is not None]


def _key(kind: Literal["layer", "experiment"], name: str, salt: str) -> bytes:
    """What is hashed before a person's id: each part after its length, so that no two names and salts make the same."""
    parts = [part.encode() for part in (kind, name, salt)]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def _point(key: bytes, person: str) -> int:
    return int.from_bytes(sha256(key + person.encode()).digest()[:_HASHED], "big") % POINTS
