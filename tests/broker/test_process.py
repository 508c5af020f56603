"""A worker process: it works, or it ends and says why; and it ends when it is told to, with what it has begun."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import aiohttp
import dramatiq
import redis
import sqlalchemy as sa

from notifier.broker import DECIDE, LANES, make_broker
from notifier.client import AsyncProducer
from notifier.demo.local import LocalSystem
from notifier.domain.deliveries import State
from notifier.domain.recipients import RecipientDetails
from notifier.runtime.settings import environment
from notifier.store.core.status import rendered as delivery
from notifier.store.people import recipients
from tests.named import SMS
from tests.samples import EVENT

PATH = {"PYTHONPATH": os.pathsep.join(sys.path)}  # for a script, whose own folder comes first
STAYING = Path(__file__).with_name("more_actors.py")
TAKES = 8.0  # seconds for a text, in which the worker is told to end
PASSED_ON = 0.5  # seconds after which a supervisor has passed on what it was told
AT_LAST = 60  # seconds: far past what any of these may take, however slow the machine


def test_a_worker_that_cannot_open_what_it_needs_ends_and_says_why(tmp_path: Path) -> None:
    # Given a database without a schema, when a worker starts
    settings: dict[str, object] = {"database_url": f"sqlite:///{tmp_path / 'empty.db'}"}
    ended = subprocess.run(
        [sys.executable, "-m", "workers"], env=environment(settings), timeout=AT_LAST, capture_output=True, text=True
    )

    # Then it takes no signals for nothing: it ends, and its log has the way out
    assert ended.returncode == 1
    assert "worker.not_booted" in ended.stderr
    assert "notifier db upgrade" in ended.stderr
    assert "worker.ready" not in ended.stderr
    assert "Traceback" not in ended.stderr


def test_workers_that_cannot_open_what_they_need_are_started_again_ever_more_slowly_and_leave_no_counters(
    tmp_path: Path,
) -> None:
    # Given a database without a schema, and a folder with modules called as ours
    folder = tmp_path / "elsewhere"
    (folder / "workers").mkdir(parents=True)
    (folder / "workers" / "__init__.py").touch()
    (folder / "workers" / "__main__.py").write_text("print('not ours')")
    settings: dict[str, object] = {
        "database_url": f"sqlite:///{tmp_path / 'empty.db'}", "metrics_dir": tmp_path / "metrics",
    }  # fmt: skip

    # When workers are started there
    worker = subprocess.Popen(
        [sys.executable, "-P", "-m", "notifier.cli", "worker", "--processes", "1", "--queue", "push.urgent"],
        env=environment(settings), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert worker.stdout is not None
    lines: list[str] = []
    while sum("worker.ended" in line for line in lines) < 3:
        lines.append(worker.stdout.readline())
        assert lines[-1], lines
    worker.terminate()
    worker.communicate(timeout=AT_LAST)

    # Then ours ran, each start came later than the one before, and what never worked left nothing to count
    told = [json.loads(line) for line in lines if "worker.ended" in line]
    assert [each["again_in"] for each in told] == [1.0, 2.0, 4.0]
    assert any("worker.not_booted" in line for line in lines)
    assert "not ours" not in "".join(lines)
    counted = {file.stem.rpartition("_")[2] for file in (tmp_path / "metrics").iterdir()}
    assert counted == {str(worker.pid)}


async def test_a_worker_that_is_stopped_twice_at_once_still_ends_with_what_it_has_begun(
    tmp_path: Path, valkey: str
) -> None:
    settings: dict[str, object] = {"broker_url": valkey}
    async with LocalSystem(tmp_path, settings, processes=("web",)) as system:
        # Given a worker that is at something
        begun, go, done = (tmp_path / name for name in ("begun", "go", "done"))
        broker = make_broker(valkey, namespace=system.namespace)
        broker.enqueue(
            dramatiq.Message(
                queue_name=DECIDE, actor_name="stay", args=([str(begun), str(go), str(done)],), kwargs={}, options={}
            )
        )
        broker.close()
        os.mkfifo(begun)
        os.mkfifo(go)
        worker = await asyncio.create_subprocess_exec(
            sys.executable, str(STAYING), env=environment(system.environment) | PATH
        )
        assert await asyncio.to_thread(begun.read_text) == "begun"

        # When it is told to stop by who stops its group of processes, and by its supervisor
        worker.send_signal(signal.SIGTERM)
        await asyncio.sleep(PASSED_ON)
        worker.send_signal(signal.SIGTERM)
        await asyncio.sleep(PASSED_ON)
        await asyncio.to_thread(go.write_text, "go")

        # Then it ends when that is done
        async with asyncio.timeout(AT_LAST):
            assert await worker.wait() == 0
        assert done.read_text() == "done"


async def test_a_batch_that_waits_for_room_is_given_back_unclaimed_when_its_worker_is_stopped(
    tmp_path: Path, valkey: str
) -> None:
    settings: dict[str, object] = {"broker_url": valkey}
    async with LocalSystem(tmp_path, settings, processes=("web",)) as system, aiohttp.ClientSession() as session:
        # Given a worker with one connection to a provider that takes its time
        driver = RecipientDetails(phone="+4915123456789")
        await recipients.put(system.database, {"ada": driver}, system.clock.now())
        rule = {"channel": "sms", "action": "delay", "seconds": TAKES}
        async with session.post(f"{system.sandbox_url}/sandbox/faults", json=rule) as response:
            assert response.status < 300
        own = {**system.environment, "sms_providers": f"{system.environment['sms_providers']}&connections=1"}
        worker = await asyncio.create_subprocess_exec(sys.executable, "-m", "workers", env=environment(own))

        try:
            # And a text under way, and another that it has taken and that waits for room
            async with AsyncProducer(system.settings.public_url, system.key, "billing") as producer:
                for number, under_way in enumerate(({State.SENDING: 1}, {State.SENDING: 1, State.PENDING: 1})):
                    data = EVENT["data"] | {"driver_id": "ada", "attempt": number}
                    await producer.send(EVENT["type"], data, id=str(number))
                    async with asyncio.timeout(AT_LAST / 2):
                        while (await states(system), waiting(valkey)) != (under_way, 0):  # noqa: ASYNC110 (others')
                            await asyncio.sleep(0.02)

            # When it is told to end
            worker.send_signal(signal.SIGTERM)
            async with asyncio.timeout(AT_LAST / 2):
                assert await worker.wait() == 0
        finally:
            if worker.returncode is None:
                worker.kill()

        # Then that text has gone out, and the other is in the queue for whoever comes next
        assert await states(system) == {State.SENT: 1, State.PENDING: 1}
        assert waiting(valkey) == 1


async def states(system: LocalSystem) -> Counter[State]:
    """How many texts are in each state."""
    query = sa.select(delivery.c.state).where(delivery.c.channel == SMS)
    async with system.database.engine.connect() as connection:
        return Counter(State(state) for state in await connection.scalars(query))


def waiting(url: str) -> int:
    """Signals about texts that no worker has taken."""
    with redis.Redis.from_url(url) as client:
        return sum(
            int(client.llen(f"notifier:local:{queue}")) for (channel, _), queue in LANES.items() if channel is SMS
        )
