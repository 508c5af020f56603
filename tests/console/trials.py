"""An experiment on idle warnings, and what was counted of it: so many people an hour, with the share of each arm."""

from collections.abc import Mapping

from notifier.domain.assignment import POINTS, Points
from notifier.domain.clock import DAY
from notifier.domain.effects import ANY, STEPS, Effect, What, hour_of
from notifier.domain.experiments import Arm, Experiment, ExperimentState, Plan
from notifier.store.console import experiments as store
from notifier.store.core.audit import AuditEntry
from notifier.store.core.database import Database
from notifier.store.delivery import effects

TYPE = "idle-warning"
WHY = "Do more cars leave if the message says please?"


async def run(
    database: Database, now: int, days: int, shares: Mapping[str, float], an_hour: int = 20, *, id_: str = "please",
    failed: Mapping[str, int] | None = None, **arms: Arm,
) -> Experiment:  # fmt: skip
    """Have an experiment run for some days, with so many people of each arm in an hour, and a part for whom the outcome
    came."""
    named = {"control": Arm(), **arms}
    weights = dict.fromkeys(named, POINTS // len(named))
    weights["control"] += POINTS - sum(weights.values())
    started = now - days * DAY
    plan = Plan(type=TYPE, why=WHY, arms=named, weights=weights)
    held = Experiment(
        id=id_, plan=plan, state=ExperimentState.RUNNING, created_at=started, updated_at=started, started_at=started,
        allocations=(weights,), points=(Points(0, POINTS),),
    )  # fmt: skip
    assert await store.save(database, held, audited(started, id_))
    counted = [
        each
        for hour in range(hour_of(started), hour_of(now) - 1)
        for arm, share in shares.items()
        for each in _hour(hour, f"{id_}/{arm}/1", an_hour, round(an_hour * share), (failed or {}).get(arm, 0))
    ]
    bucket = database.buckets[0]
    await bucket.write(lambda connection: effects.add(connection, bucket.dialect, counted))
    return held


def audited(at: int, id_: str) -> AuditEntry:
    """What the audit has of a start."""
    return AuditEntry(at=at, actor="console:ada", action="experiment.start", subject=id_, detail="both 50 %")


async def traffic(database: Database, now: int, days: int, an_hour: int, share: float) -> None:
    """Have so many people of no experiment been told in each hour."""
    counted = [
        Effect(hour=hour, type=TYPE, channel=ANY, locale="en", variant="", what=what, number=number)
        for hour in range(hour_of(now - days * DAY), hour_of(now))
        for what, number in ((What.EXPOSED, an_hour), (What.ANSWERED, round(an_hour * share)))
    ]
    bucket = database.buckets[0]
    await bucket.write(lambda connection: effects.add(connection, bucket.dialect, counted))


def _hour(hour: int, variant: str, people: int, won: int, failed: int) -> list[Effect]:
    def of(what: str, number: int, channel: str = ANY, after: int = 0) -> Effect:
        return Effect(
            hour=hour, type=TYPE, channel=channel, locale="en", variant=variant, what=what, after=after, number=number
        )

    soon = won // 2
    found = [of(What.ENROLLED, people), of(What.EXPOSED, people), of(What.WON, soon, after=STEPS // 5)]
    found += [of(What.WON, won - soon, after=STEPS // 2), of("delivered", people - failed, "sms")]
    return [each for each in [*found, of("failed", failed, "sms")] if each.number]
