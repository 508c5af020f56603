"""Scenarios of databases whose leader dies: another server takes its place, and what was answered 202 is there."""

import msgspec

from notifier.chaos.clusters.patroni import patroni
from notifier.chaos.failover import fail_over, outcome
from notifier.chaos.options import Options
from notifier.chaos.outcome import ScenarioOutcome


async def postgresql_failover(options: Options) -> ScenarioOutcome:
    """The leader of two PostgreSQL servers dies, with a synchronous standby (Patroni)."""
    async with patroni(synchronous=True) as cluster:
        return outcome(await fail_over(_own(options), cluster, {"database_url": cluster.url}))


def _own(options: Options) -> Options:
    """Return the options without a database: the scenario brings its own."""
    return msgspec.structs.replace(options, database=None)
