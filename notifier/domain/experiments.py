"""Experiments: two or more ways of telling the same, tried on people who are assigned to them by a hash.

An experiment is about one notification type, whose `outcome` says what is measured. Its arms are the control (as people
are told without it), variants (other texts, later, by other channels) and maybe a holdback that is told nothing. What
arm a message was of stands in its row as `experiment/arm/version of the allocation`.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Final

import msgspec

from notifier.domain.assignment import POINTS, Allocation, Layer, Points
from notifier.domain.catalog import NotificationType
from notifier.domain.clock import DAY, parse_duration
from notifier.domain.deliveries import ChannelName
from notifier.domain.ids import make_id
from notifier.domain.text import LINE, STEP

CONTROL: Final = "control"
"""The arm whose people are told as if there were no experiment."""
MOST_ARMS: Final = 6
"""Arms of one experiment: each needs people enough to say something of it."""
LONGEST: Final = 90 * DAY
"""Milliseconds that an experiment may last: longer ones compare seasons."""
ALPHA: Final = 0.05
"""How often at most an experiment without a difference calls one, however often it is looked at."""

ExperimentId = Annotated[str, msgspec.Meta(min_length=1, max_length=60, pattern=STEP)]
Why = Annotated[str, msgspec.Meta(min_length=1, max_length=500, pattern=LINE)]
ArmName = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9-]{0,29}(?![\\s\\S])")]


class Arm(msgspec.Struct, frozen=True, dict=True, omit_defaults=True, forbid_unknown_fields=True):
    """What is different for the people of an arm: nothing for the control's.

    `version` is that of the texts, where it isn't the live one. Messages go out `later`, such as "5 min", and by these
    `channels` of the type alone, in this order. `silent` is the holdback.
    """

    version: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)] | None = None
    later: str | None = None
    channels: tuple[ChannelName, ...] = ()
    silent: bool = False

    @cached_property
    def delay(self) -> int:
        """Milliseconds that messages go out later."""
        return parse_duration(self.later) if self.later else 0


def exposure_id(experiment: str, person: str) -> str:
    """What a person is counted by in an experiment, and nowhere else."""
    return make_id("exposure", experiment, person)


class ExperimentState(StrEnum):
    """How far an experiment has come; one that is over never runs again."""

    DRAFT = "draft"
    RUNNING = "running"
    ENDED = "ended"


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody wants to try: on which type, why, with which arms and weights (in ten-thousandths), on which share
    of the people in percent, to find which gain of the outcome's share, for how long at most."""

    type: str
    why: Why
    arms: dict[ArmName, Arm]
    weights: dict[ArmName, int]
    share: Annotated[int, msgspec.Meta(ge=1, le=100)] = 100
    gain: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.05
    longest: str = "28 d"

    @property
    def most(self) -> int:
        """Milliseconds after which the control stays, where there is no winner."""
        return parse_duration(self.longest)


