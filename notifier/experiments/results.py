"""What an experiment has come to: the counts of its arms, the intervals of their gains, and the verdict so far."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from notifier.domain import statistics
from notifier.domain.catalog import NotificationType
from notifier.domain.clock import HOUR, MINUTE
from notifier.domain.deliveries import State
from notifier.domain.effects import HOURS_OF_A_DAY, STEPS, Effect, What, hour_of
from notifier.domain.experiments import ALPHA, CONTROL, Experiment, ExperimentState
from notifier.domain.statistics import Conclusion, Finding, Guardrail, Interval, Remaining, Sums
from notifier.pipeline.engine import Engine
from notifier.store.delivery import effects

POWER: Final = 0.9
"""The chance by which a gain of the planned size is found."""
GUARDED: Final[Mapping[str, float]] = {
    "failed": 0.01, "unsubscribed": 0.002, "complained": 0.001, "stopped": 0.002, "switched_off": 0.002,
}  # fmt: skip
"""What no arm may make worse, as a share of its people, and by how much it may at most."""
DEARER: Final = 0.5
"""The part of what the control costs by which an arm may cost more at most, for each time that somebody is to be told:
a text of two SMS in the place of one costs twice as much."""
LEAST_DEARER: Final = 0.05
"""SMS for each time that somebody is to be told by which any arm may cost more: hardly anybody gets one then."""
READ: Final = frozenset({What.ENROLLED, What.WON, What.EXPOSED, What.SEGMENTS, State.UNDELIVERED, *GUARDED})
"""What is read of all that is counted."""
WORSE: Final[Mapping[str, str]] = {
    "failed": "more messages fail", "unsubscribed": "more people unsubscribe", "complained": "more people complain",
    "stopped": "more people reply STOP", "switched_off": "more people switch the category off",
    What.SEGMENTS: "each time that somebody is told costs more SMS",
}  # fmt: skip
"""What has become worse by a guardrail, in words."""
FEW: Final = statistics.LEAST_VARIANCE + 1
"""Events of a guardrail from which on something can be said of their share."""
MOST_SHARE: Final = 0.99
"""The share that is planned for at most: from there on nothing is left to gain."""
LEAST: Final = 50
"""People of the control by whom its share is known well enough to plan with."""


class ArmResult(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an arm's people so far: how many there are, for how many the outcome came, their share, the median
    of the minutes until it came, and the least and most that the share exceeds the control's by, at every look."""

    arm: str
    people: int
    answered: int
    share: float | None
    median_minutes: float | None = None
    came: list[float] = []
    gain_low: float | None = None
    gain_high: float | None = None
    guardrails: dict[str, int] = {}


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """The interval of a variant's gain as it was at the end of a day or an hour (`hour`, since 1970)."""

    hour: int
    arm: str
    low: float | None
    high: float | None


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment's arms, the verdict, of which arm and by which guardrail, and the course of the intervals.

    `people_needed` of each arm find the planned gain. `waiting` is how many hours aren't counted yet, because outcomes
    may still come. `ratio` is the chance of arms as unequal as these, at any look.
    """

    finding: Finding
    arm: str | None
    guardrail: str | None
    words: str
    arms: list[ArmResult]
    looks: list[Look]
    people_needed: int | None
    ratio: float
    waiting: int


async def read(engine: Engine, experiment: Experiment) -> Result:
    """What an experiment has come to by now."""
    (found,) = await read_all(engine, [experiment])
    return found


async def read_all(engine: Engine, experiments: Sequence[Experiment]) -> list[Result]:
    """What experiments have come to by now, whose types there are; the counts of all are read at once."""
    if not experiments:
        return []
    now, types = engine.clock.now(), {each.plan.type for each in experiments}
    since = min(hour_of(each.started_at or now) for each in experiments)
    since -= since % HOURS_OF_A_DAY  # hours of long ago are rows of their day's first
    found = await effects.read(engine.database, since, hour_of(now) + 1, types, by=("variant", "after"))
    return [result(each, engine.catalog.types[each.plan.type], found, now) for each in experiments]


def result(experiment: Experiment, kind: NotificationType, counted: Sequence[Effect], now: int) -> Result:
    """What an experiment has come to by what was counted of its type. Only hours of which every outcome has come or is
    too late are read; in its last hour nobody was told once it had ended."""
    own = [each for each in counted if each.variant.startswith(f"{experiment.id}/")]
    within = 0 if kind.outcome is None else kind.outcome.milliseconds
    ended = experiment.ended_at or (hour_of(now) + 1) * HOUR
    final = [each for each in own if min((each.hour + 1) * HOUR, ended) + within <= now]
    of_arm = _by_arm(final, experiment.plan.arms)
    arms = {name: _sums(of_arm[name]) for name in of_arm}
    variants = [name for name in arms if name != CONTROL]
    alpha = ALPHA / max(len(variants), 1)
    needed = people_needed(arms[CONTROL], experiment.plan.gain, alpha)
    tightest = 2 * (needed or statistics.people_for_rate(0.5, min(experiment.plan.gain, 0.49), alpha, POWER))
    gains = {name: statistics.difference(arms[CONTROL], arms[name], alpha, tightest) for name in variants}
    ratio = _ratio(experiment, of_arm)
    is_over = experiment.state == ExperimentState.ENDED or _lasted(experiment, now)
    rails = list(_guardrails(experiment, of_arm, arms, variants, tightest))
    conclusion = statistics.conclude(gains, rails, ratio, is_over=is_over)
    return Result(
        finding=conclusion.finding, arm=conclusion.arm, guardrail=conclusion.guardrail, words=words(conclusion),
        arms=[_arm(name, arms[name], gains.get(name), of_arm[name], within) for name in arms],
        looks=list(_looks(of_arm, variants, alpha, tightest)), people_needed=needed, ratio=ratio,
        waiting=len({each.hour for each in own} - {each.hour for each in final}),
    )  # fmt: skip


def words(conclusion: Conclusion) -> str:
    """A verdict in a sentence."""
    match conclusion.finding:
        case Finding.MISMATCH:
            return "The arms have other sizes than their weights say: read nothing of them, and look for a fault."
        case Finding.HARM:
            return f"{conclusion.arm} makes it worse: {WORSE[conclusion.guardrail or 'failed']}. Stop it."
        case Finding.WINNER:
            return f"{conclusion.arm} is better than the control."
        case Finding.NO_WINNER:
            return "No arm is better than the control, so the control stays."
        case Finding.KEEP_GOING:
            return "It is too early to say; looking more often does no harm."


def _lasted(experiment: Experiment, now: int) -> bool:
    return experiment.started_at is not None and now >= experiment.started_at + experiment.plan.most


def _by_arm(counted: Iterable[Effect], arms: Iterable[str]) -> dict[str, list[Effect]]:
    """What is read of what was counted, by arm: far less than all, since an answer is counted by channel, too."""
    found: dict[str, list[Effect]] = {name: [] for name in arms}
    for each in counted:
        if each.what in READ and (own := found.get(each.variant.split("/")[1])) is not None:
            own.append(each)
    return found


def _sums(counted: Iterable[Effect]) -> Sums:
    of = Counter[str]()
    for each in counted:
        of[each.what] += each.number
    return statistics.rate(of[What.ENROLLED], of[What.WON])


def people_needed(control: Sums, gain: float, alpha: float) -> int | None:
    """People of each arm who find the planned gain, by the control's share so far; None while it isn't known."""
    if control.n < LEAST or not 0 < control.mean < 1:
        return None
    return statistics.people_for_rate(min(control.mean, MOST_SHARE - gain), gain, alpha, POWER)


def _ratio(experiment: Experiment, counted: Mapping[str, Sequence[Effect]]) -> float:
    """The least chance of any allocation's arms, times the number of allocations."""
    chances = []
    for version, weights in enumerate(experiment.allocations, 1):
        counts = {arm: _enrolled(counted[arm], version) for arm in weights}
        kept = {arm: counts[arm] for arm, weight in weights.items() if weight}
        if sum(kept.values()):
            chances.append(statistics.sample_ratio_at_any_look(kept, {arm: weights[arm] for arm in kept}))
    return min((min(chance * len(chances), 1.0) for chance in chances), default=1.0)


