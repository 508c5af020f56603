"""What an experiment will take: a type's traffic of the last days, and the days until it finds what it looks for."""

from collections import Counter
from typing import Final

import msgspec

from notifier.domain import statistics
from notifier.domain.catalog import NotificationType
from notifier.domain.clock import DAY, HOUR
from notifier.domain.effects import What, hour_of
from notifier.domain.experiments import ALPHA, Plan
from notifier.experiments.results import people_needed
from notifier.pipeline.engine import Engine
from notifier.store.delivery import effects

DAYS: Final = 7
"""Days of traffic that are looked at: a week has every kind of day once."""
HOURS_OF_A_DAY: Final = DAY // HOUR


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """How many messages of a type are decided for people in a day, and for which share of them the outcome comes; None
    where there were none."""

    told_a_day: float
    share: float | None


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """The people that each arm needs to find the planned gain, and the days until the smallest has them; None where
    the traffic doesn't tell."""

    people_needed: int | None
    days: int | None


async def traffic(engine: Engine, kind: NotificationType) -> Traffic:
    """A type's traffic of the last days. Only hours of which every outcome has come or is too late are read."""
    now = engine.clock.now()
    until = hour_of(now - (0 if kind.outcome is None else kind.outcome.milliseconds))
    first = until - DAYS * HOURS_OF_A_DAY
    first -= first % HOURS_OF_A_DAY  # hours of long ago are rows of their day's first
    found = await effects.read(engine.database, first, until, [kind.id], by=())
    of = Counter[str]()
    for each in found:
        of[each.what] += each.number
    told = of[What.EXPOSED]
    if not told:
        return Traffic(told_a_day=0, share=None)
    hours = until - min(each.hour for each in found if each.what == What.EXPOSED)
    return Traffic(told_a_day=told * HOURS_OF_A_DAY / hours, share=of[What.ANSWERED] / told)


def forecast(plan: Plan, seen: Traffic) -> Forecast:
    """What a plan will take by the traffic that was seen. Messages are counted as people: who is told twice counts
    once in an experiment, so that it may take longer."""
    control = statistics.rate(round(seen.told_a_day * DAYS), round(seen.told_a_day * DAYS * (seen.share or 0)))
    needed = people_needed(control, plan.gain, ALPHA / max(len(plan.arms) - 1, 1))
    a_day = seen.told_a_day * plan.share / 100
    if needed is None or not a_day:
        return Forecast(people_needed=needed, days=None)
    return Forecast(people_needed=needed, days=statistics.days(needed, plan.weights, a_day))
