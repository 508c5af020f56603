"""What a set-up says of the time that an experiment takes, and how the interval of a gain is drawn."""

from notifier.console.interval_chart import draw_intervals
from notifier.domain.experiments import Arm, Plan
from notifier.experiments import planning
from notifier.experiments.results import Look
from tests.console import trials
from tests.console.conftest import Enter, signed_in
from tests.console.trials import TYPE, WHY
from tests.samples import NOW


def test_a_chart_holds_what_came_last_and_cuts_off_what_was_wider() -> None:
    looks = [Look(hour=hour, arm="a", low=0.02 - 2 / (hour + 1), high=0.06 + 2 / (hour + 1)) for hour in range(100)]

    chart = draw_intervals(looks, 0, 0.05)
    alone = draw_intervals(looks[-1:], 99, 0.05)

    places = [tuple(map(float, each.split(","))) for each in chart.band.split(" ")]
    assert all(44 <= x <= 400 and 0 <= y <= 170 for x, y in places)
    assert chart.none > (chart.wanted or 0)
    assert [tick.label for tick in chart.gains][:1] == ["−5"]
    assert [tick.label for tick in chart.days] == ["day 1", "day 2", "day 3", "day 4"]
    assert len(alone.band.split(" ")) == 4


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
