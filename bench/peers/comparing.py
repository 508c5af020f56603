"""Run the peers one after the other, when our own processes have ended, and say how we compare."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from bench.bed import Bed
from bench.load import Reach, people
from bench.peers.job import VARIABLE, Job, Person
from notifier.channels.sms.sandbox import ACCOUNT_SID
from notifier.runtime.settings import environment

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-bench" / "bin" / "python"
"""Where `make bench` installs what only peers need."""
TOKEN = "0" * 32  # Twilio's, in the shape that Apprise asks for; the fast sandbox looks at none
TOLD = 20  # people: so few that every worker has met everybody before it counts
WARM = 200  # events before the measured ones
TIMEOUT = 120  # seconds for a peer to finish
LOOK_EVERY = 0.02  # seconds


class CannotRun(Exception):
    """A peer that this machine has no place for; the message says what is missing."""


class Peer(NamedTuple):
    """Its name and module, the workers beside it, its events, and how many processes share them."""

    name: str
    module: str
    python: Path
    worker: Sequence[str]
    events: int
    processes: int = 1
    warm: int = WARM
    helped: bool = False


# As their documentation starts them on two cores. Celery's default is a process per core; four were quicker.
CELERY = ("celery", "-A", "bench.peers.celery_apprise", "worker", "--concurrency", "4", "--loglevel", "ERROR")
PEERS = (
    Peer("naive", "naive", PYTHON, ("dramatiq", "bench.peers.naive", "--processes", "2", "--threads", "8"), 400),
    Peer("celery_apprise", "celery_apprise", PYTHON, CELERY, 100, warm=40),
    Peer("celery_apprise_helped", "celery_apprise", PYTHON, CELERY, 400, helped=True),
    Peer("bare_loop", "bare_loop", Path(sys.executable), (), 6_000, processes=2, warm=0),
)


async def compare(bed: Bed, reach: Reach, rate: float) -> dict[str, Any]:
    """How our deliveries a second stand to theirs; None for a peer that can't run here. Our own processes end."""
    for name in ("web", "clock", "worker"):
        await bed.system.stop(name)
    found: dict[str, Any] = {}
    for peer in PEERS:
        found |= {f"ratio_{peer.name}": None, peer.name: None}
        try:
            _check(bed, peer)
            seen = await _run(bed, peer, reach)
        except (CannotRun, TimeoutError) as error:
            print(f"{peer.name} is left out: {error}", file=sys.stderr)
            continue
        found |= {f"ratio_{peer.name}": round(rate / seen["deliveries_per_s"], 2), peer.name: seen}
    return found


def _check(bed: Bed, peer: Peer) -> None:
    if peer.worker and bed.system.database.dialect != "postgresql":
        raise CannotRun("it needs the servers")
    if not peer.python.exists():
        raise CannotRun("`make bench` installs what it needs")


async def _run(bed: Bed, peer: Peer, reach: Reach) -> dict[str, Any]:
    """What a peer reaches, from its first event to the last message's arrival."""
    part = -(-peer.events // peer.processes)
    parts = [
        (peer.warm + first, min(peer.warm + first + part, peer.warm + peer.events))
        for first in range(0, peer.events, part)
    ]
    whole = _write(bed, peer, "all", reach, (0, peer.warm + peer.events))
    with _workers(bed, peer, whole):
        if peer.warm:
            await _told(bed, peer, reach, [(0, peer.warm)])
        seconds, received = await _told(bed, peer, reach, parts)
    return {
        "events": peer.events, "events_per_s": round(peer.events / seconds, 1), "received": received,
        "deliveries_per_s": round(received / seconds, 1), "seconds": round(seconds, 2),
    }  # fmt: skip


async def _told(bed: Bed, peer: Peer, reach: Reach, parts: Sequence[tuple[int, int]]) -> tuple[float, int]:
    """Have a peer tell parts of the events; the seconds until the last has arrived, and how many messages that were."""
    expected = sum(len(_person(number, reach).channels) for first, last in parts for number in range(first, last))
    before = (await bed.counted()).total()
    drivers = []
    try:
        for number, numbers in enumerate(parts):
            told = _write(bed, peer, str(number), reach, numbers)
            drivers.append(_start(bed, peer, ["-m", f"bench.peers.{peer.module}"], told))
        for driver in drivers:
            if await asyncio.to_thread(driver.stdout.readline) != b"ready\n":  # type: ignore[union-attr]
                raise CannotRun(f"it did not start: {_log(bed, peer)}")
        began = time.perf_counter()
        for driver in drivers:
            driver.stdin.write(b"\n")  # type: ignore[union-attr]
            driver.stdin.flush()  # type: ignore[union-attr]
        while (received := (await bed.counted()).total() - before) < expected:
            if time.perf_counter() - began > TIMEOUT:
                raise TimeoutError(f"{received} of {expected} messages arrived; {_log(bed, peer)}")
            await asyncio.sleep(LOOK_EVERY)
        return time.perf_counter() - began, received
    finally:
        for driver in drivers:
            await asyncio.to_thread(_end, driver)


@contextmanager
def _workers(bed: Bed, peer: Peer, job: Path) -> Iterator[None]:
    if not peer.worker:
        yield
        return
    process = _start(bed, peer, ["-m", *peer.worker], job)
    try:
        yield
    finally:
        _end(process)


def _start(bed: Bed, peer: Peer, arguments: Sequence[str], job: Path) -> subprocess.Popen[bytes]:
    with (bed.system.folder / f"{peer.name}.log").open("ab") as log:
        return subprocess.Popen(
            [str(peer.python), *arguments], cwd=ROOT, env=environment({}) | {VARIABLE: str(job)}, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=log, start_new_session=True,
        )  # fmt: skip


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask a process to end, and everything it started to end at once where it doesn't."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _write(bed: Bed, peer: Peer, part: str, reach: Reach, numbers: tuple[int, int]) -> Path:
    system, (first, last) = bed.system, numbers
    file = system.folder / "jobs" / f"{peer.name}-{part}.json"
    file.parent.mkdir(exist_ok=True)
    job = Job(
        database_url=sa.make_url(system.settings.database_url).set(drivername="postgresql+psycopg").render_as_string(False),
        broker_url=system.settings.broker_url, http_url=system.sandbox_url,
        smtp_port=sa.make_url(system.settings.channels["email_providers"]).port or 25,
        service_account=str(system.folder / "service-account.json"), twilio=(ACCOUNT_SID, TOKEN), first=first,
        last=last, people=[_person(number, reach) for number in range(TOLD)], helped=peer.helped,
    )  # fmt: skip
    file.touch(mode=0o600)
    file.write_bytes(msgspec.json.encode(job))
    return file


def _person(number: int, reach: Reach) -> Person:
    id_ = f"driver-{number % TOLD}"
    details = people(reach)[id_]
    return Person(
        id=id_, name=details.name or "", locale=details.locale or "en", email=details.email, phone=details.phone,
        token=details.devices[0].value if details.devices else None,
    )  # fmt: skip


def _log(bed: Bed, peer: Peer) -> str:
    lines = (bed.system.folder / f"{peer.name}.log").read_text("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else "it wrote no log"
