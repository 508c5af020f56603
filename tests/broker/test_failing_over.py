"""Signals and what workers share go to the Redis that has our keys, and follow it when it changes."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import dramatiq
import pytest
import redis
from dramatiq.errors import BrokerConnectionError

from notifier.broker import DECIDE, make_broker
from notifier.broker.redis import TakingRedisBroker
from notifier.broker.signals import Signals
from notifier.chaos.bed import until
from notifier.chaos.clusters.redis_cluster import redis_cluster
from notifier.chaos.clusters.redis_server import RedisServers, answer
from notifier.chaos.clusters.sentinel import SERVICE, sentinel_cluster
from notifier.chaos.clusters.server import NotInstalled
from notifier.doctor import examine
from notifier.providers.shared_in_redis import InRedis
from notifier.runtime.broker_url import redis_url
from notifier.runtime.redis_clients import SLOT
from notifier.runtime.settings import load_settings
from tests.conftest import absent

FOLLOWED = 60  # seconds for a client to find the server that has our keys by now


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as made:
        yield made


def running(
    runner: asyncio.Runner, cluster: Callable[[], AbstractAsyncContextManager[RedisServers]]
) -> Iterator[RedisServers]:
    """Run a cluster's servers beside the tests of a module."""
    context = cluster()
    try:
        servers = runner.run(context.__aenter__())
    except NotInstalled as missing:
        absent(str(missing))
    yield servers
    runner.run(context.__aexit__(None, None, None))


@pytest.fixture(scope="module")
def by_sentinel(runner: asyncio.Runner) -> Iterator[RedisServers]:
    yield from running(runner, sentinel_cluster)


@pytest.fixture(scope="module")
def in_cluster(runner: asyncio.Runner) -> Iterator[RedisServers]:
    yield from running(runner, redis_cluster)


@pytest.fixture(params=["by_sentinel", "in_cluster"])
def servers(request: pytest.FixtureRequest) -> RedisServers:
    found: RedisServers = request.getfixturevalue(request.param)
    return found


def opened(servers: RedisServers) -> TakingRedisBroker:
    broker = make_broker(servers.url, namespace=f"{redis_url(servers.url).prefix}:tests")
    assert isinstance(broker, TakingRedisBroker)
    return broker


def signal(id_: str) -> dramatiq.Message[None]:
    return dramatiq.Message(queue_name=DECIDE, actor_name="decide", args=([id_],), kwargs={}, options={})


def round_trip(broker: TakingRedisBroker, id_: str) -> bool:
    """Send a signal and take it; False where the broker was away, as it may be for some seconds."""
    try:
        broker.enqueue(signal(id_))
        consumer = broker.consume(DECIDE, prefetch=10, timeout=1_000)
        taken = [message.args[0] for message in (next(consumer) for _ in range(10)) if message is not None]
    except (redis.RedisError, BrokerConnectionError):
        return False
    return [id_] in taken


def works_again(broker: TakingRedisBroker, id_: str) -> bool:
    deadline = time.monotonic() + FOLLOWED
    while time.monotonic() < deadline:
        if round_trip(broker, id_):
            return True
        time.sleep(0.1)
    return False


async def shares(kept: InRedis) -> bool:
    """Whether a provider's state is kept; it may be away for some seconds."""
    for _ in range(FOLLOWED * 10):
        try:
            await kept.rest("key", 1, tripped=False)
        except (redis.RedisError, OSError):
            await asyncio.sleep(0.1)
        else:
            return True
    return False


def test_signals_and_what_workers_share_go_to_the_server_with_our_keys(
    servers: RedisServers, runner: asyncio.Runner
) -> None:
    # Given Sentinels or a cluster, when a signal is sent, then it is taken
    broker = opened(servers)
    assert round_trip(broker, "first")

    async def use() -> tuple[int, bool]:
        # And a queue's depth, the broker's answer and a provider's state are there
        signals = Signals(broker)
        await signals.ping()
        broker.enqueue(signal("second"))
        depths = await signals.depths()
        await signals.close()
        kept = InRedis(redis_url(servers.url), broker.namespace)
        shared = await shares(kept)
        await kept.close()
        return depths[DECIDE], shared

    assert runner.run(use()) == (1, True)
    broker.client.flushdb()


def test_the_doctor_tells_which_server_has_our_keys(
    servers: RedisServers, runner: asyncio.Runner, tmp_path: Path
) -> None:
    environ = {
        "NOTIFIER_BROKER_URL": servers.url,
        "NOTIFIER_DATABASE_URL": f"sqlite:///{tmp_path / 'n.db'}",
    }

    async def asked() -> tuple[str, str, int]:
        (found,) = [each for each in await examine(load_settings(environ)) if each.part == "broker"]
        return found.verdict, found.told, await servers.leader()

    verdict, told, leader = runner.run(asked())
    assert verdict == "good"
    assert f"at 127.0.0.1:{leader}" in told


def test_a_client_leaves_a_master_that_was_made_a_replica(by_sentinel: RedisServers, runner: asyncio.Runner) -> None:
    # Given a broker in use
    broker = opened(by_sentinel)
    assert round_trip(broker, "before")
    before = runner.run(by_sentinel.leader())

    # When a person has the Sentinels make another the master, and the old one lives on
    sentinel = int(redis_url(by_sentinel.url).servers[0].rpartition(":")[2])
    assert runner.run(answer(sentinel, "SENTINEL", "FAILOVER", SERVICE)) == b"OK"

    async def another_leads() -> bool:
        return await by_sentinel.leader() != before

    runner.run(until(another_leads, FOLLOWED))

    # Then signals go to the new one
    assert works_again(broker, "after")


def test_a_client_follows_its_slot_to_another_node(in_cluster: RedisServers, runner: asyncio.Runner) -> None:
    # Given a broker in use, and another master
    broker = opened(in_cluster)
    assert round_trip(broker, "before")
    before = runner.run(in_cluster.leader())
    masters = [int(each.rpartition(":")[2]) for each in redis_url(in_cluster.url).servers]
    other = next(port for port in masters if port != before)
    broker.client.flushdb()

    # When our slot is moved there
    async def move() -> None:
        target = (await answer(other, "CLUSTER", "MYID")).decode()
        for port in (other, before, *masters):
            await answer(port, "CLUSTER", "SETSLOT", str(SLOT), "NODE", target)

    runner.run(move())

    # Then signals go there, though nobody connects anew
    assert works_again(broker, "after")
    assert runner.run(in_cluster.leader()) == other


def test_after_a_kill_signals_and_what_workers_share_go_to_the_new_master(
    servers: RedisServers, runner: asyncio.Runner
) -> None:
    # Given a broker in use
    broker = opened(servers)
    assert works_again(broker, "before")

    async def kept_through_a_kill() -> bool:
        kept = InRedis(redis_url(servers.url), broker.namespace)
        assert await shares(kept)

        # When the master is killed
        await servers.kill_leader()
        shared = await shares(kept)
        await kept.close()
        return shared

    # Then both find the new one
    assert runner.run(kept_through_a_kill())
    assert works_again(broker, "after")

    # And the old one comes back as a replica
    runner.run(servers.rejoin())
