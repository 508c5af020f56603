"""Work that nobody waits for: where it fails it says so, is counted, and what is to go on for ever begins again.

asyncio keeps the exception of a task to itself until somebody asks for it, so every task of ours that nobody awaits is
started here.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from prometheus_client import Counter

from notifier.domain.errors import StoreUnavailable

PAUSE: Final = 2.0
"""Seconds until failed work is started again: short for whoever waits for it, long enough not to flood the log."""

failures: Final = Counter(
    "notifier_background_failures_total", "Background work that failed and was started again or given up",
    ["task"], registry=None,
)  # fmt: skip

log = structlog.get_logger(__name__)


async def keep_going(name: str, work: Callable[[], Awaitable[None]], pause: float = PAUSE) -> None:
    """Run work until it ends or is cancelled; restart it when it fails."""
    while True:
        try:
            return await work()
        except Exception as error:  # noqa: BLE001 (it is told, and the next try may go well)
            _tell(name, error)
        await asyncio.sleep(pause)


def forever(name: str, work: Callable[[], Awaitable[None]], pause: float = PAUSE) -> asyncio.Task[None]:
    """Start a task that is restarted when it fails. The caller keeps the task and cancels it in the end."""
    return asyncio.create_task(keep_going(name, work, pause), name=name)


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """Wait so long, or until told to stop."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return


async def keep_fresh(seconds: float, refresh: Callable[[], Awaitable[object]]) -> None:
    """Refresh something after each pause of so long, until cancelled; a database that is away is waited for."""
    while True:
        await asyncio.sleep(seconds)
        with contextlib.suppress(StoreUnavailable):
            await refresh()


async def every(name: str, seconds: float, work: Callable[[], Awaitable[object]], stop: asyncio.Event) -> None:
    """Do work, and again after each pause of so long, until told to stop; while the database is away, say so and
    wait."""
    away = f"{name}.store_unavailable"
    while not stop.is_set():
        try:
            await work()
        except StoreUnavailable as error:
            log.warning(away, error=str(error))
        await pause(stop, seconds)


async def cancelled(task: asyncio.Task[None]) -> None:
    """Cancel a task, and wait until it has ended."""
    task.cancel()
    await asyncio.wait([task])


def once(name: str, work: Callable[[], Awaitable[object]]) -> asyncio.Task[None]:
    """Start a task that runs once and never raises to whoever awaits it. The caller keeps the task."""
    return asyncio.create_task(_try(name, work), name=name)


async def _try(name: str, work: Callable[[], Awaitable[object]]) -> None:
    try:
        await work()
    except Exception as error:  # noqa: BLE001 (nobody else would tell it)
        _tell(name, error)


def _tell(name: str, error: Exception) -> None:
    failures.labels(name).inc()
    log.error("background.failed", task=name, exc_info=error)