def _enrolled(counted: Iterable[Effect], version: int) -> int:
    """How many people an arm has by a version of the allocation."""
    end = f"/{version}"
    return sum(each.number for each in counted if each.what == What.ENROLLED and each.variant.endswith(end))


def _guardrails(
    experiment: Experiment, counted: Mapping[str, Sequence[Effect]], arms: Mapping[str, Sums],
    variants: Sequence[str], tightest: int,
) -> list[Guardrail]:  # fmt: skip
    alpha = ALPHA / max(len(variants) * (len(GUARDED) + 1), 1)
    found = []
    for name, margin in GUARDED.items():
        sums = {arm: _guarded(arms[arm].n, _number(counted[arm], name)) for arm in arms}
        found += [
            Guardrail(name, arm, statistics.at_least(sums[CONTROL], sums[arm], alpha, tightest), margin)
            for arm in variants
        ]
    control = _costs(counted[CONTROL])
    usual = control.mean if control.n else 0.0
    margin = max(DEARER * usual, LEAST_DEARER)
    dearer = control.plus(_alike(2 * max(usual, 1.0)))
    return found + [
        Guardrail(
            What.SEGMENTS, arm,
            statistics.at_least(dearer, _costs(counted[arm]).plus(_alike(0.0)), alpha, tightest), margin,
        )
        for arm in variants
        if not experiment.plan.arms[arm].channels  # other channels cost what they cost: that is what is tried
    ]  # fmt: skip


