"""Work that nobody waits for: where it fails it says so, is counted, and what is to go on for ever begins again.

asyncio keeps the exception of a task to itself until somebody asks for it, so every task of ours that nobody awaits is
started here.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from prometheus_client import Counter

PAUSE: Final = 2.0
"""Seconds until work that failed begins again: little for who waits for it, much for a log that it fills."""

failures: Final = Counter(
    "notifier_background_failures_total", "Work in the background that failed and was begun again or given up",
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