class Experiment(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """An experiment as it is kept. `allocations` are its weights, oldest first, and `points` those of its type's layer
    whose people take part; `winner` is the arm that was decided for."""

    id: str
    plan: Plan
    state: ExperimentState = ExperimentState.DRAFT
    revision: int = 1
    created_at: int
    updated_at: int
    started_at: int | None = None
    ended_at: int | None = None
    allocations: tuple[dict[str, int], ...] = ()
    points: tuple[Points, ...] = ()
    winner: str | None = None
    ended_because: str | None = None

    @cached_property
    def allocation(self) -> Allocation:
        """How its people are divided."""
        silent = next((name for name, arm in self.plan.arms.items() if arm.silent), None)
        return Allocation(
            experiment=self.id, salt=self.id, versions=self.allocations, holdback=silent, points=self.points
        )


class Part(msgspec.Struct, frozen=True):
    """A person's part in an experiment: the arm, what their messages' rows say of it, and the type as they are told of
    it."""

    arm: Arm
    variant: str
    kind: NotificationType


class Trying:
    """The experiments on one type."""

    def __init__(self, kind: NotificationType, experiments: Iterable[Experiment]) -> None:
        own = list(experiments)
        self._layer = Layer(name=kind.id, salt=kind.id, allocations=tuple(each.allocation for each in own))
        self.parts = {
            (each.id, name, version): Part(arm, f"{each.id}/{name}/{version}", vary(kind, arm))
            for each in own
            for name, arm in each.plan.arms.items()
            for version in range(1, len(each.allocations) + 1)
        }

    def part(self, person: str) -> Part | None:
        """A person's part, by their id; None where they are in no experiment."""
        found = self._layer.assignment(person)
        return None if found is None else self.parts[found.experiment, found.arm, found.version]


class Running:
    """The experiments that run, as decisions and messages ask for them."""

    def __init__(self, experiments: Iterable[Experiment], types: Mapping[str, NotificationType]) -> None:
        by_type: dict[str, list[Experiment]] = {}
        for each in experiments:
            if each.state == ExperimentState.RUNNING and each.plan.type in types:
                by_type.setdefault(each.plan.type, []).append(each)
        self._on = {type_: Trying(types[type_], own) for type_, own in by_type.items()}
        parts = [part for trying in self._on.values() for part in trying.parts.values()]
        self._versions = {part.variant: part.arm.version for part in parts}
        self.texts = {(part.kind.id, part.arm.version) for part in parts if part.arm.version is not None}

    def on(self, type_: str) -> Trying | None:
        """The experiments on a type; None where there is none."""
        return self._on.get(type_)

    def version(self, variant: str | None) -> int | None:
        """The version of the texts of a message, where it isn't the live one."""
        return None if variant is None else self._versions.get(variant)


NONE: Final = Running((), {})
"""No experiments."""


class Experiments:
    """The experiments of a process: those that run as it last read them."""

    def __init__(self) -> None:
        self.running = NONE
        self.revisions: list[tuple[str, int]] = []

    def use(self, found: Iterable[Experiment], running: Running) -> None:
        """Go by the experiments that were found, of which those that can run here do."""
        self.revisions = [(each.id, each.revision) for each in found]
        self.running = running


def vary(kind: NotificationType, arm: Arm) -> NotificationType:
    """A type as an arm's people are told of it."""
    return msgspec.structs.replace(kind, channels=arm.channels) if arm.channels else kind


def free_points(share: int, running: Iterable[Experiment]) -> tuple[Points, ...]:
    """Points of a layer for a share of the people in percent, beside those that others take; ValueError where they
    leave too few."""
    wanted = share * POINTS // 100
    taken = sorted(points for each in running for points in each.points)
    found: list[Points] = []
    at = 0
    for first, end in [*taken, Points(POINTS, POINTS)]:
        if first > at and wanted:
            some = min(first - at, wanted)
            found.append(Points(at, at + some))
            wanted -= some
        at = max(at, end)
    if wanted:
        left = share - -(-wanted * 100 // POINTS)
        raise ValueError(f"other experiments on this type leave {left} % of the people, not {share}")
    return tuple(found)


def faults(plan: Plan, types: Mapping[str, NotificationType]) -> list[tuple[str, str]]:
    """What of a plan can't be: the place in it and the reason, each for itself."""
    kind = types.get(plan.type)
    if kind is None:
        return [("/type", f"there is no notification type {plan.type!r}")]
    found: list[tuple[str, str]] = []
    if kind.outcome is None:
        found.append(("/type", f"{plan.type} has no outcome that says which arm is better; add one to its type.toml"))
    if kind.class_ == "security":
        found.append(("/type", "security notifications are not experimented with"))
    if CONTROL not in plan.arms or plan.arms[CONTROL] != Arm():
        found.append((f"/arms/{CONTROL}", "there must be an arm called control, which is different in nothing"))
    if not 1 < len(plan.arms) <= MOST_ARMS:
        found.append(("/arms", f"an experiment has two to {MOST_ARMS} arms"))
    if sum(plan.weights.values()) != POINTS or any(each < 0 for each in plan.weights.values()):
        found.append(("/weights", f"the weights are {POINTS} together, and none is negative"))
    if plan.weights.keys() != plan.arms.keys():
        found.append(("/weights", "each arm has a weight, and nothing else has"))
    for name, arm in plan.arms.items():
        found += [(f"/arms/{name}{member}", fault) for member, fault in _arm_faults(arm, kind)]
    if sum(arm.silent for arm in plan.arms.values()) > 1:
        found.append(("/arms", "at most one arm is silent"))
    found += [("/longest", fault) for fault in _duration_faults(plan)]
    return found


def _duration_faults(plan: Plan) -> Iterable[str]:
    try:
        most = plan.most
    except ValueError as error:
        yield str(error)
    else:
        if not DAY <= most <= LONGEST:
            yield f"an experiment lasts from 1 d to {LONGEST // DAY} d"


def _arm_faults(arm: Arm, kind: NotificationType) -> Iterable[tuple[str, str]]:
    """What of an arm can't be: the pointer from the arm on, and the reason."""
    if arm.silent and (arm.version is not None or arm.later or arm.channels):
        yield "/silent", "who is told nothing has no texts, delay or channels"
    if arm.silent and not may_be_silent(kind):
        yield "/silent", f"a {kind.class_} notification with a fee, a payment or a duty behind it is owed to everybody"
    try:
        if arm.delay >= kind.ttl:
            yield "/later", f"later than {kind.time_to_live}, the type's time to live, is never"
    except ValueError as error:
        yield "/later", str(error)
    if unknown := [each for each in arm.channels if each not in kind.channels]:
        yield "/channels", f"the type has no channel {', '.join(unknown)}; it has {', '.join(kind.channels)}"
    if len(set(arm.channels)) != len(arm.channels):
        yield "/channels", "a channel is named twice"
    if missing := [each for each in kind.mandatory if arm.channels and each not in arm.channels]:
        yield "/channels", f"{', '.join(missing)} is mandatory"


def may_be_silent(kind: NotificationType) -> bool:
    """Whether people may be told nothing to see what it changes: marketing is owed to nobody, and of others those never
    with which a contract, a fee, money, a place in a queue or safety is told."""
    if kind.class_ == "marketing":
        return True
    owed = kind.class_ in ("transactional", "security") or bool(kind.mandatory) or kind.through_quiet_hours
    return not owed and not any(field.type == "money" for field in kind.data.values())