def _costs(counted: Iterable[Effect]) -> Sums:
    """The sums of what it costs each time that somebody is to be told, in SMS."""
    told = total = squares = 0
    for each in counted:
        if each.what == What.EXPOSED:
            told += each.number
        elif each.what == What.SEGMENTS:
            total += each.number
            squares += each.number * each.after
    return Sums(told, total, squares)


def _alike(cost: float) -> Sums:
    """So few times of a cost that nothing could be said of them alone. Texts of an arm are often all of one length, and
    nothing is known of how they differ: they count as different by these, in the control's favour never."""
    return Sums(FEW, FEW * cost, FEW * cost**2)


def _guarded(people: int, number: int) -> Sums:
    """The sums of what is guarded. So few that nothing could be said of their share count as a few more: that makes the
    control worse than it is, and a variant is called harmful later rather than for nothing."""
    return statistics.rate(people, min(max(number, FEW), people))


def _number(counted: Iterable[Effect], what: str) -> int:
    names = {what, State.UNDELIVERED} if what == State.FAILED else {what}
    return sum(each.number for each in counted if each.what in names)


def _arm(name: str, sums: Sums, gain: Interval | None, counted: Sequence[Effect], within: int) -> ArmResult:
    low, high = _bounds(gain)
    curve = _curve(counted)
    half = statistics.median(curve)
    return ArmResult(
        arm=name, people=sums.n, answered=round(sums.total), share=sums.mean if sums.n else None,
        median_minutes=None if half is None else half * within / STEPS / MINUTE, came=_came(curve),
        gain_low=low, gain_high=high,
        guardrails={what: number for what in (*GUARDED, What.SEGMENTS) if (number := _number(counted, what))},
    )  # fmt: skip


def _bounds(gain: Interval | None) -> tuple[float | None, float | None]:
    """The ends of an interval; None where nothing is known of it yet."""
    return (None, None) if gain is None or gain == statistics.UNKNOWN else gain


def _curve(counted: Iterable[Effect]) -> list[Remaining]:
    """The share of an arm's people for whom the outcome has not come by the end of each step in which it came for
    some."""
    ended, people = Counter[int](), 0
    for each in counted:
        if each.what == What.WON:
            ended[each.after + 1] += each.number
        elif each.what == What.ENROLLED:
            people += each.number
    return statistics.remaining(ended, {STEPS + 1: people - ended.total()}) if people else []


def _came(curve: Sequence[Remaining]) -> list[float]:
    """The share for whom it had come by the end of each step; none where there is nobody."""
    gone, found = 0.0, []
    left = {step.at: step.share for step in curve}
    for at in range(1, STEPS + 1):
        gone = 1 - left[at] if at in left else gone
        found.append(round(gone, 4))
    return found if curve else []


def _looks(
    counted: Mapping[str, Sequence[Effect]], variants: Sequence[str], alpha: float, tightest: int
) -> Iterable[Look]:
    """The intervals as they were after each hour or day of which something is counted."""
    by_hour: dict[int, dict[str, list[Effect]]] = defaultdict(lambda: defaultdict(list))
    for arm, own in counted.items():
        for each in own:
            by_hour[each.hour][arm].append(each)
    so_far = dict.fromkeys(counted, Sums())
    for hour in sorted(by_hour):
        so_far = {arm: sums.plus(_sums(by_hour[hour][arm])) for arm, sums in so_far.items()}
        for arm in variants:
            gain = statistics.difference(so_far[CONTROL], so_far[arm], alpha, tightest)
            low, high = _bounds(gain)
            yield Look(hour=hour, arm=arm, low=low, high=high)
