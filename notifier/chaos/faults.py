"""Faults of the system's own Redis, SQLite file and processes."""

import asyncio
import contextlib
import os
import resource
import secrets
import signal
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import dramatiq
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.broker import QUEUES, broker_address, make_broker
from notifier.broker.rabbitmq import OnceRabbitmqBroker
from notifier.chaos.servers import client_of
from notifier.demo.local import LocalSystem
from notifier.runtime.broker_url import RabbitmqUrl

MOMENT = 0.5  # seconds: a transaction of ours takes some milliseconds
BUSY_TIMEOUT = 30  # seconds to get SQLite's write lock among busy writers


def workers_of(system: LocalSystem, name: str = "worker") -> list[int]:
    """Return the pids of a supervisor's worker processes."""
    pid = system.running[name].pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def prompt_workers_of(system: LocalSystem) -> list[int]:
    """Return the pids of the workers that work on more than campaigns."""
    return [pid for pid in workers_of(system) if b"--background" not in Path(f"/proc/{pid}/cmdline").read_bytes()]


def ready_workers(system: LocalSystem, name: str) -> int:
    """Count the worker processes that have started so far under a supervisor, by its log."""
    return (system.folder / f"{name}.log").read_bytes().count(b"worker.ready")


def deaths(system: LocalSystem, name: str) -> int:
    """Count the worker processes that have ended by themselves so far under a supervisor, by its log."""
    return (system.folder / f"{name}.log").read_bytes().count(b"worker.ended")


@asynccontextmanager
async def stopped(system: LocalSystem, name: str) -> AsyncIterator[None]:
    """Stop a process and its children inside this context (SIGSTOP)."""
    group = system.running[name].pid
    os.killpg(group, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(group, signal.SIGCONT)


@asynccontextmanager
async def redis_away(system: LocalSystem) -> AsyncIterator[None]:
    """Take the system's own Redis down inside this context; its content is lost."""
    assert system.redis is not None  # noqa: S101 (without a broker's URL the system brings its own)
    await asyncio.to_thread(system.redis.terminate)
    try:
        yield
    finally:
        await asyncio.to_thread(system.redis.start)


@asynccontextmanager
async def redis_stopped(system: LocalSystem) -> AsyncIterator[None]:
    """Stop the system's own Redis inside this context (SIGSTOP)."""
    with client_of(system.settings.broker_url) as client:
        pid = int(client.info("server")["process_id"])
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@asynccontextmanager
async def redis_full(system: LocalSystem) -> AsyncIterator[None]:
    """Let the system's own Redis refuse writes that need memory inside this context."""
    with client_of(system.settings.broker_url) as client:
        client.config_set("maxmemory", 1)
        try:
            yield
        finally:
            client.config_set("maxmemory", 0)


@asynccontextmanager
async def sqlite_locked(system: LocalSystem) -> AsyncIterator[None]:
    """Hold the SQLite file's write lock inside this context."""
    file = str(sa.make_url(system.settings.database_url).database)
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False, timeout=BUSY_TIMEOUT)
    await asyncio.to_thread(other.execute, "BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


@asynccontextmanager
async def disk_full(system: LocalSystem) -> AsyncIterator[None]:
    """Let no process extend a file inside this context, as if the disk were full (RLIMIT_FSIZE)."""
    pids = [pid for name in system.running if name != "sandbox" for pid in _family(system, name)]
    before = {pid: resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in pids}
    for pid, (_, hard) in before.items():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        for pid, limits in before.items():
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)


def _family(system: LocalSystem, name: str) -> list[int]:
    return [system.running[name].pid, *workers_of(system, name)]


async def holds_for_good(system: LocalSystem) -> bool:
    """Whether a stopped process now holds a lock that no time-out releases; docs/reliability.md describes both locks.

    SQLite's one lock, and PostgreSQL's row locks where a statement is being prepared: the server waits for the rest of
    the dialogue, and that is neither an idle transaction nor a statement.
    """
    if system.database.dialect == "sqlite":
        return await asyncio.to_thread(_is_locked, str(system.database.engine.url.database))
    return system.database.dialect == "postgresql" and await system.database.read(_is_preparing)


def _is_locked(file: str) -> bool:
    other = sqlite3.connect(file, isolation_level=None, timeout=MOMENT)
    try:
        other.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return True
    finally:
        other.close()
    return False


async def _is_preparing(connection: AsyncConnection) -> bool:
    query = sa.text(
        "SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND state = 'active'"
        " AND wait_event = 'ClientRead' AND state_change < clock_timestamp() - interval '500 ms')"
    )
    return bool((await connection.execute(query)).scalar_one())


def flush(url: str, namespace: str) -> None:
    """Remove everything of an installation from its broker."""
    if isinstance(broker_address(url), RabbitmqUrl):
        broker: Any = make_broker(url, namespace=namespace)
        for queue in QUEUES:
            broker.declare_queue(queue)
        broker.flush_all()
        broker.close()
        return
    with client_of(url) as client:
        client.flushdb()


BROKEN = (b"\xff\xfe not JSON", b"{}", b'{"queue_name": 1}')


def spoil(url: str, namespace: str) -> None:
    """Put unreadable messages into every queue, and one for an unknown actor."""
    broker: Any = make_broker(url, namespace=namespace)
    try:
        for queue in QUEUES:
            broker.declare_queue(queue)
            stranger: dramatiq.Message[None] = dramatiq.Message(
                queue_name=queue, actor_name="stranger", args=(), kwargs={}, options={}
            )
            for data in (*BROKEN, stranger.encode()):
                if isinstance(broker, OnceRabbitmqBroker):
                    broker.channel.basic_publish(exchange="", routing_key=broker.called(queue), body=data)
                else:
                    id_ = secrets.token_hex(16)
                    broker.client.hset(f"{broker.namespace}:{queue}.msgs", id_, data)
                    broker.client.rpush(f"{broker.namespace}:{queue}", id_)
    finally:
        broker.close()
