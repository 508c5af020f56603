"""Hands on what the system stands on: how a broker of its own, a SQLite file and a process are taken away."""

import asyncio
import os
import signal
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import redis
import sqlalchemy as sa

from notifier.broker import QUEUES, make_broker
from notifier.demo.local import LocalSystem

REDIS_TIMEOUT = 5  # seconds for one command
MOMENT = 0.5  # seconds: a transaction of ours takes some milliseconds
BUSY_TIMEOUT = 30  # seconds to get SQLite's write lock among busy writers


def workers_of(system: LocalSystem, name: str = "worker") -> list[int]:
    """The pids of the worker processes that a supervisor keeps."""
    pid = system.running[name].pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def ready_workers(system: LocalSystem, name: str) -> int:
    """How many worker processes have come up so far under a supervisor, by its log."""
    return (system.folder / f"{name}.log").read_bytes().count(b"worker.ready")


@asynccontextmanager
async def stopped(system: LocalSystem, name: str) -> AsyncIterator[None]:
    """A process and its children stand still inside this (SIGSTOP)."""
    group = system.running[name].pid
    os.killpg(group, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(group, signal.SIGCONT)


@asynccontextmanager
async def redis_away(system: LocalSystem) -> AsyncIterator[None]:
    """The system's own Redis is down inside this, and what it held is gone."""
    assert system.redis is not None  # noqa: S101 (without a broker's URL the system brings its own)
    await asyncio.to_thread(system.redis.terminate)
    try:
        yield
    finally:
        await asyncio.to_thread(system.redis.start)


@asynccontextmanager
async def redis_stopped(system: LocalSystem) -> AsyncIterator[None]:
    """The system's own Redis stands still inside this (SIGSTOP)."""
    with redis.Redis.from_url(system.settings.broker_url, socket_timeout=REDIS_TIMEOUT) as client:
        pid = int(client.info("server")["process_id"])
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@asynccontextmanager
async def redis_full(system: LocalSystem) -> AsyncIterator[None]:
    """The system's own Redis refuses whatever takes memory inside this."""
    with redis.Redis.from_url(system.settings.broker_url, socket_timeout=REDIS_TIMEOUT) as client:
        client.config_set("maxmemory", 1)
        try:
            yield
        finally:
            client.config_set("maxmemory", 0)


@asynccontextmanager
async def sqlite_locked(file: str) -> AsyncIterator[None]:
    """Another writer has the SQLite file inside this."""
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False, timeout=BUSY_TIMEOUT)
    await asyncio.to_thread(other.execute, "BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def is_locked(system: LocalSystem) -> bool:
    """Whether somebody has the SQLite file's write lock for longer than a moment; never on a server."""
    url = sa.make_url(system.settings.database_url)
    if url.get_backend_name() != "sqlite":
        return False
    other = sqlite3.connect(str(url.database), isolation_level=None, timeout=MOMENT)
    try:
        other.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return True
    finally:
        other.close()
    return False


def flush(url: str) -> None:
    """Take everything out of a broker."""
    if url.startswith("amqp"):
        broker: Any = make_broker(url)
        for queue in QUEUES:
            broker.declare_queue(queue)
        broker.flush_all()
        broker.close()
        return
    with redis.Redis.from_url(url, socket_timeout=REDIS_TIMEOUT) as client:
        client.flushdb()
