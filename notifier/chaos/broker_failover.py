"""Scenarios of brokers whose leader dies: another takes its place, and the clock finds the signals that were lost."""

from typing import Protocol

import msgspec

from notifier.chaos.clusters.rabbitmq import rabbitmq_cluster
from notifier.chaos.clusters.redis_cluster import redis_cluster
from notifier.chaos.clusters.sentinel import sentinel_cluster
from notifier.chaos.failover import Cluster, fail_over, outcome
from notifier.chaos.options import Options
from notifier.chaos.outcome import ScenarioOutcome


class BrokerCluster(Cluster, Protocol):
    """A cluster of brokers, and the URL that names its servers."""

    url: str


async def sentinel_failover(options: Options) -> ScenarioOutcome:
    """The master of three Redis dies, and three Sentinels make a replica the master."""
    async with sentinel_cluster() as cluster:
        return await _fails_over(options, cluster)


async def cluster_master(options: Options) -> ScenarioOutcome:
    """The master dies that has our keys in a Redis Cluster of three, and its replica takes its place."""
    async with redis_cluster() as cluster:
        return await _fails_over(options, cluster)


async def rabbitmq_node(options: Options) -> ScenarioOutcome:
    """The node dies to which all are connected, of a RabbitMQ of three with quorum queues."""
    async with rabbitmq_cluster() as cluster:
        return await _fails_over(options, cluster)


async def _fails_over(options: Options, cluster: BrokerCluster) -> ScenarioOutcome:
    """Run the fail-over of a broker that the scenario brings itself, whatever broker the options name."""
    without = msgspec.structs.replace(options, broker=None)
    return outcome(await fail_over(without, cluster, {"broker_url": cluster.url}))
