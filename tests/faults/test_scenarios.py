"""Every fault scenario in its short form, through the code of `notifier chaos`; docs/reliability.md has the figures."""

import json

import pytest

from notifier.chaos.options import Options
from notifier.chaos.scenarios import MODULES, scenario
from tests.conftest import server_url

LONGEST = 240  # seconds for one scenario on a busy machine; the longest takes a quarter

SHORT_OF = {
    "campaign": {"alerts take no more than 2 × the baseline and 0.25 s"},  # docs/reliability.md says why
}
"""What does not hold yet where everything, providers and all, runs on two cores."""


@pytest.mark.timeout(LONGEST)
@pytest.mark.parametrize("name", MODULES)
async def test_what_must_hold_under_a_fault_holds(name: str) -> None:
    await _holds(name, Options(short=True))


@pytest.mark.timeout(LONGEST)
@pytest.mark.parametrize("name", ["kill9_workers", "redis_down"])
async def test_it_holds_on_servers_too(name: str) -> None:
    await _holds(name, Options(short=True, database=server_url("postgresql"), broker=server_url("rabbitmq")))


async def _holds(name: str, options: Options) -> None:
    # Given a whole system of real processes, when it is broken as the scenario's name says
    outcome = await scenario(name)(options)

    # Then everything that it demands holds
    unmet = set(outcome.unmet) - SHORT_OF.get(name, set())
    assert not unmet, f"{unmet}\n{json.dumps(outcome.figures, indent=1)}"
