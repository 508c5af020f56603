"""A worker process: it works, or it ends and says why; and it ends when it is told to, with what it has begun."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import dramatiq

from notifier.broker import DECIDE, make_broker
from notifier.demo.local import LocalSystem
from notifier.settings import to_environment

STAYING = Path(__file__).with_name("staying.py")
PASSED_ON = 0.5  # seconds after which a supervisor has passed on what it was told
AT_LAST = 60  # seconds: far past what any of these may take, however slow the machine


def environment(settings: dict[str, object]) -> dict[str, str]:
    """This process's, with these settings instead of ours."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("NOTIFIER_")}
    return {**ours, **to_environment(settings), "PYTHONPATH": os.pathsep.join(sys.path)}


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


async def test_a_worker_that_is_stopped_twice_at_once_still_ends_with_what_it_has_begun(
    tmp_path: Path, valkey: str
) -> None:
    settings: dict[str, object] = {"broker_url": valkey}
    async with LocalSystem(tmp_path, settings, processes=("web",)) as system:
        # Given a worker that is at something
        begun, go, done = (tmp_path / name for name in ("begun", "go", "done"))
        broker = make_broker(valkey)
        broker.enqueue(
            dramatiq.Message(
                queue_name=DECIDE, actor_name="stay", args=([str(begun), str(go), str(done)],), kwargs={}, options={}
            )
        )
        broker.close()
        os.mkfifo(begun)
        os.mkfifo(go)
        worker = await asyncio.create_subprocess_exec(
            sys.executable, str(STAYING), env=environment(dict(system.environment))
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
