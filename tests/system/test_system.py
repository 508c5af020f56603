"""The whole system as its users run it: real processes, on the embedded default and on servers."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import redis
import sqlalchemy as sa

from notifier.broker import QUEUES, make_broker
from notifier.demo.local import LocalSystem
from notifier.demo.run import run, schedule
from notifier.demo.sessions import generate, people
from notifier.domain.deliveries import Channel, State
from notifier.runtime.settings import to_environment
from notifier.sandbox.stand_in import stand_ins
from notifier.store.core import migrate
from notifier.store.core.database import Database
from notifier.store.core.schema import metadata
from notifier.store.delivery import deliveries
from notifier.store.reading import ledger
from tests.conftest import server_url

SERVERS = {
    "embedded": (None, None),
    "postgresql, redis": ("postgresql", "redis"),
    "mariadb, rabbitmq": ("mariadb", "rabbitmq"),
    "buckets, redis": ("buckets", "redis"),
    "citus, redis": ("citus", "redis"),
}


@pytest.fixture(params=SERVERS)
def servers(request: pytest.FixtureRequest) -> dict[str, object]:
    """Settings that name an empty database and an empty broker."""
    database, broker = SERVERS[request.param]
    if database is None or broker is None:
        return {}
    made = {"buckets": "buckets_url", "citus": "citus_url"}
    url: str = request.getfixturevalue(made[database]) if database in made else server_url(database)
    if database not in made:
        asyncio.run(_empty(url))
    _empty_broker(server_url(broker))
    return {"database_url": url, "broker_url": server_url(broker)}


@pytest.fixture
async def system(servers: dict[str, object], tmp_path: Path) -> AsyncIterator[LocalSystem]:
    """A running system, its database and broker empty."""
    async with LocalSystem(tmp_path, {"worker_processes": 1, **servers}) as started:
        yield started


async def _empty(database_url: str) -> None:
    database = Database(database_url, connections=1)
    async with database.engine.begin() as connection:
        await connection.run_sync(metadata.drop_all)
        await connection.execute(sa.text("DROP TABLE IF EXISTS alembic_version"))
    await migrate.upgrade(database)
    await database.close()


def _empty_broker(broker_url: str) -> None:
    if broker_url.startswith("redis"):
        with redis.Redis.from_url(broker_url) as client:
            client.flushdb()
        return
    broker = make_broker(broker_url)
    for queue in QUEUES:
        broker.declare_queue(queue)
    broker.close()


async def test_charging_sessions_become_messages_and_none_is_lost_or_doubled(system: LocalSystem) -> None:
    # Given a crowd and forty charging sessions
    crowd = people(40, seed=3)
    drivers = [id_ for id_, details in crowd if details.get("kind", "driver") == "driver"]
    due = schedule(list(generate(40, seed=3)), drivers, seconds=3, hour=0.1)

    # When all is told that happens along them
    summary = await run(system, crowd, due, lambda _progress: None)

    # Then the providers' books agree with ours, message by message
    assert (summary.lost, summary.duplicated, summary.unrecorded) == (0, 0, 0)
    assert summary.events == len(due)
    rows = await deliveries.states(system.database)
    sent = [channel for (channel, _), state in rows.items() if state == State.SENT and Channel(channel) in stand_ins()]
    assert sum(summary.provider_received.values()) == len(sent) > 0
    assert summary.deliveries["sent"] > len(sent)  # in the app's inbox the row itself is the delivery
    assert (await ledger.read(system.database)).balanced


async def test_an_event_from_the_shell_is_in_the_inbox_within_seconds(system: LocalSystem) -> None:
    # Given a driver
    settings = system.settings
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {system.key}"}) as session:
        details = {"phone": "+4915123456789", "locale": "de", "time_zone": "Europe/Berlin"}
        async with session.put(f"{settings.public_url}/v1/recipients/ada", json=details) as response:
            assert response.status == 204

        # When somebody sends an event by the command line
        data = {"driver_id": "ada", "session_id": "1", "station": "Mitte", "kind": "full", "energy_kwh": 20.5}
        sent = await _notifier(
            system,
            "send",
            "charging.complete",
            "--data",
            json.dumps(data | {"completed_at": "2026-03-09T17:40:00Z"}),
            "--json",
        )
        assert json.loads(sent)["event"]

        # Then the text arrives, in German
        text = await _first_sms(session, system)
        assert "Mitte" in text
        assert "20,5 kWh" in text

        # And the metrics and the ledger tell of it, and of the one in the app's inbox
        await _until_counted(session, system, 'notifier_deliveries{state="sent"} 2.0')
    told = json.loads(await _notifier(system, "ledger", "--json", "--check"))
    assert (told["balanced"], told["deliveries"]["sent"]) == (True, 2)
    found = json.loads(await _notifier(system, "doctor", "--json"))
    # One-click unsubscription wants https (RFC 8058), and no webhook leaves loopback
    assert [finding["part"] for finding in found if finding["verdict"] != "good"] == ["e-mail", "webhooks"]


async def test_a_campaign_goes_through_its_segment_and_out(system: LocalSystem) -> None:
    # Given drivers for whom it is about noon, most of whom agreed to offers, and a segment of all of them
    zone = f"Etc/GMT{datetime.now(UTC).hour - 12:+d}"  # POSIX: west of Greenwich is positive
    url, agreed = f"{system.settings.public_url}/v1", {f"driver-{number}" for number in range(1, 25)}
    word = {"category": "offers", "channel": "email", "granted": True, "wording": "app-2026", "source": "app"}
    everybody = {"name": "All", "all": [{"field": "kind", "operator": "eq", "value": "driver"}]}
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {system.key}"}) as session:
        for id_ in [*sorted(agreed), "driver-0"]:
            details = {"email": f"{id_}@example.com", "locale": "fr", "time_zone": zone}
            await _told(session.put(f"{url}/recipients/{id_}", json=details))
        for id_ in agreed:
            await _told(session.post(f"{url}/recipients/{id_}/consents", json=word))
        await _told(session.put(f"{url}/segments/all", json=everybody))

        # When marketing reports its offer
        offer = {"segment_id": "all", "campaign_id": "spring", "title": "Le printemps", "text": "Moins cher à Gand."}
        await _notifier(system, "send", "marketing.offer", "--data", json.dumps(offer))

        # Then each of those who agreed has it once, and nobody else
        async with asyncio.timeout(30):
            while not await ledger.is_quiet(system.database):  # noqa: ASYNC110 (other processes are waited for)
                await asyncio.sleep(0.1)
        async with session.get(f"{system.sandbox_url}/sandbox/ledger", params={"channel": "email"}) as response:
            entries = (await response.json())["entries"]
    assert sorted(entry["to"] for entry in entries) == sorted(f"{id_}@example.com" for id_ in agreed)
    assert (await ledger.read(system.database)).balanced


async def _told(request: AbstractAsyncContextManager[aiohttp.ClientResponse]) -> None:
    async with request as response:
        assert response.status < 300, await response.text()


async def _first_sms(session: aiohttp.ClientSession, system: LocalSystem) -> str:
    async with asyncio.timeout(20):
        while True:
            async with session.get(f"{system.sandbox_url}/sandbox/ledger", params={"channel": "sms"}) as response:
                entries: list[dict[str, Any]] = (await response.json())["entries"]
            if entries:
                return str(entries[0]["content"]["body"])
            await asyncio.sleep(0.05)


async def _until_counted(session: aiohttp.ClientSession, system: LocalSystem, line: str) -> None:
    """Wait for a line of the metrics: a text is in the inbox a moment before its delivery is settled."""
    async with asyncio.timeout(20):
        while True:
            if line in await system.metrics(session):
                return
            await asyncio.sleep(0.05)


async def _notifier(system: LocalSystem, *arguments: str) -> str:
    environment = to_environment({**system.environment, "api_key": system.key})
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "notifier.cli",
        *arguments,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()
