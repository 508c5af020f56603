"""Two installations on one broker: each has a name of its own there, made from its database, and takes nothing of the
other's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import redis
import sqlalchemy as sa

from notifier.client import AsyncProducer
from notifier.demo.local import LocalSystem
from notifier.doctor import examine
from notifier.runtime.settings import load_settings
from notifier.store.core.schema import plan
from tests.samples import EVENT

EVENTS = 20
PATIENCE = 30  # seconds for what takes one

pytestmark = pytest.mark.timeout(180)  # six processes start, which takes long where others use the processors


@pytest.fixture
async def two(tmp_path: Path, broker_url: str) -> AsyncIterator[tuple[LocalSystem, LocalSystem]]:
    """Two of them that share nothing else: the first without workers, the second whole."""
    settings: dict[str, object] = {"broker_url": broker_url, "namespace": "", "worker_processes": 1}
    async with AsyncExitStack() as opened:
        idle = LocalSystem(tmp_path / "idle", settings, processes=("web",))
        whole = LocalSystem(tmp_path / "whole", settings)
        yield await opened.enter_async_context(idle), await opened.enter_async_context(whole)


async def tell(system: LocalSystem) -> None:
    async with AsyncProducer(system.settings.public_url, system.key, "billing") as producer:
        for number in range(EVENTS):
            await producer.send(EVENT["type"], EVENT["data"], id=f"event {number}")


async def decided(system: LocalSystem) -> int:
    query = sa.select(sa.func.count()).select_from(plan)
    async with system.database.engine.connect() as connection:
        return int((await connection.execute(query)).scalar_one())


async def all_decided(system: LocalSystem) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            if await decided(system) == EVENTS:
                return
            await asyncio.sleep(0.05)


async def test_no_worker_takes_what_another_installation_has_signalled(two: tuple[LocalSystem, LocalSystem]) -> None:
    # Given two installations on one broker, of which one has workers
    idle, whole = two
    assert idle.namespace != whole.namespace

    # When both are told of events, the one that has workers last
    await tell(idle)
    await tell(whole)
    await all_decided(whole)

    # Then signals of the one without workers are where they were put, for the workers that it gets
    assert await decided(idle) == 0
    await idle.start("worker")  # no clock is there to signal again
    await all_decided(idle)


@pytest.mark.parametrize("broker_url", ["valkey"], indirect=True)
async def test_the_doctor_tells_which_is_ours_and_whose_else_is_there(
    two: tuple[LocalSystem, LocalSystem], broker_url: str
) -> None:
    # Given signals that wait, of another installation and of a version without names
    idle, whole = two
    await tell(idle)
    with redis.Redis.from_url(broker_url) as client:
        client.rpush("dramatiq:decide", "1")

    (found,) = [each for each in await examine(whole.settings) if each.part == "broker"]

    assert found.verdict == "good"
    assert f"our prefix is {whole.namespace};" in found.told
    assert idle.namespace in found.told
    assert "dramatiq:* of an older version" in found.told


async def test_a_name_that_is_set_is_the_name(tmp_path: Path, valkey: str) -> None:
    url = f"sqlite:///{tmp_path / 'none.db'}"
    settings = {"NOTIFIER_DATABASE_URL": url, "NOTIFIER_BROKER_URL": valkey, "NOTIFIER_NAMESPACE": "blue"}

    (found,) = [each for each in await examine(load_settings(settings)) if each.part == "broker"]

    assert "our prefix is notifier:blue" in found.told
