"""What a set-up says of the time that an experiment takes, and how the interval of a gain is drawn."""

import re

from notifier.console.gains import gains, signed
from notifier.domain.catalog import AwaitedOutcome
from notifier.domain.experiments import Arm, Plan
from notifier.experiments import planning, results
from notifier.experiments.results import ArmResult, Look
from tests.console import trials
from tests.console.conftest import Enter, signed_in
from tests.console.trials import TYPE, WHY
from tests.samples import NOW


def test_a_gain_is_told_by_the_day_and_what_was_wider_is_cut_off() -> None:
    looks = [Look(hour=hour, arm="a", low=0.02 - 2 / (hour + 1), high=0.06 + 2 / (hour + 1)) for hour in range(100)]
    nothing = Look(hour=0, arm="a", low=None, high=None)

    outcome = AwaitedOutcome(name="The car left", events=("session.ended",), within="30 min")
    control = ArmResult(arm="control", people=10, answered=3, share=0.3, came=[0.01 * each for each in range(1, 31)])
    arm = ArmResult(arm="a", people=10, answered=6, share=0.6, came=[0.02 * each for each in range(1, 31)])

    found = gains(control, arm, [nothing, *looks], 0, 0.05, outcome)
    young = gains(control, arm, looks[:3], 0, 0.05, outcome)

    assert found is not None
    assert young is not None
    assert gains(control, arm, [nothing], 0, 0.05, outcome) is None
    assert "After 15 min it had come for 30% of a and 15% of control, after 30 min for 60% and 30%." in found.soon
    assert [(young.unit, len(young.rows)), (found.unit, [at for at, _ in found.rows])] == [
        ("hour", 3), ("day", [5, 4, 3, 2, 1]),
    ]  # fmt: skip
    bands = re.findall(r'<rect class="band" x="([\d.]+)%" y="([\d.]+)" width="20.000%" height="([\d.]+)"', found.chart)
    assert [float(x) for x, _, _ in bands] == [0, 20, 40, 60, 80]
    assert all(float(y) >= 18 and float(y) + float(height) <= 180.1 for _, y, height in bands)
    assert "at the end of day 5" in found.chart
    assert all(f">{name}</text>" in found.chart for name in ("0", "+5.0", "day 1"))
    assert [signed(each) for each in (0.05, -0.004, 0.0001)] == ["+5.0", "−0.4", "0"]


async def test_the_traffic_of_a_type_is_what_was_decided_in_the_last_days(desk: Enter) -> None:
    # Given some days of traffic
    visitor = await signed_in(desk, "viewer")
    engine = visitor.engine
    kind = engine.catalog.types[TYPE]
    arms = {"control": Arm(), "other": Arm(later="1 min")}
    plan = Plan(type=TYPE, why=WHY, arms=arms, weights={"control": 5_000, "other": 5_000})
    none = await planning.traffic(engine, kind)
    assert (none.told_a_day, none.share, planning.forecast(plan, none).days) == (0, None, None)
    await trials.traffic(engine.database, NOW, 3, 20, 0.4)

    # When it is read, then it is so many a day, and the days fit the people that each arm needs
    seen = await planning.traffic(engine, kind)
    assert (round(seen.told_a_day), seen.share) == (480, 0.4)
    found = planning.forecast(plan, seen)
    assert found.people_needed is not None
    assert found.days == -(-found.people_needed // 240)


async def test_the_curve_of_an_arm_ends_at_its_share(desk: Enter) -> None:
    # Given an experiment of some days
    visitor = await signed_in(desk, "viewer")
    held = await trials.run(visitor.engine.database, NOW, 2, {"control": 0.4}, later=Arm(later="1 min"))

    # When it is read
    control, later = (await results.read(visitor.engine, held)).arms

    # Then half of those who left had left after a fifth of the time, the others after a half, and none of nobody
    assert [control.came[at] for at in (5, 6, 14, 15, 29)] == [0.0, 0.2, 0.2, 0.4, control.share]
    assert (later.people, later.came) == (0, [])
