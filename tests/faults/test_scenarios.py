"""Fault scenarios in their short form, through the code of `notifier chaos`; docs/reliability.md has the figures."""

import asyncio
import json

import pytest

from notifier.chaos.clusters.server import NotInstalled
from notifier.chaos.options import Options
from notifier.chaos.scenarios import rounds, scenario
from tests.conftest import absent, server_url

LONGEST = 480  # seconds for one scenario, twice, on a busy machine; the longest takes a sixth

BY_HAND = {("runaway_key",), ("key_limits",)}
"""Rounds that are left out: they measure times and rates beside a sender in a loop, which takes what CPU there is."""

NEVER = ("something was accepted", "nothing is lost", "at most", "nothing arrived", "no 202", "one id")
"""Begins the demands that nothing excuses, however busy the machine is."""


@pytest.mark.timeout(LONGEST)
@pytest.mark.parametrize("names", [each for each in rounds(side_by_side=True) if each not in BY_HAND], ids="+".join)
async def test_what_must_hold_under_a_fault_holds(names: tuple[str, ...]) -> None:
    options = Options(short=True)
    await asyncio.gather(*(_holds(name, options) for name in names))


@pytest.mark.timeout(LONGEST)
@pytest.mark.parametrize("name", ["kill9_workers", "redis_down"])
async def test_it_holds_on_servers_too(name: str) -> None:
    await _holds(name, Options(short=True, database=server_url("postgresql"), broker=server_url("rabbitmq")))


async def _holds(name: str, options: Options) -> None:
    # Given a whole system of real processes, when it is broken as the scenario's name says
    try:
        outcome = await scenario(name)(options)
    except NotInstalled as missing:
        absent(str(missing))
    if outcome.unmet and not any(demand.startswith(NEVER) for demand in outcome.unmet):
        # What is about time may fail once on a machine that was busy with something else just then.
        outcome = await scenario(name)(options)

    # Then everything that it demands holds
    assert not outcome.unmet, f"{name}: {outcome.unmet}\n{json.dumps(outcome.figures, indent=1)}"
